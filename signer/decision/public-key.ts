/** The public key that is to be certified, and whether it is of a type that is allowed. OpenSSL reads it. */
import { createPublicKey, type KeyObject } from 'node:crypto';
import { type KeyType, keyTypeOf } from '../../volumes/declaration/key-types.ts';
import { type Refusal, refuse } from './decision.ts';

/** @param publicKey SubjectPublicKeyInfo, DER. @returns why it is not signed for, with the key type to use instead */
export function keyFault(publicKey: Uint8Array, allowed: readonly KeyType[]): Refusal | undefined {
  const keyType = soundTypeOf(publicKey);
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

/** Undefined for a key of a type that Kubernetes does not know, or that is weaker than its kind. */
function soundTypeOf(publicKey: Uint8Array): KeyType | undefined {
  let key: KeyObject;
  try {
    key = createPublicKey({ key: Buffer.from(publicKey), format: 'der', type: 'spki' });
  } catch {
    return undefined;
  }
  const { publicExponent } = key.asymmetricKeyDetails ?? {};
  const isSound = publicExponent === undefined || (publicExponent >= 65_537n && publicExponent % 2n === 1n);
  return isSound ? keyTypeOf(key) : undefined;
}
