/**
 * Public keys that may be certified, and the proof that the asker holds the private one.
 *
 * https://datatracker.ietf.org/doc/html/rfc5280#section-4.1.2.7
 * https://github.com/kubernetes/enhancements/tree/master/keps/sig-auth/4317-pod-certificates
 */
import type { Buffer } from 'node:buffer';
import { constants, createPublicKey, type KeyObject, verify } from 'node:crypto';

/** What an API server sees in a SubjectPublicKeyInfo. */
export type PublicKeyJudgement =
  | { readonly kind: 'supported'; readonly key: KeyObject }
  /** A key of a supported algorithm with the wrong parameters: `curve P-224`, `2048-bit modulus`. */
  | { readonly kind: 'wrongCurve' | 'wrongModulus'; readonly found: string }
  /** A well-formed key of an algorithm that is not for certificates of pods. */
  | { readonly kind: 'unsupported' }
  | { readonly kind: 'malformed' };

/** Length of a SubjectPublicKeyInfo with an uncompressed point, which is the only form accepted. */
const curveSpkiBytes: Readonly<Record<string, number>> = {
  secp224r1: 80,
  prime256v1: 91,
  secp384r1: 120,
  secp521r1: 158,
};

/** @param spki SubjectPublicKeyInfo in DER */
export function judgePublicKey(spki: Buffer): PublicKeyJudgement {
  let key: KeyObject;
  try {
    key = createPublicKey({ key: spki, format: 'der', type: 'spki' });
  } catch {
    return { kind: 'malformed' };
  }
  // OpenSSL reads over trailing bytes and odd encodings; the API server does not.
  if (!key.export({ format: 'der', type: 'spki' }).equals(spki)) {
    return { kind: 'malformed' };
  }
  switch (key.asymmetricKeyType) {
    case 'ed25519':
      return { kind: 'supported', key };
    case 'ec':
      return judgeCurve(key, spki.length);
    case 'rsa':
      return judgeModulus(key);
    case 'x25519':
    case 'dsa':
      return { kind: 'unsupported' };
    default:
      return { kind: 'malformed' };
  }
}

function judgeCurve(key: KeyObject, spkiBytes: number): PublicKeyJudgement {
  const curve = key.asymmetricKeyDetails?.namedCurve ?? '';
  if (curveSpkiBytes[curve] !== spkiBytes) {
    return { kind: 'malformed' };
  }
  return curve === 'secp224r1' ? { kind: 'wrongCurve', found: 'curve P-224' } : { kind: 'supported', key };
}

function judgeModulus(key: KeyObject): PublicKeyJudgement {
  // The API server counts whole bytes.
  const bits = Math.ceil((key.asymmetricKeyDetails?.modulusLength ?? 0) / 8) * 8;
  return bits === 3072 || bits === 4096
    ? { kind: 'supported', key }
    : { kind: 'wrongModulus', found: `${bits}-bit modulus` };
}

/**
 * Checks a proof of possession: a signature over the bytes of the pod's UID, Ed25519 as it is, ECDSA over SHA-256 on
 * every curve, RSA as RSASSA-PSS with SHA-256 and a salt of any length.
 */
export function provesPossession(key: KeyObject, podUID: string, signature: Buffer): boolean {
  const data = new TextEncoder().encode(podUID);
  try {
    switch (key.asymmetricKeyType) {
      case 'ed25519':
        return verify(null, data, key, signature);
      case 'ec':
        return verify('sha256', data, { key, dsaEncoding: 'der' }, signature);
      default: {
        const padding = constants.RSA_PKCS1_PSS_PADDING;
        return verify('sha256', data, { key, padding, saltLength: constants.RSA_PSS_SALTLEN_AUTO }, signature);
      }
    }
  } catch {
    return false;
  }
}
