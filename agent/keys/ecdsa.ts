/**
 * ECDSA over the NIST curves (FIPS 186-5), once for all of them: keys and signatures by noble-curves, encodings and the
 * second opinion by OpenSSL. https://csrc.nist.gov/pubs/fips/186-5/final
 *
 * noble-curves computes with bigints, which JavaScript cannot overwrite. What can be zeroed here is; what cannot is
 * unreachable as soon as the call returns.
 */
import { createPrivateKey, randomBytes, verify } from 'node:crypto';
import { type ECDSA, ecdsa as ecdsaOver } from '@noble/curves/abstract/weierstrass.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { type Algorithm, asBuffer, checked, publicKeyOf, type Sign, withRawSecret } from './algorithm.ts';

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

export function ecdsa({ namedCurve, curve, requestHash, requestSignatureAlgorithm }: EcdsaParameters): Algorithm {
  // A proof of possession is over SHA-256 on every curve. With SHA-256 as the instance's hash, the nonce of RFC 6979 is
  // drawn from it too, and signatures are the ones that the RFC's test vectors list.
  const curveWithSha256 = ecdsaOver(curve.Point, sha256);

  function signWith(instance: ECDSA, hash: string): Sign {
    return async (key, spki, message) => {
      // High S is as good as low S to FIPS 186, X.509 and Go's verifier, so nothing is normalised.
      const options = { format: 'der', prehash: true, lowS: false, extraEntropy: false } as const;
      const signature = withRawSecret(key, (secret) => instance.sign(message, secret, options));
      return checked(signature, verify(hash, message, { key: publicKeyOf(spki), dsaEncoding: 'der' }, signature));
    };
  }

  return {
    runsOn: 'main thread',
    requestSignatureAlgorithm,
    owns: (key) => key.asymmetricKeyType === 'ec' && key.asymmetricKeyDetails?.namedCurve === namedCurve,
    async generate() {
      const seed = randomBytes(curve.lengths.seed ?? 0);
      const secret = asBuffer(curve.utils.randomSecretKey(seed));
      try {
        return createPrivateKey({ key: secret, format: 'raw-private', asymmetricKeyType: 'ec', namedCurve });
      } finally {
        seed.fill(0);
        secret.fill(0);
      }
    },
    proofOfPossession: signWith(curveWithSha256, 'sha256'),
    signRequest: signWith(curve, requestHash),
  };
}
