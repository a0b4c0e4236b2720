/**
 * The usages of a certificate by the names of Kubernetes and cert-manager, and the bits and identifiers that stand for
 * them in a request. One list feeds both the object's `usages` and the extensions of the request in it, because
 * cert-manager refuses a request in which the two differ.
 *
 * https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/certificate-signing-request-v1/
 * RFC 5280 sections 4.2.1.3 and 4.2.1.12
 */

/** Bit numbers of KeyUsage. */
const keyUsages = {
  signing: 0,
  'digital signature': 0,
  'content commitment': 1,
  'key encipherment': 2,
  'data encipherment': 3,
  'key agreement': 4,
  'encipher only': 7,
  'decipher only': 8,
} as const;

/** Object identifiers of ExtendedKeyUsage. */
const extendedKeyUsages = {
  any: '2.5.29.37.0',
  'server auth': '1.3.6.1.5.5.7.3.1',
  'client auth': '1.3.6.1.5.5.7.3.2',
  'code signing': '1.3.6.1.5.5.7.3.3',
  'email protection': '1.3.6.1.5.5.7.3.4',
  's/mime': '1.3.6.1.5.5.7.3.4',
  'ipsec end system': '1.3.6.1.5.5.7.3.5',
  'ipsec tunnel': '1.3.6.1.5.5.7.3.6',
  'ipsec user': '1.3.6.1.5.5.7.3.7',
  timestamping: '1.3.6.1.5.5.7.3.8',
  'ocsp signing': '1.3.6.1.5.5.7.3.9',
  'microsoft sgc': '1.3.6.1.4.1.311.10.3.3',
  'netscape sgc': '2.16.840.1.113730.4.1',
} as const;

/** `cert sign` and `crl sign` are missing on purpose: a pod's certificate is no authority's. */
export type Usage = keyof typeof keyUsages | keyof typeof extendedKeyUsages;

export const usageNames: readonly string[] = [...Object.keys(keyUsages), ...Object.keys(extendedKeyUsages)];

export function isUsage(value: unknown): value is Usage {
  return typeof value === 'string' && usageNames.includes(value);
}

/** The bits of KeyUsage that the usages name, each once, in ascending order. */
export function keyUsageBits(usages: readonly Usage[]): readonly number[] {
  const named = new Map<string, number>(Object.entries(keyUsages));
  const bits = usages.flatMap((usage) => named.get(usage) ?? []);
  return [...new Set(bits)].sort((a, b) => a - b);
}

/** The identifiers of ExtendedKeyUsage that the usages name, each once, in their order. */
export function extendedKeyUsageIds(usages: readonly Usage[]): readonly string[] {
  const named = new Map<string, string>(Object.entries(extendedKeyUsages));
  return [...new Set(usages.flatMap((usage) => named.get(usage) ?? []))];
}
