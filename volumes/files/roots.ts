/**
 * Leaves root certificates out of a chain. Whoever verifies a chain has the root among its own trust anchors and ignores one that is sent
 * along (RFC 8446, section 4.4.2), so a root in the chain costs each handshake some hundred bytes and gains nothing.
 */
import { X509Certificate } from 'node:crypto';

/** A chain has one root, or two while a CA is exchanged. What lies beyond this stays, however many signatures a signer would have checked. */
const maxSignatures = 8;

/** @param chain DER, leaf first; the leaf stays, whoever signed it */
export function withoutRoots(chain: readonly Uint8Array[]): readonly Uint8Array[] {
  let signatures = 0;
  const mayCheck = (): boolean => {
    signatures += 1;
    return signatures <= maxSignatures;
  };
  return chain.filter((der, position) => position === 0 || !isRoot(der, mayCheck));
}

/** Issued under its own name and signed with its own key. A CA's new key that its old one certifies bears one name twice, and is no root. */
function isRoot(der: Uint8Array, mayCheck: () => boolean): boolean {
  try {
    const certificate = new X509Certificate(der);
    return certificate.checkIssued(certificate) && mayCheck() && certificate.verify(certificate.publicKey);
  } catch {
    return false;
  }
}
