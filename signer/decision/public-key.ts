/** The public key that is to be certified, and whether it is of a type that is allowed. OpenSSL reads it. */
import { createPublicKey, type KeyObject } from 'node:crypto';
import type { KeyType } from '../../volumes/declaration/key-types.ts';
import { type Refusal, refuse } from './decision.ts';

/** @param publicKey SubjectPublicKeyInfo, DER. @returns why it is not signed for, with the key type to use instead */
export function keyFault(publicKey: Uint8Array, allowed: readonly KeyType[]): Refusal | undefined {
  const keyType = keyTypeOf(publicKey);
  if (keyType !== undefined && allowed.includes(keyType)) {
    return undefined;
  }
  const [first = '', ...others] = allowed;
  const rest = others.length === 0 ? '' : `, or one of ${others.join(', ')}`;
  return refuse(
    'UnsupportedKeyType',
    `the key (${keyType ?? 'of an unknown type'}) is not supported; use ${first}${rest}`,
  );
}

/** Kubernetes' name of a key's type; undefined for one that it does not know, or that is weaker than its kind. */
function keyTypeOf(publicKey: Uint8Array): KeyType | undefined {
  let key: KeyObject;
  try {
    key = createPublicKey({ key: Buffer.from(publicKey), format: 'der', type: 'spki' });
  } catch {
    return undefined;
  }
  const { modulusLength = 0, publicExponent = 0n, namedCurve = '' } = key.asymmetricKeyDetails ?? {};
  switch (key.asymmetricKeyType) {
    case 'ed25519':
      return 'ED25519';
    case 'rsa':
      return publicExponent >= 65_537n && publicExponent % 2n === 1n ? rsaTypes[modulusLength] : undefined;
    case 'ec':
      return curveTypes[namedCurve];
    default:
      return undefined;
  }
}

const rsaTypes: Readonly<Record<number, KeyType>> = { 3072: 'RSA3072', 4096: 'RSA4096' };
const curveTypes: Readonly<Record<string, KeyType>> = {
  prime256v1: 'ECDSAP256',
  secp384r1: 'ECDSAP384',
  secp521r1: 'ECDSAP521',
};
