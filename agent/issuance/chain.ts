/**
 * The checks on an issued chain before it replaces anything. The API server looks at the leaf only, so what would break
 * a TLS handshake further up is found here.
 *
 * RFC 5280 section 6.1: https://www.rfc-editor.org/rfc/rfc5280#section-6.1
 */
import { createPublicKey, X509Certificate } from 'node:crypto';
import type { IssuedChain } from '../../volumes/base/volume.ts';
import { AgentError } from '../base/errors.ts';
import { readCertificateBlocks } from '../base/pem.ts';
import type { Outcome } from '../lifecycle/ports.ts';

/** The API server's bound on `status.certificateChain`. */
const longestChainBytes = 100 * 1024;
const longestName = 120;

/**
 * Reads and checks a chain: leaf first, each certificate signed by the next, the leaf holding our key and agreeing with
 * the status. A root need not be in it, and what stands above the leaf may have expired: a verifier may know another way
 * up.
 * @param spki our public key, SubjectPublicKeyInfo DER.
 * @param now milliseconds since the epoch.
 * @throws AgentError InvalidChain, naming the certificate at fault and why.
 */
export function verifyChain(
  outcome: Outcome & { readonly type: 'issued' },
  spki: Uint8Array,
  now: number,
): IssuedChain {
  const certificates = readChain(outcome.certificateChain);
  const [leaf] = certificates;
  if (leaf === undefined) throw refusal('it holds no certificate');
  checkKey(leaf, spki, certificates.length);
  checkOrder(certificates);
  checkTimes(leaf, outcome, now);
  return {
    certificates: certificates.map(({ raw }) => new Uint8Array(raw)),
    serialNumber: leaf.serialNumber.toUpperCase(),
    notBefore: leaf.validFromDate.getTime(),
    notAfter: leaf.validToDate.getTime(),
    beginRefreshAt: outcome.beginRefreshAt,
  };
}

function readChain(pem: string): X509Certificate[] {
  const size = Buffer.byteLength(pem);
  if (size > longestChainBytes) throw refusal(`it has ${size} bytes, more than ${longestChainBytes}`);
  const blocks = readBlocks(pem);
  return blocks.map((der, index) => {
    const certificate = readCertificate(der);
    if (certificate !== undefined) return certificate;
    throw refusal(`certificate ${index + 1} of ${blocks.length} is not an X.509 certificate`);
  });
}

function readBlocks(pem: string): Uint8Array[] {
  try {
    return readCertificateBlocks(pem);
  } catch (cause) {
    throw refusal(cause instanceof Error ? cause.message : 'it is not PEM', cause);
  }
}

/** Undefined when the bytes are anything but one certificate, whole. */
function readCertificate(der: Uint8Array): X509Certificate | undefined {
  try {
    const certificate = new X509Certificate(der);
    return certificate.raw.length === der.length ? certificate : undefined;
  } catch {
    return undefined;
  }
}

function checkKey(leaf: X509Certificate, spki: Uint8Array, count: number): void {
  const ours = createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' });
  if (!attempt(() => leaf.publicKey.equals(ours))) {
    throw refusal(`certificate 1 of ${count} (${nameOf(leaf)}) does not hold the public key of the request`);
  }
}

/** The server accepts certificates in any order; TLS does not. */
function checkOrder(certificates: readonly X509Certificate[]): void {
  for (const [index, certificate] of certificates.entries()) {
    const next = certificates[index + 1];
    if (next === undefined) return;
    const [upper, lower] = [nameOf(next), nameOf(certificate)];
    const position = `certificate ${index + 1} of ${certificates.length} (${lower})`;
    if (certificate.issuer !== next.subject) {
      throw refusal(`${position} is not issued by the one after it (${upper}): is the order wrong?`);
    }
    if (!attempt(() => certificate.verify(next.publicKey))) {
      throw refusal(`${position} is not signed with the key of the one after it (${upper})`);
    }
  }
}

function checkTimes(leaf: X509Certificate, outcome: Outcome & { readonly type: 'issued' }, now: number): void {
  const { beginRefreshAt } = outcome;
  const notBefore = leaf.validFromDate.getTime();
  const notAfter = leaf.validToDate.getTime();
  checkAgreement('notBefore', outcome.notBefore, notBefore);
  checkAgreement('notAfter', outcome.notAfter, notAfter);
  if (!(notBefore < beginRefreshAt && beginRefreshAt < notAfter)) {
    const range = `${timeText(notBefore)} and ${timeText(notAfter)}`;
    throw refusal(`status.beginRefreshAt ${timeText(beginRefreshAt)} does not lie between ${range}`);
  }
  if (notAfter <= now) throw refusal(`it expired at ${timeText(notAfter)}, and it is ${timeText(now)}`);
}

/** Certificates and the API's times have whole seconds. */
function checkAgreement(field: 'notBefore' | 'notAfter', stated: number, certified: number): void {
  if (Math.floor(stated / 1000) !== Math.floor(certified / 1000)) {
    throw refusal(`status.${field} ${timeText(stated)} is not the leaf's ${timeText(certified)}`);
  }
}

/** OpenSSL throws on a key or signature of a kind that it does not know: such a certificate proves nothing. */
function attempt(check: () => boolean): boolean {
  try {
    return check();
  } catch {
    return false;
  }
}

/** The subject on one short line; the signer chose it, and it goes into events and logs. */
function nameOf({ subject }: X509Certificate): string {
  // A certificate whose identity is in its alternative names has no subject, which Node shows as undefined.
  const line = (subject ?? '').replaceAll(/[\p{Cc}\p{Cf}]+/gu, ', ');
  if (line === '') return 'no subject';
  return line.length <= longestName ? line : `${line.slice(0, longestName)}…`;
}

function timeText(time: number): string {
  const date = new Date(time);
  return Number.isNaN(date.getTime()) ? '(missing)' : date.toISOString();
}

function refusal(why: string, cause?: unknown): AgentError {
  return new AgentError('InvalidChain', `the certificate chain cannot be used: ${why}`, { actor: 'signer', cause });
}
