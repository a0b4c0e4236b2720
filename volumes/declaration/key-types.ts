/**
 * The key types a podCertificate source may name (Kubernetes `PodCertificateProjection.keyType`).
 *
 * https://kubernetes.io/docs/reference/kubernetes-api/config-and-storage-resources/volume/
 */
import type { KeyObject } from 'node:crypto';

export const keyTypes = ['RSA3072', 'RSA4096', 'ECDSAP256', 'ECDSAP384', 'ECDSAP521', 'ED25519'] as const;
export type KeyType = (typeof keyTypes)[number];

const rsaTypes: Readonly<Record<number, KeyType>> = { 3072: 'RSA3072', 4096: 'RSA4096' };
const curveTypes: Readonly<Record<string, KeyType>> = {
  prime256v1: 'ECDSAP256',
  secp384r1: 'ECDSAP384',
  secp521r1: 'ECDSAP521',
};

/** Kubernetes' name of a key's type; undefined for a key of another kind or size. */
export function keyTypeOf({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject): KeyType | undefined {
  const { modulusLength = 0, namedCurve = '' } = asymmetricKeyDetails ?? {};
  switch (asymmetricKeyType) {
    case 'ed25519':
      return 'ED25519';
    case 'rsa':
      return rsaTypes[modulusLength];
    case 'ec':
      return curveTypes[namedCurve];
    default:
      return undefined;
  }
}
