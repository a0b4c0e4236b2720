/** The names in a certificate, on one line; somebody else wrote them. */
import type { X509Certificate } from 'node:crypto';
import { singleLine } from '../base/redact.ts';

const maxNameLength = 120;

/** The subject, or the names it is known by. */
export function nameOf({ subject, subjectAltName, serialNumber }: X509Certificate): string {
  // Without a subject Node gives undefined, whatever the types say.
  return quoted(subject || subjectAltName || `with serial number ${serialNumber}`);
}

export function issuerOf({ issuer }: X509Certificate): string {
  return quoted(issuer);
}

function quoted(name: string): string {
  return `"${singleLine(name, maxNameLength)}"`;
}
