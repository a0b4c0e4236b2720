/**
 * What the API server reads in an X.509 certificate (RFC 5280).
 *
 * https://datatracker.ietf.org/doc/html/rfc5280
 */
import 'reflect-metadata';
import type { Buffer } from 'node:buffer';
import { X509Certificate as NodeCertificate } from 'node:crypto';
import { BasicConstraintsExtension, SubjectAlternativeNameExtension, X509Certificate } from '@peculiar/x509';
import { isOneSequence } from './der.ts';

export interface Certificate {
  /** SubjectPublicKeyInfo in DER. */
  readonly spki: Buffer;
  /** Milliseconds since the epoch, whole seconds. */
  readonly notBefore: number;
  readonly notAfter: number;
  readonly dnsNames: readonly string[];
  readonly emailAddresses: readonly string[];
  /** The CA bit of the basic constraints. */
  readonly isCA: boolean;
}

/** @returns nothing when the bytes are not one well-formed certificate */
export function readCertificate(der: Buffer): Certificate | undefined {
  if (!isOneSequence(der)) {
    return undefined;
  }
  try {
    // Two readers, because each overlooks faults that the other finds.
    const { publicKey } = new NodeCertificate(der);
    const certificate = new X509Certificate(der);
    const names = certificate.getExtension(SubjectAlternativeNameExtension)?.names.items ?? [];
    return {
      spki: publicKey.export({ format: 'der', type: 'spki' }),
      notBefore: certificate.notBefore.getTime(),
      notAfter: certificate.notAfter.getTime(),
      dnsNames: names.filter((name) => name.type === 'dns').map((name) => name.value),
      emailAddresses: names.filter((name) => name.type === 'email').map((name) => name.value),
      isCA: certificate.getExtension(BasicConstraintsExtension)?.ca ?? false,
    };
  } catch {
    return undefined;
  }
}

const atom = "[A-Za-z0-9!#$%&'*+/=?^_`{|}~\\u0080-\\u{10ffff}-]+";
const dotAtom = `${atom}(?:\\.${atom})*`;
const quotedString = '"(?:[^"\\\\\\r\\n]|\\\\[^\\r\\n])*"';
const addressSpec = `(?:${dotAtom}|${quotedString})@(?:${dotAtom}|\\[[^\\[\\]\\\\\\s]*\\])`;
const word = `(?:${dotAtom}|${quotedString})`;
// Words stand apart: a pattern that lets them touch takes exponential time on a long one.
const displayName = `${word}(?:\\s+${word})*\\s*`;
const addressPattern = new RegExp(`^\\s*(?:${addressSpec}|(?:${displayName})?<${addressSpec}>)\\s*$`, 'u');

/** True for one mail address, with or without a display name (RFC 5322, section 3.4). */
export function isMailAddress(text: string): boolean {
  return text.length <= 1000 && addressPattern.test(text);
}
