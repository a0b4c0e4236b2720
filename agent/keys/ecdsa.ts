/**
 * ECDSA over the NIST curves (FIPS 186-5), once for all of them: keys and signatures by OpenSSL.
 * https://csrc.nist.gov/pubs/fips/186-5/final
 */
import { generateKeyPair } from 'node:crypto';
import { promisify } from 'node:util';
import { type Algorithm, type Sign, signByOpenSsl } from './algorithm.ts';

export interface EcdsaParameters {
  /** The curve's name in OpenSSL. */
  readonly namedCurve: string;
  /** The hash of the curve's own size, by its name in OpenSSL. */
  readonly requestHash: string;
  /** DER AlgorithmIdentifier ecdsa-with-SHA2 of that hash, RFC 5758 section 3.2. */
  readonly requestSignatureAlgorithm: Uint8Array;
}

const generateInPool = promisify(generateKeyPair);

export function ecdsa({ namedCurve, requestHash, requestSignatureAlgorithm }: EcdsaParameters): Algorithm {
  const signWith =
    (hash: string): Sign =>
    (pair, message) =>
      signByOpenSsl(pair, hash, message, { dsaEncoding: 'der' });

  return {
    takes: 'milliseconds',
    requestSignatureAlgorithm,
    owns: (key) => key.asymmetricKeyType === 'ec' && key.asymmetricKeyDetails?.namedCurve === namedCurve,
    async generate() {
      const { privateKey, publicKey } = await generateInPool('ec', {
        namedCurve,
        privateKeyEncoding: { format: 'der', type: 'pkcs8' },
        publicKeyEncoding: { format: 'der', type: 'spki' },
      });
      return { pkcs8: privateKey, spki: publicKey };
    },
    // Over SHA-256 on every curve.
    proofOfPossession: signWith('sha256'),
    signRequest: signWith(requestHash),
  };
}
