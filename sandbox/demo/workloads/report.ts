/**
 * What the sample workloads say: one JSON object a line on standard output.
 */
import { X509Certificate } from 'node:crypto';

/** Who somebody is, as their certificate says it. */
export interface Identity {
  readonly spiffeId: string;
  /** Upper-case hexadecimal. */
  readonly serial: string;
  readonly issuer: string;
  /** RFC 3339. */
  readonly notAfter: string;
}

export type Report =
  /** The server listens. */
  | { readonly type: 'listening'; readonly port: number }
  /** The workload's own certificate, at start and after each renewal. */
  | { readonly type: 'own'; readonly identity: Identity }
  /** Subjects of the trust anchors, at start and after each change. */
  | { readonly type: 'anchors'; readonly subjects: readonly string[] }
  /** The other side's certificate, whenever it is another one than before. */
  | { readonly type: 'peer'; readonly identity: Identity }
  /** Requests since the start. `fresh` came over a connection made for them, `lasting` over the one that is kept. */
  | { readonly type: 'counters'; readonly fresh: number; readonly lasting: number; readonly failed: number }
  | { readonly type: 'failure'; readonly message: string };

/** Takes a report; never throws. */
export type Say = (report: Report) => void;

/** Writes reports to standard output. */
export const sayJson: Say = (report) => {
  process.stdout.write(`${JSON.stringify(report)}\n`);
};

/** Reads a line that a workload wrote; undefined for anything else. */
export function parseReport(line: string): Report | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null && 'type' in value ? (value as Report) : undefined;
  } catch {
    return undefined;
  }
}

export function identityOf(certificate: X509Certificate): Identity {
  const spiffeId = /(?:^|, )URI:(spiffe:[^,]+)/.exec(certificate.subjectAltName ?? '')?.[1] ?? '';
  const issuer = certificate.issuer.replace(/^CN=/, '');
  return { spiffeId, serial: certificate.serialNumber, issuer, notAfter: certificate.validToDate.toISOString() };
}

/** The first certificate of a PEM text, which may hold a key as well. */
export function firstCertificate(pem: string): X509Certificate {
  const [first] = certificateBlocks(pem);
  if (first === undefined) {
    throw new Error('the file holds no certificate');
  }
  return new X509Certificate(first);
}

/** Subjects of the certificates of a PEM text, in their order. */
export function subjectsOf(pem: string): string[] {
  return certificateBlocks(pem).map((block) => new X509Certificate(block).subject.replace(/^CN=/, ''));
}

function certificateBlocks(pem: string): string[] {
  return pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
}
