/**
 * Signatures against the published test vectors: RFC 6979 appendix A.2 (deterministic ECDSA) and RFC 8032 section 7.1.
 */
import assert from 'node:assert/strict';
import { createPrivateKey, createPublicKey, generateKeyPairSync } from 'node:crypto';
import { describe, it } from 'node:test';
import { AgentError } from '../../../agent/base/errors.ts';
import { checked, withRawSecret } from '../../../agent/keys/algorithm.ts';
import { createKeyMaker } from '../../../agent/keys/key-maker.ts';
import { algorithms } from '../../../agent/keys/key-types.ts';
import { generateRsa } from '../../../agent/keys/rsa.ts';

const table = algorithms(generateRsa);

/** Signatures over "sample" with SHA-256: RFC 6979 A.2.5, A.2.6, A.2.7. */
const ecdsaVectors = [
  {
    keyType: 'ECDSAP256',
    namedCurve: 'P-256',
    secret: 'C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721',
    r: 'EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716',
    s: 'F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8',
  },
  {
    keyType: 'ECDSAP384',
    namedCurve: 'P-384',
    secret: '6B9D3DAD2E1B8C1C05B19875B6659F4DE23C3B667BF297BA9AA47740787137D896D5724E4C70A825F872C9EA60D2EDF5',
    r: '21B13D1E013C7FA1392D03C5F99AF8B30C570C6F98D4EA8E354B63A21D3DAA33BDE1E888E63355D92FA2B3C36D8FB2CD',
    s: 'F3AA443FB107745BF4BD77CB3891674632068A10CA67E3D45DB2266FA7D1FEEBEFDC63ECCD1AC42EC0CB8668A4FA0AB0',
  },
  {
    keyType: 'ECDSAP521',
    namedCurve: 'P-521',
    secret:
      '00FAD06DAA62BA3B25D2FB40133DA757205DE67F5BB0018FEE8C86E1B68C7E75CAA896EB32F1F47C70855836A6D16FCC1466F6D8FBEC67DB89EC0C08B0E996B83538',
    r: '01511BB4D675114FE266FC4372B87682BAECC01D3CC62CF2303C92B3526012659D16876E25C7C1E57648F23B73564D67F61C6F14D527D54972810421E7D87589E1A7',
    s: '004A171143A83163D6DF460AAF61522695F207A58B95C0644D87E52AA1A347916E4F7A72930B1BC06DBE22CE3F58264AFD23704CBB63B29B931F7DE6C9D949A7ECFC',
  },
] as const;

/** r and s of a DER ECDSA signature, hexadecimal, padded to `width` digits. */
function readDer(signature: Uint8Array, width: number): { r: string; s: string } {
  const bytes = Buffer.from(signature);
  const rAt = (bytes[1] === 0x81 ? 3 : 2) + 2;
  const rLength = bytes.readUInt8(rAt - 1);
  const sAt = rAt + rLength + 2;
  const hex = (part: Buffer) => part.toString('hex').toUpperCase().replace(/^0+/, '').padStart(width, '0');
  return { r: hex(bytes.subarray(rAt, rAt + rLength)), s: hex(bytes.subarray(sAt)) };
}

describe('ECDSA proofs of possession', () => {
  for (const { keyType, namedCurve, secret, r, s } of ecdsaVectors) {
    it(`on ${namedCurve} are over SHA-256 and are the ones of RFC 6979`, async () => {
      const key = createPrivateKey({
        key: Buffer.from(secret, 'hex'),
        format: 'raw-private',
        asymmetricKeyType: 'ec',
        namedCurve,
      });
      const restored = createKeyMaker().restore(key.export({ format: 'der', type: 'pkcs8' }));
      assert.equal(restored.keyType, keyType);
      assert.deepEqual(readDer(await restored.proofOfPossession('sample'), r.length), { r, s });
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

describe('a signature that OpenSSL does not verify', () => {
  const isInternal = (error: unknown) => error instanceof AgentError && error.code === 'Internal';

  it('does not leave the process', async () => {
    assert.throws(() => checked(new Uint8Array(64), false), isInternal);
    for (const keyType of ['ECDSAP256', 'ECDSAP384', 'ECDSAP521', 'ED25519'] as const) {
      const algorithm = table[keyType];
      const [key, other] = [await algorithm.generate(), await algorithm.generate()];
      const spki = createPublicKey(other).export({ format: 'der', type: 'spki' });
      await assert.rejects(algorithm.proofOfPossession(key, spki, Buffer.from('uid')), isInternal);
      await assert.rejects(algorithm.signRequest(key, spki, Buffer.from('info')), isInternal);
    }
  });
});

describe('a raw secret', () => {
  const key = generateKeyPairSync('ed25519').privateKey;

  it('is zeroed when it has been used', () => {
    const secret = withRawSecret(key, (bytes) => {
      assert.ok(bytes.some((byte) => byte !== 0));
      return bytes;
    });
    assert.equal(secret.length, 32);
    assert.ok(secret.every((byte) => byte === 0));
  });

  it('is zeroed when its user fails, whose words are not passed on', () => {
    const kept: Uint8Array[] = [];
    assert.throws(
      () =>
        withRawSecret(key, (bytes) => {
          kept.push(bytes);
          throw new Error(`bad key ${Buffer.from(bytes).toString('hex')}`);
        }),
      (error) => error instanceof AgentError && error.cause === undefined && !/bad key/.test(String(error.stack)),
    );
    assert.ok(kept[0]?.length === 32 && kept[0].every((byte) => byte === 0));
  });
});
