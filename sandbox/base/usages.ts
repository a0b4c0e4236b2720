/**
 * The usages of a certificate by the names that Kubernetes and cert-manager give them, with the bits and identifiers that
 * stand for them in certificates and requests. Two names may stand for the same.
 *
 * RFC 5280 sections 4.2.1.3 and 4.2.1.12
 */

/** Bits of KeyUsage, counted from its first. */
const keyUsages: ReadonlyMap<string, number> = new Map([
  ['signing', 1],
  ['digital signature', 1],
  ['content commitment', 2],
  ['key encipherment', 4],
  ['data encipherment', 8],
  ['key agreement', 16],
  ['cert sign', 32],
  ['crl sign', 64],
  ['encipher only', 128],
  ['decipher only', 256],
]);

/** Object identifiers of ExtendedKeyUsage. */
const extendedKeyUsages: ReadonlyMap<string, string> = new Map([
  ['any', '2.5.29.37.0'],
  ['server auth', '1.3.6.1.5.5.7.3.1'],
  ['client auth', '1.3.6.1.5.5.7.3.2'],
  ['code signing', '1.3.6.1.5.5.7.3.3'],
  ['email protection', '1.3.6.1.5.5.7.3.4'],
  ['s/mime', '1.3.6.1.5.5.7.3.4'],
  ['ipsec end system', '1.3.6.1.5.5.7.3.5'],
  ['ipsec tunnel', '1.3.6.1.5.5.7.3.6'],
  ['ipsec user', '1.3.6.1.5.5.7.3.7'],
  ['timestamping', '1.3.6.1.5.5.7.3.8'],
  ['ocsp signing', '1.3.6.1.5.5.7.3.9'],
  ['microsoft sgc', '1.3.6.1.4.1.311.10.3.3'],
  ['netscape sgc', '2.16.840.1.113730.4.1'],
]);

/** In the order in which cert-manager's schema lists them. */
export const usageNames: readonly string[] = [
  ...['signing', 'digital signature', 'content commitment', 'key encipherment', 'key agreement', 'data encipherment'],
  ...['cert sign', 'crl sign', 'encipher only', 'decipher only'],
  ...extendedKeyUsages.keys(),
];

/** What usages come to in a certificate. */
export interface Usages {
  /** Bits of KeyUsage. */
  readonly keyUsage: number;
  /** Object identifiers of ExtendedKeyUsage, in their order. */
  readonly extendedKeyUsage: readonly string[];
}

export function usagesNamed(names: readonly string[]): Usages {
  return {
    keyUsage: names.reduce((bits, name) => bits | (keyUsages.get(name) ?? 0), 0),
    extendedKeyUsage: names.flatMap((name) => extendedKeyUsages.get(name) ?? []),
  };
}

/** Names of the bits of KeyUsage, and of the identifiers of ExtendedKeyUsage, each by one of its names. */
export function namesOf({ keyUsage, extendedKeyUsage }: Usages) {
  const named = [...keyUsages].filter(([name, bit]) => name !== 'signing' && (keyUsage & bit) !== 0);
  const byId = new Map([...extendedKeyUsages].filter(([name]) => name !== 's/mime').map(([name, id]) => [id, name]));
  return { keyUsage: named.map(([name]) => name), extendedKeyUsage: extendedKeyUsage.map((id) => byId.get(id) ?? id) };
}
