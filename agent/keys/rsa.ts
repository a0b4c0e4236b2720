/**
 * RSA by OpenSSL (RFC 8017), in the thread pool: making a key takes about a second, a signature some milliseconds.
 * https://www.rfc-editor.org/rfc/rfc8017
 */
import { constants, generateKeyPair, type KeyObject, sign } from 'node:crypto';
import { promisify } from 'node:util';
import type { Algorithm, Sign } from './algorithm.ts';

/** Makes an RSA key with a modulus of so many bits. */
export type RsaGenerator = (modulusLength: number) => Promise<KeyObject>;

const generateInPool = promisify(generateKeyPair);
const signInPool = promisify(sign);

/** A key with the public exponent 65537. */
export const generateRsa: RsaGenerator = async (modulusLength) =>
  (await generateInPool('rsa', { modulusLength, publicExponent: 65537 })).privateKey;

// RSASSA-PSS with SHA-256, MGF1 with the same hash, and a salt as long as the digest.
const signPss: Sign = (key, _spki, message) =>
  signInPool('sha256', message, {
    key,
    padding: constants.RSA_PKCS1_PSS_PADDING,
    saltLength: constants.RSA_PSS_SALTLEN_DIGEST,
  });

const signPkcs1: Sign = (key, _spki, message) =>
  signInPool('sha256', message, { key, padding: constants.RSA_PKCS1_PADDING });

export function rsa(modulusLength: number, generate: RsaGenerator): Algorithm {
  return {
    runsOn: 'thread pool',
    // sha256WithRSAEncryption, NULL parameters: RFC 4055 section 5.
    requestSignatureAlgorithm: Buffer.from('300d06092a864886f70d01010b0500', 'hex'),
    owns: (key) => key.asymmetricKeyType === 'rsa' && key.asymmetricKeyDetails?.modulusLength === modulusLength,
    generate: () => generate(modulusLength),
    proofOfPossession: signPss,
    signRequest: signPkcs1,
  };
}
