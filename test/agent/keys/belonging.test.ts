/** Whether a key belongs to a certificate: found out for every key type, and for whatever may have become of either. */
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { test } from 'node:test';
import { createKeyMaker } from '../../../agent/keys/key-maker.ts';
import type { PrivateKey } from '../../../agent/lifecycle/ports.ts';
import { type KeyType, keyTypes } from '../../../volumes/declaration/key-types.ts';
import { createRootAuthority } from '../../support/certificates.ts';

const keys = createKeyMaker({ rsaConcurrency: 2 });
const authority = await createRootAuthority();

async function leafOf({ spki }: PrivateKey): Promise<Uint8Array> {
  const now = Date.now();
  return new X509Certificate(await authority.issueLeaf({ spki, notBefore: now, notAfter: now + 3_600_000 })).raw;
}

/** Offsets of bytes whose change makes it another key, or none: the scalar, or an RSA key's modulus. */
const secretAt: Readonly<Record<KeyType, number>> = {
  ECDSAP256: 45,
  ECDSAP384: 50,
  ECDSAP521: 60,
  ED25519: 30,
  RSA3072: 200,
  RSA4096: 200,
};

for (const keyType of keyTypes) {
  test(`a ${keyType} key belongs to its own certificate, and to no other, whole as it was made`, async () => {
    const [own, other] = await Promise.all([keys.generate(keyType), keys.generate('ECDSAP256')]);
    const leaf = await leafOf(own);
    assert.equal(keys.belongs(own.pkcs8, leaf), true);
    assert.equal(keys.belongs(own.pkcs8, leaf), true, 'and is not used up');
    assert.equal(keys.belongs(other.pkcs8, leaf), false, 'another key');
    assert.equal(keys.belongs(own.pkcs8, await leafOf(other)), false, 'another certificate');
    const damaged = Uint8Array.from(own.pkcs8);
    damaged[secretAt[keyType]] = (damaged[secretAt[keyType]] ?? 0) ^ 1;
    assert.equal(keys.belongs(damaged, leaf), false, 'one bit is another');
    for (const rest of [new Uint8Array(), own.pkcs8.slice(0, -1), new Uint8Array(own.pkcs8.length)]) {
      assert.equal(keys.belongs(rest, leaf), false, `${rest.length} bytes of it`);
    }
    assert.equal(keys.belongs(own.pkcs8, leaf.slice(1)), false, 'no certificate');
  });
}
