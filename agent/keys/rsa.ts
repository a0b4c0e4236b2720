/**
 * RSA by OpenSSL (RFC 8017), in the thread pool: making a key takes about a second, a signature some milliseconds.
 * https://www.rfc-editor.org/rfc/rfc8017
 */
import { constants, generateKeyPair } from 'node:crypto';
import { promisify } from 'node:util';
import { type Algorithm, type KeyPair, type Sign, signByOpenSsl } from './algorithm.ts';

/** Makes an RSA key with a modulus of so many bits. */
export type RsaGenerator = (modulusLength: number) => Promise<KeyPair>;

const generateInPool = promisify(generateKeyPair);

/** A key with the public exponent 65537. */
export const generateRsa: RsaGenerator = async (modulusLength) => {
  const { privateKey, publicKey } = await generateInPool('rsa', {
    modulusLength,
    publicExponent: 65537,
    privateKeyEncoding: { format: 'der', type: 'pkcs8' },
    publicKeyEncoding: { format: 'der', type: 'spki' },
  });
  return { pkcs8: privateKey, spki: publicKey };
};

const signWith =
  (options: { readonly padding: number; readonly saltLength?: number }): Sign =>
  (pair, message) =>
    signByOpenSsl(pair, 'sha256', message, options);

// RSASSA-PSS with SHA-256, MGF1 with the same hash, and a salt as long as the digest.
const pss = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST };
const pkcs1 = { padding: constants.RSA_PKCS1_PADDING };

export function rsa(modulusLength: number, generate: RsaGenerator): Algorithm {
  return {
    takes: 'seconds',
    // sha256WithRSAEncryption, NULL parameters: RFC 4055 section 5.
    requestSignatureAlgorithm: Buffer.from('300d06092a864886f70d01010b0500', 'hex'),
    owns: (key) => key.asymmetricKeyType === 'rsa' && key.asymmetricKeyDetails?.modulusLength === modulusLength,
    generate: () => generate(modulusLength),
    proofOfPossession: signWith(pss),
    signRequest: signWith(pkcs1),
  };
}
