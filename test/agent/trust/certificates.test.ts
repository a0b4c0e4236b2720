import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readTrustBundle, sortCertificates } from '../../../agent/trust/certificates.ts';
import { certificatesPerTurn } from '../../../agent/trust/limits.ts';
import { atOnce } from '../../../volumes/base/steps.ts';
import { pemOf } from '../../support/certificates.ts';
import { derOf, makeAuthority } from './authorities.ts';

const [one, two, three] = ['one', 'two', 'three'].map(makeAuthority) as [string, string, string];

test('each CERTIFICATE block is read, whatever text stands around it', async () => {
  const pem = `# our roots: two\n${one}\nsubject=CN=two\n${two.replaceAll('\n', '\r\n')}the end`;
  assert.deepEqual(await readTrustBundle(pem), [derOf(one), derOf(two)]);
});

test('headers within a block are dropped', async () => {
  const headers = '-----BEGIN CERTIFICATE-----\nComment: a long story\nOther: thing\n\n';
  assert.deepEqual(await readTrustBundle(one.replace('-----BEGIN CERTIFICATE-----\n', headers)), [derOf(one)]);
  const tight = '-----BEGIN CERTIFICATE-----  \nComment: no empty line\n';
  assert.deepEqual(await readTrustBundle(one.replace('-----BEGIN CERTIFICATE-----\n', tight)), [derOf(one)]);
});

test('a bundle that is not all certificates is refused, with the position and without the content', async () => {
  const rows: [string, RegExp][] = [
    ['', /holds no certificate/],
    ['only text', /holds no certificate/],
    [
      `${one}-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n`,
      /^Error: block 2 is not a CERTIFICATE$/,
    ],
    ...['AAAA', 'MAA=', 'MAoCAQEwADAAMAAwAA==', ''].map((base64): [string, RegExp] => [
      `${one}-----BEGIN CERTIFICATE-----\n${base64}\n-----END CERTIFICATE-----\n`,
      /^Error: block 2 is not an X\.509 certificate$/,
    ]),
    [pemOf(derOf(one).subarray(0, -1)), /^Error: block 1 is not an X\.509 certificate$/],
    [pemOf(Buffer.concat([derOf(one), derOf(two)])), /^Error: block 1 is not an X\.509 certificate$/],
  ];
  for (const [pem, expected] of rows) {
    await assert.rejects(readTrustBundle(pem), expected);
  }
});

test('what is no block is text, as it is to the API server: the certificates around it are read', async () => {
  const begin = '-----BEGIN CERTIFICATE-----\n';
  const parts = [two.slice(0, -30), begin, `${begin}# until spring\nAAAA\n-----END CERTIFICATE-----\n`];
  for (const part of parts) {
    assert.deepEqual(await readTrustBundle(`${one}${part}\n${three}`), [derOf(one), derOf(three)]);
  }
});

test('the union holds each certificate once, in an order that depends on the set alone', () => {
  const [a, b, c] = [derOf(one), derOf(two), derOf(three)];
  const sorted = (...certificates: Uint8Array[]) => atOnce(sortCertificates(new Set(certificates)));
  const united = sorted(a, b, c, Uint8Array.from(a));
  assert.equal(united.length, 3);
  assert.deepEqual(united, sorted(c, b, a));
  assert.deepEqual(sorted(), []);
});

test('a union of thousands of certificates is put in order in many steps, as it would be at once', () => {
  const certificates = Array.from({ length: 20_001 }, (_, index) => Buffer.from(String((index * 7_919) % 19_997)));
  const steps = sortCertificates(new Set(certificates));
  let count = 1;
  let last = steps.next();
  for (; last.done !== true; last = steps.next()) {
    count += 1;
  }
  const distinct = new Map(certificates.map((bytes) => [String(bytes), bytes]));
  assert.deepEqual(last.value.map(String), [...distinct.values()].sort(Buffer.compare).map(String));
  assert.ok(count > certificates.length / 128, `it took ${count} steps`);
});

test('a long bundle is read over several turns of the event loop', async () => {
  const lines = 40_000;
  let turns = 0;
  let isRead = false;
  const count = (): void => {
    turns += 1;
    if (!isRead) {
      setImmediate(count);
    }
  };
  setImmediate(count);
  const certificates = await readTrustBundle(`${'\n-----END CERTIFICATE-----\n'.repeat(lines)}${one}`);
  isRead = true;
  assert.deepEqual(certificates, [derOf(one)]);
  assert.ok(turns >= lines / certificatesPerTurn, `${lines} lines were read in ${turns} turns`);
});
