import assert from 'node:assert/strict';
import { createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { test } from 'node:test';
import { keyTypeOf } from '../../../volumes/declaration/key-types.ts';

/** An RSA key of so many bits; that nobody has its private half makes no difference. */
function rsaKey(bits: number): KeyObject {
  const n = Buffer.alloc(bits / 8, 0xff).toString('base64url');
  return createPublicKey({ format: 'jwk', key: { kty: 'RSA', n, e: 'AQAB' } });
}

test('a key has the name that Kubernetes has for its kind and size, and none where it has none', () => {
  const curve = (namedCurve: string) => generateKeyPairSync('ec', { namedCurve }).publicKey;
  for (const [key, type] of [
    [rsaKey(3072), 'RSA3072'],
    [rsaKey(4096), 'RSA4096'],
    [rsaKey(2048), undefined],
    [curve('prime256v1'), 'ECDSAP256'],
    [curve('secp384r1'), 'ECDSAP384'],
    [curve('secp521r1'), 'ECDSAP521'],
    [curve('secp256k1'), undefined],
    [generateKeyPairSync('ed25519').publicKey, 'ED25519'],
    [generateKeyPairSync('ed448').publicKey, undefined],
  ] as const) {
    assert.equal(keyTypeOf(key), type);
  }
});
