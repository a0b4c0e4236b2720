/**
 * Another implementation's opinion of signatures, by key type: noble-curves and noble-ed25519 for the elliptic curves; RSA has no other.
 * They compute with bigints, which JavaScript cannot overwrite, so they see public keys only. In a process of its own
 * (`second-opinion-program.ts`): up to 25 ms a signature, and 10 MiB that are not given back while the process lives.
 */
import { type ECDSA, ecdsa as ecdsaOver } from '@noble/curves/abstract/weierstrass.js';
import { p256, p384, p521 } from '@noble/curves/nist.js';
import { hashes, verify } from '@noble/ed25519';
import { sha256, sha512 } from '@noble/hashes/sha2.js';
import type { KeyType } from '../../volumes/declaration/key-types.ts';
import { rawPublicKeyOf } from './algorithm.ts';
import type { Signed } from './second-opinion.ts';

// noble-ed25519 brings no hash of its own.
hashes.sha512 = sha512;

/** Whether both signatures of the message are by the key. */
type Opinion = (signed: Signed) => boolean;

/** @param curve with the hash of its own size, as a request is signed */
function ecdsa(curve: ECDSA): Opinion {
  // A proof of possession is over SHA-256 on every curve.
  const curveWithSha256 = ecdsaOver(curve.Point, sha256);
  // High S is as good as low S to FIPS 186, X.509 and Go's verifier.
  const options = { format: 'der', prehash: true, lowS: false } as const;
  return ({ spki, message, proof, request }) => {
    const key = rawPublicKeyOf(spki);
    return curveWithSha256.verify(proof, message, key, options) && curve.verify(request, message, key, options);
  };
}

const secondOpinions: Readonly<Partial<Record<KeyType, Opinion>>> = {
  ECDSAP256: ecdsa(p256),
  ECDSAP384: ecdsa(p384),
  ECDSAP521: ecdsa(p521),
  ED25519: ({ spki, message, proof, request }) =>
    [proof, request].every((signature) => verify(signature, message, rawPublicKeyOf(spki), { zip215: false })),
};

/** The key types whose signatures are not taken. */
export function refusedBy(signed: readonly Signed[]): readonly KeyType[] {
  return signed.filter((one) => secondOpinions[one.keyType]?.(one) !== true).map(({ keyType }) => keyType);
}
