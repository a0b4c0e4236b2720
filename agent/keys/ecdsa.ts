/**
 * ECDSA over the NIST curves (FIPS 186-5), once for all of them: keys and signatures by OpenSSL, a second opinion at start by
 * noble-curves. https://csrc.nist.gov/pubs/fips/186-5/final
 *
 * noble-curves computes with bigints, which JavaScript cannot overwrite: it sees public keys only.
 */
import { generateKeyPair } from 'node:crypto';
import { promisify } from 'node:util';
import { type ECDSA, ecdsa as ecdsaOver } from '@noble/curves/abstract/weierstrass.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { type Algorithm, rawPublicKeyOf, type Sign, signByOpenSsl } from './algorithm.ts';

export interface EcdsaParameters {
  /** The curve's name in OpenSSL. */
  readonly namedCurve: string;
  /** The curve with the hash of its own size, as a request is signed. */
  readonly curve: ECDSA;
  /** That hash's name in OpenSSL. */
  readonly requestHash: string;
  /** DER AlgorithmIdentifier ecdsa-with-SHA2 of that hash, RFC 5758 section 3.2. */
  readonly requestSignatureAlgorithm: Uint8Array;
}

const generateInPool = promisify(generateKeyPair);

export function ecdsa({ namedCurve, curve, requestHash, requestSignatureAlgorithm }: EcdsaParameters): Algorithm {
  // A proof of possession is over SHA-256 on every curve.
  const curveWithSha256 = ecdsaOver(curve.Point, sha256);

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
    proofOfPossession: signWith('sha256'),
    signRequest: signWith(requestHash),
    secondOpinion(spki, message, { proof, request }) {
      const key = rawPublicKeyOf(spki);
      // High S is as good as low S to FIPS 186, X.509 and Go's verifier.
      const options = { format: 'der', prehash: true, lowS: false } as const;
      return curveWithSha256.verify(proof, message, key, options) && curve.verify(request, message, key, options);
    },
  };
}
