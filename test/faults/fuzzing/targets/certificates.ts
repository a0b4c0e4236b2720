/** Certificates as bytes: a chain of several, of which the first ones are damaged. */
import assert from 'node:assert/strict';
import { AgentError } from '../../../../agent/base/errors.ts';
import { outlineCertificate, parseCertificate, whyNoIssuer } from '../../../../agent/issuance/certificate.ts';
import { verifiesAgainst } from '../../../../agent/issuance/path.ts';
import { now, pemOf } from '../../../support/certificates.ts';
import type { FuzzTarget } from '../target.ts';
import { acceptedCertificates, verifyAsIssued } from './issued.ts';

/** Between certificates of an input: no certificate begins like this, and few hold it. */
const separator = Buffer.from('\xff\x00\xff', 'latin1');
let accepted: readonly Uint8Array[] = [];

export const certificates: FuzzTarget = {
  words: [
    ...[
      '\x30',
      '\x31',
      '\x30\x80',
      '\x30\x82',
      '\x30\x84\xff\xff\xff\xff',
      '\x02\x01',
      '\x03\x02',
      '\x04',
      '\x05\x00',
      '\x06\x03',
    ],
    ...[
      '\x06\x03U\x1d\x13',
      '\x06\x03U\x04\x03',
      '\x0c',
      '\x13',
      '\x16',
      '\x17',
      '\x18',
      '\x01\x01\xff',
      '\xa0\x03\x02\x01\x02',
    ],
    ...['\xa3', separator.toString('latin1')],
  ],
  async seeds() {
    accepted = await acceptedCertificates();
    return [...accepted, Buffer.concat(accepted.flatMap((der) => [der, separator]))];
  },
  mostBytes: 8_192,
  mostWorkPerByte: 2_000,
  run(input) {
    const bytes = Buffer.from(input);
    const parts = split(bytes);
    for (const der of parts) {
      judge(der);
    }
    verifyAsIssued(pemOf(...parts));
    verifyAsIssued(pemOf(...parts, ...accepted));
    verifyAsIssued(pemOf(...accepted.slice(0, 1), ...parts, ...accepted.slice(1)));
    verifyAsIssued(pemOf(...accepted.slice(0, 1), ...parts));
    verifiesAgainst(accepted, parts, now);
    verifiesAgainst(parts, accepted, now);
  },
};

function split(bytes: Buffer): readonly Buffer[] {
  const at = bytes.indexOf(separator);
  return at < 0 ? [bytes] : [bytes.subarray(0, at), ...split(bytes.subarray(at + separator.length))].slice(0, 16);
}

function judge(der: Uint8Array): void {
  try {
    const certificate = parseCertificate(der);
    whyNoIssuer(certificate, now);
    assert.equal(outlineCertificate(der).subject, certificate.subject, 'a certificate has two subjects');
  } catch (refusal) {
    assert.ok(refusal instanceof Error && !(refusal instanceof assert.AssertionError), String(refusal));
    assert.ok(!(refusal instanceof AgentError), 'who read it says what it is of, not the reader');
    assert.ok(!(refusal instanceof TypeError) || 'code' in refusal, `a fault of the reader: ${refusal.stack}`);
  }
}
