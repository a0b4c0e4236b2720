import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { inspect } from 'node:util';
import { AgentError } from '../../../agent/base/errors.ts';
import { createKeyMaker } from '../../../agent/keys/key-maker.ts';
import type { PrivateKey } from '../../../agent/lifecycle/ports.ts';
import { type KeyType, keyTypes } from '../../../volumes/declaration/key-types.ts';
import { createOpenSsl } from '../../support/openssl.ts';

const podUID = '2f1c8a64-7c0e-4d7c-9b55-0d6f2f6b7d10';

/** How `openssl pkeyutl -verify` checks a proof of possession of each key type. */
const proofCheck: Record<'RSA' | 'ECDSA' | 'ED25519', readonly string[]> = {
  RSA: ['-digest', 'sha256', '-pkeyopt', 'rsa_padding_mode:pss', '-pkeyopt', 'rsa_pss_saltlen:digest'],
  ECDSA: ['-digest', 'sha256'],
  ED25519: [],
};

const expected: Record<KeyType, { key: RegExp; request: string }> = {
  RSA3072: { key: /Private-Key: \(3072 bit, 2 primes\)/, request: 'sha256WithRSAEncryption' },
  RSA4096: { key: /Private-Key: \(4096 bit, 2 primes\)/, request: 'sha256WithRSAEncryption' },
  ECDSAP256: { key: /NIST CURVE: P-256/, request: 'ecdsa-with-SHA256' },
  ECDSAP384: { key: /NIST CURVE: P-384/, request: 'ecdsa-with-SHA384' },
  ECDSAP521: { key: /NIST CURVE: P-521/, request: 'ecdsa-with-SHA512' },
  ED25519: { key: /ED25519 Private-Key/, request: 'ED25519' },
};

const openssl = createOpenSsl();
const keys = createKeyMaker();

for (const keyType of keyTypes) {
  describe(`a private key of type ${keyType}`, () => {
    let key: PrivateKey;
    before(async () => {
      key = await keys.generate(keyType);
    });

    it('is PKCS#8 as OpenSSL writes it, with the public key that goes with it', async () => {
      const text = await openssl.run('pkey', '-inform', 'DER', '-in', key.pkcs8, '-noout', '-text', '-check');
      assert.match(text.toString(), expected[keyType].key);
      assert.match(text.toString(), /Key is valid/);
      const rewritten = await openssl.run(
        'pkcs8',
        '-topk8',
        '-nocrypt',
        '-inform',
        'DER',
        '-outform',
        'DER',
        '-in',
        key.pkcs8,
      );
      assert.equal(Buffer.compare(rewritten, key.pkcs8), 0);
      const publicKey = await openssl.run('pkey', '-inform', 'DER', '-in', key.pkcs8, '-pubout', '-outform', 'DER');
      assert.equal(Buffer.compare(publicKey, key.spki), 0);
    });

    it('proves its possession over the pod UID so that OpenSSL agrees', async () => {
      const proof = await key.proofOfPossession(podUID);
      const how = proofCheck[keyType.startsWith('RSA') ? 'RSA' : keyType === 'ED25519' ? 'ED25519' : 'ECDSA'];
      const verify = (message: string) =>
        openssl.run(
          ...['pkeyutl', '-verify', '-rawin', '-pubin', '-keyform', 'DER', '-inkey', key.spki, ...how],
          ...['-in', Buffer.from(message), '-sigfile', proof],
        );
      assert.match((await verify(podUID)).toString(), /Signature Verified Successfully/);
      await assert.rejects(verify(`${podUID}x`), /Signature Verification Failure/);
    });

    it('makes an empty stub request that OpenSSL verifies', async () => {
      const stub = await key.stubRequest();
      const text = await openssl.run('req', '-inform', 'DER', '-in', stub, '-noout', '-verify', '-text', '-subject');
      const lines = text.toString();
      assert.match(lines, /Version: 1 \(0x0\)/);
      assert.match(lines, /^ *Subject: *$/m);
      assert.match(lines, /Attributes:\s+\(none\)/);
      assert.match(lines, new RegExp(`Signature Algorithm: ${expected[keyType].request}$`, 'm'));
      const publicKey = await openssl.run('req', '-inform', 'DER', '-in', stub, '-noout', '-pubkey');
      const spki = await openssl.run('pkey', '-pubin', '-in', publicKey, '-outform', 'DER');
      assert.equal(Buffer.compare(spki, key.spki), 0);
    });

    it('is restored from its PKCS#8 with its type, and signs again', async () => {
      const restored = keys.restore(Uint8Array.from(key.pkcs8));
      assert.equal(restored.keyType, keyType);
      assert.equal(Buffer.compare(restored.spki, key.spki), 0);
      const known = keys.restore(Uint8Array.from(key.pkcs8), { keyType, spki: key.spki });
      for (const again of [restored, known]) {
        const stub = await again.stubRequest();
        await openssl.run('req', '-inform', 'DER', '-in', stub, '-noout', '-verify');
        assert.ok(Buffer.from(stub).includes(Buffer.from(key.spki)), 'the stub request does not hold the public key');
      }
      restored.destroy();
      assert.ok(
        key.pkcs8.some((byte) => byte !== 0),
        'the key is zeroed before it is destroyed',
      );
    });

    it('shows its type and no bytes wherever it is printed', () => {
      const shown = `[${keyType} private key]`;
      assert.equal(inspect(key), shown);
      assert.equal(inspect({ key: { ...key } }), `{ key: ${shown} }`);
      assert.equal(JSON.stringify({ key }), `{"key":"${shown}"}`);
      assert.equal(`${key}`, shown);
    });

    it('is zeroed when it is destroyed, twice without harm, and signs no more', async () => {
      const { pkcs8 } = key;
      const underWay = Promise.allSettled([key.stubRequest()]);
      key.destroy();
      key.destroy();
      assert.ok(
        pkcs8.every((byte) => byte === 0),
        'bytes of the destroyed key are left',
      );
      const gone = (error: unknown) => error instanceof AgentError && error.code === 'Internal';
      await assert.rejects(key.proofOfPossession(podUID), gone);
      await assert.rejects(key.stubRequest(), gone);
      // A signature under way either was made before or is refused; it is never made from zeroes.
      const [result] = await underWay;
      assert.ok(result.status === 'fulfilled' || gone(result.reason), inspect(result));
    });
  });
}
