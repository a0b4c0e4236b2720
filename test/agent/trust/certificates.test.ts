import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readTrustBundle, uniteCertificates } from '../../../agent/trust/certificates.ts';
import { derOf, makeAuthority } from './authorities.ts';

const [one, two, three] = ['one', 'two', 'three'].map(makeAuthority) as [string, string, string];

test('each CERTIFICATE block is read, whatever text stands around it', () => {
  const pem = `# our roots: two\n${one}\nsubject=CN=two\n${two.replaceAll('\n', '\r\n')}the end`;
  assert.deepEqual(readTrustBundle(pem), [derOf(one), derOf(two)]);
});

test('headers within a block are dropped', () => {
  const headers = '-----BEGIN CERTIFICATE-----\nComment: a long\n  story\nOther: thing\n\n';
  assert.deepEqual(readTrustBundle(one.replace('-----BEGIN CERTIFICATE-----\n', headers)), [derOf(one)]);
  const tight = '-----BEGIN CERTIFICATE-----  \nComment: no empty line\n';
  assert.deepEqual(readTrustBundle(one.replace('-----BEGIN CERTIFICATE-----\n', tight)), [derOf(one)]);
});

test('a bundle that is not all certificates is refused, with the position and without the content', () => {
  const rows: [string, RegExp][] = [
    ['', /holds no certificate/],
    ['only text', /holds no certificate/],
    [
      `${one}-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n`,
      /^Error: block 2 is not a CERTIFICATE$/,
    ],
    [`-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n`, /^Error: block 1 is not an X\.509 certificate$/],
    [`${one}${two.slice(0, -30)}`, /^Error: block 2 has no END line$/],
  ];
  for (const [pem, expected] of rows) {
    assert.throws(() => readTrustBundle(pem), expected);
  }
});

test('a megabyte of blocks that do not end is refused at once: every agent of the cluster reads it', () => {
  const startedAt = performance.now();
  assert.throws(() => readTrustBundle('-----BEGIN CERTIFICATE-----\n'.repeat(37_000)), /no END line/);
  const tookMs = performance.now() - startedAt;
  assert.ok(tookMs < 5_000, `${tookMs} ms`);
});

test('the union holds each certificate once, in an order that depends on the set alone', () => {
  const [a, b, c] = [derOf(one), derOf(two), derOf(three)];
  const united = uniteCertificates([[a, b], [c, a], []]);
  assert.equal(united.length, 3);
  assert.deepEqual(united, uniteCertificates([[c], [b, a], [b]]));
  assert.deepEqual(uniteCertificates([]), []);
});
