/**
 * The checks on an issued chain before it replaces anything. The API server looks at the leaf only, so what would break
 * a TLS handshake further up is found here.
 *
 * RFC 5280 section 6.1: https://www.rfc-editor.org/rfc/rfc5280#section-6.1
 */

import { createPublicKey } from 'node:crypto';
import { messageOf } from '../../volumes/base/errors.ts';
import { longestChainBytes, longestSerialNumber, mostCertificates } from '../../volumes/base/limits.ts';
import type { IssuedChain } from '../../volumes/base/volume.ts';
import { cut } from '../base/cut.ts';
import { AgentError } from '../base/errors.ts';
import { readCertificateBlocks } from '../base/pem.ts';
import { validityOf } from '../base/validity.ts';
import type { Outcome } from '../lifecycle/ports.ts';
import { type Certificate, type CertificateReader, isSignedBy, plainReader } from './certificate.ts';
import { type Ascent, ascend, TooManySignatures } from './path.ts';

const longestName = 120;
/** Of all names of a leaf, in an event. */
const longestNames = 300;

/**
 * Reads and checks a chain: the leaf comes first, holds our key and agrees with the status, and a path of CAs leads from
 * it upwards. A root need not be in it. Certificates that lead nowhere are left out, since verifiers have no use for
 * them; where several ways lead up, as with an intermediate that two roots signed, all of them are kept.
 * @param spki our public key, SubjectPublicKeyInfo DER.
 * @param now milliseconds since the epoch.
 * @param reader of certificates, which may know some of them
 * @throws AgentError InvalidChain, naming the certificate at fault and why.
 */
export function verifyChain(
  outcome: Outcome & { readonly type: 'issued' },
  spki: Uint8Array,
  now: number,
  reader: CertificateReader = plainReader,
): IssuedChain {
  const sent = readChain(outcome.certificateChain, reader);
  const [leaf, ...others] = sent;
  if (leaf === undefined) {
    throw refusal('it holds no certificate');
  }
  checkKey(leaf, spki, sent.length);
  const { serialNumber, subjectAltName = '' } = leaf.x509();
  const certificates = checkPath(leaf, others, now);
  checkTimes(leaf, outcome, now);
  return {
    certificates: certificates.map(({ der }) => der),
    serialNumber: serialNumber.toUpperCase().slice(0, longestSerialNumber),
    names: cut(subjectAltName, longestNames),
    ...validityOf(leaf.x509()),
    beginRefreshAt: outcome.beginRefreshAt,
  };
}

function readChain(pem: string, reader: CertificateReader): Certificate[] {
  const size = Buffer.byteLength(pem);
  if (size > longestChainBytes) {
    throw refusal(`it has ${size} bytes, more than ${longestChainBytes}`);
  }
  const blocks = readBlocks(pem);
  if (blocks.length > mostCertificates) {
    throw refusal(`it holds ${blocks.length} certificates, more than ${mostCertificates}`);
  }
  return blocks.map((der, index) => {
    try {
      return reader.parse(der);
    } catch (cause) {
      throw refusal(`certificate ${index + 1} of ${blocks.length} is not an X.509 certificate`, cause);
    }
  });
}

function readBlocks(pem: string): Uint8Array[] {
  try {
    return readCertificateBlocks(pem);
  } catch (cause) {
    throw refusal(messageOf(cause, 'it is not PEM'), cause);
  }
}

function checkKey(leaf: Certificate, spki: Uint8Array, count: number): void {
  const ours = createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' });
  if (!holdsKey(leaf, ours)) {
    throw refusal(`certificate 1 of ${count} (${nameOf(leaf)}) does not hold the public key of the request`);
  }
}

/** OpenSSL throws on a key of a kind that it does not know: it is not ours. */
function holdsKey(leaf: Certificate, key: ReturnType<typeof createPublicKey>): boolean {
  try {
    return leaf.x509().publicKey.equals(key);
  } catch {
    return false;
  }
}

/** @returns what is to be kept, leaf first. */
function checkPath(leaf: Certificate, others: readonly Certificate[], now: number): readonly Certificate[] {
  const { certificates, faults } = climb(leaf, others, now);
  const positionOf = (certificate: Certificate): string =>
    `certificate ${[leaf, ...others].indexOf(certificate) + 1} of ${others.length + 1} (${nameOf(certificate)})`;
  const [fault] = faults;
  if (certificates.length === 0 && fault !== undefined) {
    throw refusal(`${positionOf(fault.issuer)}, which signed ${positionOf(fault.certificate)}, ${fault.why}`);
  }
  const namesakes = others.filter(({ subject }) => subject === leaf.issuer);
  // A leaf alone may have been issued by an anchor. Others beside it that did not issue it are the wrong ones.
  const isAlone = others.every(({ der }) => Buffer.compare(der, leaf.der) === 0);
  if (certificates.length > 1 || isAlone || namesakes.some((issuer) => isSignedBy(leaf, issuer))) {
    return certificates;
  }
  const [namesake] = namesakes;
  throw refusal(
    namesake === undefined
      ? `${positionOf(leaf)} is issued by none of the certificates after it: is an intermediate missing?`
      : `${positionOf(leaf)} is not signed with the key of ${positionOf(namesake)}, which has its issuer's name`,
  );
}

function climb(leaf: Certificate, others: readonly Certificate[], now: number): Ascent {
  try {
    return ascend(leaf, others, now);
  } catch (cause) {
    if (cause instanceof TooManySignatures) {
      throw refusal(`it takes ${cause.message} to check`, cause);
    }
    throw cause;
  }
}

function checkTimes(leaf: Certificate, outcome: Outcome & { readonly type: 'issued' }, now: number): void {
  const { beginRefreshAt } = outcome;
  const { notBefore, notAfter } = validityOf(leaf.x509());
  checkAgreement('notBefore', outcome.notBefore, notBefore);
  checkAgreement('notAfter', outcome.notAfter, notAfter);
  if (!(notBefore < beginRefreshAt && beginRefreshAt < notAfter)) {
    const range = `${timeText(notBefore)} and ${timeText(notAfter)}`;
    throw refusal(`status.beginRefreshAt ${timeText(beginRefreshAt)} does not lie between ${range}`);
  }
  if (notAfter <= now) {
    throw refusal(`it expired at ${timeText(notAfter)}, and it is ${timeText(now)}`);
  }
}

/** Certificates and the API's times have whole seconds. */
function checkAgreement(field: 'notBefore' | 'notAfter', stated: number, certified: number): void {
  if (Math.floor(stated / 1000) !== Math.floor(certified / 1000)) {
    throw refusal(`status.${field} ${timeText(stated)} is not the leaf's ${timeText(certified)}`);
  }
}

/** The subject on one short line; the signer chose it, and it goes into events and logs. */
function nameOf(certificate: Certificate): string {
  const { subject } = certificate.x509();
  // A certificate whose identity is in its alternative names has no subject, which Node shows as undefined.
  const line = (subject ?? '').replaceAll(/[\p{Cc}\p{Cf}]+/gu, ', ');
  if (line === '') {
    return 'no subject';
  }
  return cut(line, longestName);
}

function timeText(time: number): string {
  const date = new Date(time);
  return Number.isNaN(date.getTime()) ? '(missing)' : date.toISOString();
}

function refusal(why: string, cause?: unknown): AgentError {
  return new AgentError('InvalidChain', `the certificate chain cannot be used: ${why}`, { actor: 'signer', cause });
}
