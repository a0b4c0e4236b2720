/**
 * Signatures with the keys of RFC 6979 appendix A.2, and against the test vectors of RFC 8032 section 7.1.
 */
import assert from 'node:assert/strict';
import { createPrivateKey, createPublicKey, verify } from 'node:crypto';
import { describe, it } from 'node:test';
import { AgentError } from '../../../agent/base/errors.ts';
import { checked } from '../../../agent/keys/algorithm.ts';
import { createKeyMaker } from '../../../agent/keys/key-maker.ts';
import { algorithms } from '../../../agent/keys/key-types.ts';
import { generateRsa } from '../../../agent/keys/rsa.ts';
import type { Signed } from '../../../agent/keys/second-opinion.ts';
import { refusedBy } from '../../../agent/keys/second-opinions.ts';

const table = algorithms(generateRsa);

/** Secrets: RFC 6979 A.2.5, A.2.6, A.2.7. */
const ecdsaVectors = [
  {
    keyType: 'ECDSAP256',
    namedCurve: 'P-256',
    secret: 'C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721',
  },
  {
    keyType: 'ECDSAP384',
    namedCurve: 'P-384',
    secret: '6B9D3DAD2E1B8C1C05B19875B6659F4DE23C3B667BF297BA9AA47740787137D896D5724E4C70A825F872C9EA60D2EDF5',
  },
  {
    keyType: 'ECDSAP521',
    namedCurve: 'P-521',
    secret:
      '00FAD06DAA62BA3B25D2FB40133DA757205DE67F5BB0018FEE8C86E1B68C7E75CAA896EB32F1F47C70855836A6D16FCC1466F6D8FBEC67DB89EC0C08B0E996B83538',
  },
] as const;

describe('ECDSA proofs of possession', () => {
  for (const { keyType, namedCurve, secret } of ecdsaVectors) {
    it(`on ${namedCurve} are over SHA-256 whatever the curve's own hash`, async () => {
      const key = createPrivateKey({
        key: Buffer.from(secret, 'hex'),
        format: 'raw-private',
        asymmetricKeyType: 'ec',
        namedCurve,
      });
      const restored = createKeyMaker().restore(key.export({ format: 'der', type: 'pkcs8' }));
      assert.equal(restored.keyType, keyType);
      const proof = await restored.proofOfPossession('sample');
      const verifies = (message: string) => verify('sha256', Buffer.from(message), createPublicKey(key), proof);
      assert.deepEqual([verifies('sample'), verifies('other')], [true, false]);
    });
  }
});

describe('Ed25519', () => {
  it('keys and proofs of possession are the ones of RFC 8032, test 2', async () => {
    // RFC 8410 section 7: the frame of an Ed25519 key without its public key.
    const pkcs8 = Buffer.from(
      '302e020100300506032b6570042204204ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb',
      'hex',
    );
    const key = createKeyMaker().restore(pkcs8);
    assert.equal(
      Buffer.from(key.spki).toString('hex'),
      '302a300506032b65700321003d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c',
    );
    assert.equal(
      Buffer.from(await key.proofOfPossession('r')).toString('hex'),
      '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00',
    );
  });
});

describe('a second opinion', () => {
  const message = Buffer.from('message');

  for (const keyType of ['ECDSAP256', 'ECDSAP384', 'ECDSAP521', 'ED25519'] as const) {
    it(`takes both signatures of ${keyType} keys, and neither of another message or key`, async () => {
      const algorithm = table[keyType];
      const [pair, other] = [await algorithm.generate(), await algorithm.generate()];
      const opinion = (spki: Uint8Array, text: Uint8Array, both: Pick<Signed, 'proof' | 'request'>) =>
        refusedBy([{ keyType, spki, message: text, ...both }]).length === 0;
      const proof = await algorithm.proofOfPossession(pair, message);
      const request = await algorithm.signRequest(pair, message);
      const wrong = await algorithm.signRequest(other, message);
      assert.equal(opinion(pair.spki, message, { proof, request }), true);
      assert.equal(opinion(other.spki, message, { proof, request }), false);
      assert.equal(opinion(pair.spki, message, { proof: wrong, request }), false);
      assert.equal(opinion(pair.spki, message, { proof, request: wrong }), false);
      assert.equal(opinion(pair.spki, Buffer.from('other'), { proof, request }), false);
    });
  }

  it('is far more work for the main thread than a signature, and no part of one', async () => {
    const algorithm = table.ECDSAP521;
    const pair = await algorithm.generate();
    const rounds = Array.from({ length: 12 }, (_, round) => Buffer.from(`message ${round}`));
    const cpu = (): number => {
      const { user, system } = process.threadCpuUsage();
      return user + system;
    };
    const began = cpu();
    const signatures: { message: Buffer; proof: Uint8Array; request: Uint8Array }[] = [];
    for (const message of rounds) {
      const proof = await algorithm.proofOfPossession(pair, message);
      signatures.push({ message, proof, request: await algorithm.signRequest(pair, message) });
    }
    const signed = cpu();
    assert.ok(
      refusedBy(signatures.map((signed) => ({ keyType: 'ECDSAP521', spki: pair.spki, ...signed }))).length === 0,
      'the opinion is good',
    );
    const [signing, judging] = [signed - began, cpu() - signed];
    assert.ok(signing * 3 < judging, `${signing} µs for signatures, ${judging} µs for opinions`);
  });
});

describe('a signature that does not verify', () => {
  const isInternal = (error: unknown) =>
    error instanceof AgentError && error.code === 'Internal' && error.cause === undefined;

  it('does not leave the process', async () => {
    assert.throws(() => checked(new Uint8Array(64), false), isInternal);
    for (const keyType of ['RSA3072', 'ECDSAP256', 'ECDSAP384', 'ECDSAP521', 'ED25519'] as const) {
      const algorithm = table[keyType];
      const [{ pkcs8 }, { spki }] = [await algorithm.generate(), await algorithm.generate()];
      await assert.rejects(algorithm.proofOfPossession({ pkcs8, spki }, Buffer.from('uid')), isInternal);
      await assert.rejects(algorithm.signRequest({ pkcs8, spki }, Buffer.from('info')), isInternal);
    }
  });

  it('is not made from bytes that are no key, and the error tells nothing of them', async () => {
    for (const keyType of ['RSA3072', 'ECDSAP256', 'ED25519'] as const) {
      const { spki } = await table[keyType].generate();
      await assert.rejects(
        table[keyType].signRequest({ pkcs8: Buffer.alloc(99), spki }, Buffer.from('info')),
        isInternal,
      );
    }
  });
});
