/** A bundle map as its text: what stands in it, in which order, and what it leaves out. */
import assert from 'node:assert/strict';
import { createPublicKey, X509Certificate } from 'node:crypto';
import { test } from 'node:test';
import { atOnce } from '../../../volumes/base/steps.ts';
import type { TrustDomainAnchors } from '../../../volumes/base/volume.ts';
import { bundleMapInSteps } from '../../../volumes/files/bundle-map.ts';
import { certify, makeHolder } from '../../support/certificates.ts';

const textOf = (bundles: readonly TrustDomainAnchors[]): string => {
  const { length, pieces } = atOnce(bundleMapInSteps(bundles));
  const bytes = Buffer.concat([...pieces()]);
  assert.equal(length, bytes.length);
  return bytes.toString();
};

test('a map has one entry for each certificate, its key and nothing else, and none for what is no certificate', async () => {
  const holders = [await makeHolder('CN=one'), await makeHolder('CN=two')];
  const [one, two] = (await Promise.all(holders.map((holder) => certify(holder, holder)))) as [Uint8Array, Uint8Array];
  const odd = Uint8Array.of(48, 0);
  const entry = (der: Uint8Array): string => {
    const { x, y } = new X509Certificate(der).publicKey.export({ format: 'jwk' });
    const x5c = Buffer.from(der).toString('base64');
    return `{"use":"x509-svid","kty":"EC","crv":"P-256","x":"${x}","y":"${y}","x5c":["${x5c}"]}`;
  };
  const text = textOf([
    { trustDomain: 'a.example', certificates: [one, odd, two] },
    { trustDomain: 'b.example', certificates: [odd] },
    { trustDomain: 'c.example' },
    { trustDomain: 'd.example', certificates: [two] },
  ]);
  const [a, d] = [
    `"a.example":{"keys":[\n${entry(one)},\n${entry(two)}\n]}`,
    `"d.example":{"keys":[\n${entry(two)}\n]}`,
  ];
  assert.equal(text, `{"trust_domains":{\n${a},\n${d}\n}}\n`);
  const jwk = JSON.parse(text).trust_domains['d.example'].keys[0];
  assert.ok(
    createPublicKey({ key: jwk, format: 'jwk' }).equals(new X509Certificate(two).publicKey),
    'the key is another',
  );
  const steps = bundleMapInSteps([{ trustDomain: 'a', certificates: [odd, odd] }]);
  assert.equal([...steps].length, 2, 'a pause after each certificate');
});

test('without any anchors a map is empty, and still a map', () => {
  for (const bundles of [[], [{ trustDomain: 'a' }], [{ trustDomain: 'a', certificates: [] }]]) {
    assert.equal(textOf(bundles), '{"trust_domains":{\n\n}}\n');
  }
});
