/**
 * The six key types of a podCertificate source, as data (Kubernetes `PodCertificateProjection.keyType`).
 * https://kubernetes.io/docs/reference/access-authn-authz/certificate-signing-requests/#pod-certificate-requests
 */
import type { KeyType } from '../../volumes/declaration/key-types.ts';
import type { Algorithm } from './algorithm.ts';
import { ecdsa } from './ecdsa.ts';
import { ed25519 } from './ed25519.ts';
import { type RsaGenerator, rsa } from './rsa.ts';

/** The algorithm of each key type; `generateRsa` makes the RSA keys. */
export function algorithms(generateRsa: RsaGenerator): Readonly<Record<KeyType, Algorithm>> {
  return {
    RSA3072: rsa(3072, generateRsa),
    RSA4096: rsa(4096, generateRsa),
    ECDSAP256: ecdsa({
      namedCurve: 'prime256v1',
      requestHash: 'sha256',
      requestSignatureAlgorithm: Buffer.from('300a06082a8648ce3d040302', 'hex'),
    }),
    ECDSAP384: ecdsa({
      namedCurve: 'secp384r1',
      requestHash: 'sha384',
      requestSignatureAlgorithm: Buffer.from('300a06082a8648ce3d040303', 'hex'),
    }),
    ECDSAP521: ecdsa({
      namedCurve: 'secp521r1',
      requestHash: 'sha512',
      requestSignatureAlgorithm: Buffer.from('300a06082a8648ce3d040304', 'hex'),
    }),
    ED25519: ed25519,
  };
}
