/**
 * What a certification path needs to know of a certificate. OpenSSL, in node:crypto, parses it, checks its signature and
 * says whether it is a CA; names and path length, which Node does not give, are read from its DER.
 *
 * https://www.rfc-editor.org/rfc/rfc5280#section-4.1
 */
import { hash, X509Certificate } from 'node:crypto';
import { type BoundedMap, createBoundedMap } from '../../volumes/base/bounded-map.ts';
import { certificateFields, contentOf, type Element, elementsOf } from '../base/der.ts';
import { validityOf } from '../base/validity.ts';

export interface Certificate {
  readonly der: Uint8Array;
  /** Names in a form in which equal strings are the same name (RFC 5280 section 7.1). */
  readonly subject: string;
  readonly issuer: string;
  /** How many intermediates that are not self-issued may stand between this CA and the leaf (`pathLenConstraint`). */
  readonly longestPath: number;
  /** Parsed when first asked for. @throws when it is not X.509 */
  readonly x509: () => X509Certificate;
}

const tags = { integer: 0x02, utf8: 0x0c, printable: 0x13, ia5: 0x16, extensions: 0xa3 };
const basicConstraints = '551d13';

/** @throws when the bytes are not one X.509 certificate, whole. */
export function parseCertificate(der: Uint8Array): Certificate {
  return asWhole(outlineCertificate(der));
}

function asWhole(certificate: Certificate): Certificate {
  if (certificate.x509().raw.length !== certificate.der.length) {
    throw new RangeError('bytes follow the certificate');
  }
  // What cannot be read is found now.
  const { issuer, longestPath } = certificate;
  return { ...certificate, issuer, longestPath };
}

/**
 * Reads names and path length only, each when it is first asked for: of many trust anchors little is looked at.
 * @throws RangeError when the bytes are not DER in the shape of a certificate, now or then
 */
export function outlineCertificate(der: Uint8Array): Certificate {
  const fields = certificateFields(der);
  const [, , issuer, , subject] = fields;
  const extensions = fields.find(({ tag }) => tag === tags.extensions);
  const subjectKey = nameKey(contentOf(subject));
  const issuerKey = once(() => nameKey(contentOf(issuer)));
  const longestPath = once(() => longestPathIn(extensions));
  return {
    der,
    subject: subjectKey,
    get issuer() {
      return issuerKey();
    },
    get longestPath() {
      return longestPath();
    },
    x509: once(() => new X509Certificate(der)),
  };
}

/** Reads certificates, and knows those that come again and again. */
export interface CertificateReader {
  readonly outline: typeof outlineCertificate;
  readonly parse: typeof parseCertificate;
}

export const plainReader: CertificateReader = { outline: outlineCertificate, parse: parseCertificate };

/** Certificates that are remembered: a node's pods have a few signers, each with a few CAs. */
const mostRemembered = 64;
/** Longer ones are read anew each time; those of CAs have a quarter of it. */
const longestRemembered = 4_096;

/** What is remembered is what the bytes say, and never whether they are trusted. */
export function createCertificateReader(): CertificateReader {
  const known: BoundedMap<string, Certificate> = createBoundedMap(mostRemembered);
  const outline = (der: Uint8Array): Certificate => {
    if (der.length > longestRemembered) {
      return outlineCertificate(der);
    }
    const name = hash('sha256', der);
    // A copy: the bytes may be a part of many others, which would stay with them.
    const certificate = known.get(name) ?? outlineCertificate(new Uint8Array(der));
    known.set(name, certificate);
    return certificate;
  };
  return { outline, parse: (der) => asWhole(outline(der)) };
}

function once<Result>(read: () => Result): () => Result {
  let found: { readonly result: Result } | undefined;
  return () => {
    found ??= { result: read() };
    return found.result;
  };
}

/** Why it may not issue certificates at a time (milliseconds since the epoch); undefined when it may. */
export function whyNoIssuer(certificate: Certificate, at: number): string | undefined {
  const { notBefore, notAfter } = validityOf(certificate.x509());
  if (!certificate.x509().ca) {
    return 'is no CA: it needs basicConstraints CA:TRUE and, where it has a keyUsage, keyCertSign in it';
  }
  if (Number.isNaN(notBefore) || Number.isNaN(notAfter)) {
    return 'has a date that cannot be read';
  }
  if (notBefore > at) {
    return `is not valid before ${new Date(notBefore).toISOString()}`;
  }
  return isExpired(certificate, at) ? `expired at ${new Date(notAfter).toISOString()}` : undefined;
}

export function isExpired(certificate: Certificate, at: number): boolean {
  return validityOf(certificate.x509()).notAfter < at;
}

/** By issuer and certificate, as parsed: whether the one signed the other. What was once found out of the same bytes stays so. */
const verdicts = new WeakMap<X509Certificate, WeakMap<X509Certificate, boolean>>();

/** OpenSSL throws on a key or signature of a kind that it does not know: such a certificate proves nothing. */
export function isSignedBy(certificate: Certificate, issuer: Certificate): boolean {
  try {
    const [subject, signer] = [certificate.x509(), issuer.x509()];
    const known = verdicts.get(signer) ?? new WeakMap<X509Certificate, boolean>();
    const isSigned = known.get(subject) ?? subject.verify(signer.publicKey);
    verdicts.set(signer, known.set(subject, isSigned));
    return isSigned;
  } catch {
    return false;
  }
}

export function isSelfIssued({ issuer, subject }: Certificate): boolean {
  return issuer === subject;
}

function longestPathIn(extensions: Element | undefined): number {
  if (extensions === undefined) {
    return Number.POSITIVE_INFINITY;
  }
  const [list] = elementsOf(extensions.content, 1);
  for (const extension of elementsOf(contentOf(list))) {
    const parts = elementsOf(extension.content);
    const value = parts.at(-1);
    if (hexOf(contentOf(parts[0])) !== basicConstraints) {
      continue;
    }
    const [constraints] = elementsOf(contentOf(value));
    const limit = elementsOf(contentOf(constraints)).find(({ tag }) => tag === tags.integer);
    if (limit !== undefined) {
      return Number.parseInt(hexOf(limit.content), 16);
    }
  }
  return Number.POSITIVE_INFINITY;
}

/** Names that are longer, as nobody has, are compared byte by byte: a certificate may have tens of thousands of parts in its name. */
const longestNameInParts = 512;

/** The kinds of string that may spell one name differently are taken for one, and so are letter case and runs of spaces. */
function nameKey(name: Uint8Array): string {
  if (name.length > longestNameInParts) {
    return hash('sha256', name);
  }
  const sets = elementsOf(name).map(({ content }) =>
    elementsOf(content)
      .map((attribute) => {
        const [type, value] = elementsOf(attribute.content);
        return `${hexOf(contentOf(type))}=${valueKey(value)}`;
      })
      .sort(),
  );
  return JSON.stringify(sets);
}

function valueKey(value: Element | undefined): string {
  const content = contentOf(value);
  const isText = value?.tag === tags.utf8 || value?.tag === tags.printable || value?.tag === tags.ia5;
  if (!isText) {
    return `${value?.tag}:${hexOf(content)}`;
  }
  return Buffer.from(content).toString('utf8').trim().replaceAll(/ +/g, ' ').toLowerCase();
}

function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex');
}
