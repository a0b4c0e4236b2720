/** Trust anchors that came with a certificate are checked before a pod trusts them. */
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { test } from 'node:test';
import { readIssuedAnchors } from '../../../agent/issuance/issued-anchors.ts';
import { createKeyMaker } from '../../../agent/keys/key-maker.ts';
import { createRootAuthority } from '../../support/certificates.ts';

const authority = await createRootAuthority();
const key = await createKeyMaker().generate('ECDSAP256');
const now = Math.floor(Date.now() / 1000) * 1000;
const leaf = await authority.issueLeaf({ spki: key.spki, notBefore: now, notAfter: now + 3_600_000 });

test('certificates of authorities are taken, each once, in the order in which they came', async () => {
  const other = await createRootAuthority('CN=other');
  const both = readIssuedAnchors(`${other.pem}${authority.pem}${other.pem}`);
  assert.deepEqual(
    both.map((der) => new X509Certificate(der).subject),
    ['CN=other', 'CN=root'],
  );
  const anchors = readIssuedAnchors(`the root:\n${authority.pem}${authority.pem}`);
  assert.deepEqual(
    anchors.map((der) => new X509Certificate(der).ca),
    [true],
  );
});

test('as many certificates, and as long a text, as the limits let in are taken', () => {
  assert.equal(readIssuedAnchors(authority.pem.repeat(32)).length, 1);
  assert.equal(readIssuedAnchors(authority.pem.padEnd(102_400, '\n')).length, 1);
});

test('whatever else came is refused, with its reason', () => {
  const room = 102_400 - authority.pem.length;
  const cases: readonly (readonly [string | undefined, RegExp])[] = [
    [undefined, /gives none \(status\.ca is empty\), so a source for it cannot have a caPath or a truststorePath/],
    ['', /gives none/],
    ['no PEM', /gives none/],
    [leaf, /certificate 1 of 1 is not a certificate of an authority/],
    [authority.pem + leaf, /certificate 2 of 2 is not/],
    [authority.pem.replaceAll('CERTIFICATE', 'PRIVATE KEY'), /block 1 is not a CERTIFICATE/],
    ['-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n', /is not a certificate of an authority/],
    [authority.pem.repeat(33), /33 certificates, more than 32/],
    [authority.pem + '\n'.repeat(room + 1), /102401 bytes, more than 102400/],
    [`# ä${authority.pem}${'\n'.repeat(room - 3)}`, /102401 bytes, more than 102400/],
  ];
  for (const [pem, message] of cases) {
    assert.throws(() => readIssuedAnchors(pem), { code: 'InvalidChain', actor: 'signer', message });
  }
});
