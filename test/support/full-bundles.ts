/** Trust bundles as long as the API server takes them. */

/** `spec.trustBundle` may have so many bytes. */
export const longestBundleBytes = 1024 * 1024;

/**
 * A bundle of certificates that no other bundle has.
 * @param der a certificate; its last bytes, which belong to the signature, are replaced
 * @param seed below 65536; another one makes other certificates
 */
export function fullBundle(certificate: Uint8Array, seed: number, longest: number = longestBundleBytes): string {
  const der = Buffer.from(certificate);
  const blocks: string[] = [];
  for (let left = longest; left > 0; ) {
    der.writeUInt32BE(seed * 0x1_0000 + blocks.length, der.length - 4);
    const block = `-----BEGIN CERTIFICATE-----\n${der.toString('base64')}\n-----END CERTIFICATE-----\n`;
    left -= block.length;
    if (left > 0) {
      blocks.push(block);
    }
  }
  return blocks.join('');
}
