/**
 * The certificates in a ClusterTrustBundle: `CERTIFICATE` blocks of PEM, with text allowed around them.
 *
 * https://www.rfc-editor.org/rfc/rfc7468 https://kubernetes.io/docs/reference/access-authn-authz/certificate-signing-requests/#cluster-trust-bundles
 */
import { X509Certificate } from 'node:crypto';

const block = /^-----BEGIN ([^-\r\n]*)-----[ \t]*\r?\n([\s\S]*?)^-----END \1-----/gm;

/** RFC 1421 headers: no base64 line has a colon; a header goes on in lines that begin with a space. */
const headerLine = /^(.*:.*|[ \t].*)$/gm;

/**
 * Reads a bundle. Text between blocks and headers within them are dropped.
 * @param pem `spec.trustBundle`.
 * @returns DER certificates in the bundle's order, possibly some twice.
 * @throws Error that names the block at fault, by its position from 1, and never quotes it.
 */
export function readTrustBundle(pem: string): Uint8Array[] {
  const certificates = [...pem.matchAll(block)].map(([, label = '', body = ''], index) => {
    if (label !== 'CERTIFICATE') {
      throw new Error(`block ${index + 1} is not a CERTIFICATE`);
    }
    return readCertificate(body, index + 1);
  });
  const begun = pem.match(/^-----BEGIN /gm)?.length ?? 0;
  if (begun !== certificates.length) {
    throw new Error(`${begun} blocks begin and ${certificates.length} are complete`);
  }
  if (certificates.length === 0) {
    throw new Error('it holds no certificate');
  }
  return certificates;
}

function readCertificate(body: string, position: number): Uint8Array {
  const der = Buffer.from(body.replace(headerLine, '').replace(/\s+/g, ''), 'base64');
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
