/**
 * The certificates in a ClusterTrustBundle: `CERTIFICATE` blocks of PEM, with text allowed around them.
 *
 * https://www.rfc-editor.org/rfc/rfc7468 https://kubernetes.io/docs/reference/access-authn-authz/certificate-signing-requests/#cluster-trust-bundles
 */
import { X509Certificate } from 'node:crypto';
import { readCertificateBlocks } from '../base/pem.ts';

/**
 * Reads a bundle. Text between blocks and headers within them are dropped.
 * @param pem `spec.trustBundle`.
 * @returns DER certificates in the bundle's order, possibly some twice.
 * @throws Error that names the block at fault, by its position from 1, and never quotes it.
 */
export function readTrustBundle(pem: string): Uint8Array[] {
  const blocks = readCertificateBlocks(pem);
  if (blocks.length === 0) {
    throw new Error('it holds no certificate');
  }
  return blocks.map((der, index) => readCertificate(der, index + 1));
}

function readCertificate(der: Uint8Array, position: number): Uint8Array {
  try {
    // `raw` is what the parser understood: bytes that follow the certificate are left out.
    return new Uint8Array(new X509Certificate(der).raw);
  } catch {
    throw new Error(`block ${position} is not an X.509 certificate`);
  }
}

/** The union of several bundles: each certificate once, ordered by its bytes, so that the same set gives the same file. */
export function uniteCertificates(bundles: readonly (readonly Uint8Array[])[]): Uint8Array[] {
  const sorted = bundles.flat().sort(Buffer.compare);
  return sorted.filter((certificate, index) => {
    const before = sorted[index - 1];
    return before === undefined || Buffer.compare(before, certificate) !== 0;
  });
}
