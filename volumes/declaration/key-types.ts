/**
 * The key types a podCertificate source may name (Kubernetes `PodCertificateProjection.keyType`).
 *
 * https://kubernetes.io/docs/reference/kubernetes-api/config-and-storage-resources/volume/
 */
export const keyTypes = ['RSA3072', 'RSA4096', 'ECDSAP256', 'ECDSAP384', 'ECDSAP521', 'ED25519'] as const;
export type KeyType = (typeof keyTypes)[number];
