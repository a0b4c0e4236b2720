/** Chains and trust bundles as text: what a signer answers, and what whoever may write a ClusterTrustBundle writes. */
import assert from 'node:assert/strict';
import { AgentError } from '../../../../agent/base/errors.ts';
import { readCertificateBlocks, readPemBlocks } from '../../../../agent/base/pem.ts';
import { readIssuedAnchors } from '../../../../agent/issuance/issued-anchors.ts';
import type { FuzzTarget } from '../target.ts';
import { verifyAsIssued } from './issued.ts';

export const chains: FuzzTarget = {
  words: [
    ...[
      '-----BEGIN CERTIFICATE-----',
      '-----END CERTIFICATE-----',
      '-----BEGIN PRIVATE KEY-----',
      '-----',
      '\n',
      '\r\n',
    ],
    ...['-----BEGIN ', '\n-----END ', 'a: b\n', ':', '=', '==', '\t', ' ', 'MII', 'MIIB', 'AAAA'],
  ],
  mostBytes: 16_384,
  mostWorkPerByte: 1_000,
  run(input) {
    const text = Buffer.from(input).toString('utf8');
    const blocks = readPemBlocks(text);
    for (const { label } of blocks) {
      assert.ok(!label.includes('\n'), 'a label has two lines');
    }
    const isAllCertificates = blocks.every(({ label }) => label === 'CERTIFICATE');
    if (isAllCertificates) {
      assert.deepEqual(
        readCertificateBlocks(text),
        blocks.map(({ bytes }) => bytes),
      );
    } else {
      assert.throws(() => readCertificateBlocks(text), /^Error: block \d+ is not a CERTIFICATE$/);
    }
    try {
      readIssuedAnchors(text);
    } catch (refusal) {
      assert.ok(refusal instanceof AgentError && refusal.code === 'InvalidChain', `not a refusal: ${String(refusal)}`);
    }
    verifyAsIssued(text);
  },
};
