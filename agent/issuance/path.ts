/**
 * Certification paths: which of the certificates that a signer sent lead from the leaf upwards, over CAs that verifiers
 * accept, and whether they reach a trust anchor. Verifiers build the path themselves and tolerate certificates that are
 * not on it (RFC 8446 section 4.4.2), so more than one way up may be worth keeping.
 *
 * Checked: names, signatures, validity, CA and keyCertSign, path length. Name constraints, policies and the extended
 * usages of CAs are left to the verifier.
 *
 * https://www.rfc-editor.org/rfc/rfc5280#section-6.1 https://www.rfc-editor.org/rfc/rfc8446#section-4.4.2
 */
import type { KeyObject } from 'node:crypto';
import { validityOf } from '../base/validity.ts';
import {
  type Certificate,
  type CertificateReader,
  isExpired,
  isSelfIssued,
  isSignedBy,
  outlineCertificate,
  plainReader,
  whyNoIssuer,
} from './certificate.ts';

/**
 * Most signatures checked for one chain: with many certificates of one name there could be as many as the square of
 * their number. Go's verifier stops at a hundred; no chain in use needs more than a few.
 */
export const mostSignatureChecks = 24;

/**
 * Most work on the signatures of one chain, in units of a quarter of a millisecond: those of some keys take a hundred times as long as
 * those of others.
 */
export const mostSignatureWork = 96;

/** Anchors that a chain is compared with: some 15 milliseconds. Bundles have a handful, those of browsers some 150. */
export const mostAnchorsCompared = 1_024;

/** A certificate that signed another without being allowed to. */
export interface Fault {
  readonly certificate: Certificate;
  readonly issuer: Certificate;
  /** Goes on after the issuer's name: `is no CA`, `expired at …`. */
  readonly why: string;
}

export interface Ascent {
  /**
   * The leaf, and every certificate on a way up, each once: first one way from the leaf upwards, in the signer's order
   * where that is a way, then what only other ways need. Empty when there is no way.
   */
  readonly certificates: readonly Certificate[];
  /** What blocks ways up, beginning at the leaf. */
  readonly faults: readonly Fault[];
  /** True when a way up ends at one of the trust anchors. */
  readonly isTrusted: boolean;
}

/** A certificate that the leaf leads to. */
interface Step {
  readonly certificate: Certificate;
  /** Those that may have issued it. */
  readonly issuers: Certificate[];
  /** True when nothing that was sent need stand above it: a verifier looks for the rest among its anchors. */
  isTop: boolean;
}

interface Search {
  /** Milliseconds since the epoch. */
  readonly at: number;
  /** What was sent beside the leaf, and the trust anchors, by subject. */
  readonly sent: ReadonlyMap<string, readonly Certificate[]>;
  readonly anchors: ReadonlyMap<string, readonly Certificate[]>;
  /** @throws TooManySignatures */
  readonly isSigned: (certificate: Certificate, issuer: Certificate) => boolean;
  readonly faults: Fault[];
}

export class TooManySignatures extends Error {
  override readonly name = 'TooManySignatures';
}

/**
 * Does a way lead from the leaf to an anchor? The leaf's own validity is not looked at.
 * @param leafAndChain DER, leaf first. @param anchors DER.
 * @param now milliseconds since the epoch.
 * @param reader of certificates, which may know some of them
 * @returns undefined where that cannot be said: without anchors, or with too many; where something that cannot be read, or a
 * key of an unknown kind, may be what is missing; or where it takes too many signatures to find out.
 */
export function verifiesAgainst(
  leafAndChain: readonly Uint8Array[],
  anchors: readonly Uint8Array[],
  now: number,
  reader: CertificateReader = plainReader,
): boolean | undefined {
  if (anchors.length === 0 || anchors.length > mostAnchorsCompared) {
    return undefined;
  }
  const readable = anchors.flatMap((der) => attempt(() => reader.outline(der)) ?? []);
  const isTrusted = attempt(() => {
    const [leaf, ...others] = leafAndChain.map((der) => reader.parse(der));
    return leaf && ascend(leaf, others, now, readable).isTrusted;
  });
  if (isTrusted !== false) {
    return isTrusted;
  }
  const isDoubtful = readable.length < anchors.length || leafAndChain.some((der) => isPerhapsBelow(der, readable));
  return isDoubtful ? undefined : false;
}

/** True when one of the anchors has the issuer's name and a key of a kind that OpenSSL does not know. */
function isPerhapsBelow(der: Uint8Array, anchors: readonly Certificate[]): boolean {
  const issuer = attempt(() => outlineCertificate(der).issuer);
  return anchors.some((anchor) => anchor.subject === issuer && publicKeyOf(anchor) === undefined);
}

/** What the work gives, or undefined where a certificate cannot be read or there is too much to check. */
function attempt<Result>(work: () => Result): Result | undefined {
  try {
    return work();
  } catch (fault) {
    if (fault instanceof Error) {
      return undefined;
    }
    throw fault;
  }
}

/**
 * Finds the ways up.
 * @param others what was sent beside the leaf, in the signer's order.
 * @param now milliseconds since the epoch; a leaf that is not valid yet is looked at from when it is.
 * @throws TooManySignatures
 */
export function ascend(
  leaf: Certificate,
  others: readonly Certificate[],
  now: number,
  anchors: readonly Certificate[] = [],
): Ascent {
  const search: Search = {
    // Of a leaf whose notBefore cannot be read others say what is wrong.
    at: Math.max(now, validityOf(leaf.x509()).notBefore || now),
    sent: Map.groupBy(distinct(others, leaf), ({ subject }) => subject),
    anchors: Map.groupBy(anchors, ({ subject }) => subject),
    isSigned: createSignatureCheck(),
    faults: [],
  };
  const steps = new Map<Certificate, Step>();
  let isTrusted = false;
  const due = new Map<Certificate, number>([[leaf, 0]]);
  for (let next = leastBelow(due); next !== undefined; next = leastBelow(due)) {
    const [certificate, below] = next;
    due.delete(certificate);
    const above = certificate === leaf || isSelfIssued(certificate) ? below : below + 1;
    const step = stepFrom(search, certificate, above);
    steps.set(certificate, step);
    isTrusted ||= isAnchored(search, certificate, above);
    for (const issuer of step.issuers) {
      if (!steps.has(issuer)) {
        due.set(issuer, Math.min(above, due.get(issuer) ?? above));
      }
    }
  }
  return { certificates: inOrder(leaf, others, leadingUp(steps)), faults: search.faults, isTrusted };
}

/** @param above intermediates that are not self-issued below whatever issued it. */
function stepFrom({ sent, at, isSigned, faults }: Search, certificate: Certificate, above: number): Step {
  const step: Step = { certificate, issuers: [], isTop: true };
  if (isSelfIssued(certificate) && isSigned(certificate, certificate)) {
    return step;
  }
  for (const issuer of sent.get(certificate.issuer) ?? []) {
    if (issuer === certificate || !isSigned(certificate, issuer)) {
      continue;
    }
    const why = whyNotAbove(issuer, above, at);
    // A root of the past may have a successor with its key among the anchors, where verifiers look for roots.
    if (why !== undefined && isSelfIssued(issuer) && isExpired(issuer, at) && issuer.x509().ca) {
      continue;
    }
    step.isTop = false;
    if (why === undefined) {
      step.issuers.push(issuer);
    } else {
      faults.push({ certificate, issuer, why });
    }
  }
  return step;
}

function isAnchored({ anchors, at, isSigned }: Search, certificate: Certificate, above: number): boolean {
  const isOne = (anchors.get(certificate.subject) ?? []).some(({ der }) => Buffer.compare(der, certificate.der) === 0);
  const issuers = anchors.get(certificate.issuer) ?? [];
  return (
    isOne || issuers.some((issuer) => isSigned(certificate, issuer) && whyNotAbove(issuer, above, at) === undefined)
  );
}

function whyNotAbove(issuer: Certificate, above: number, at: number): string | undefined {
  const why = whyNoIssuer(issuer, at);
  if (why !== undefined || above <= issuer.longestPath) {
    return why;
  }
  return `allows ${issuer.longestPath} CA(s) between itself and the leaf (pathLenConstraint), and ${above} are there`;
}

/** Each certificate once, without the leaf. */
function distinct(certificates: readonly Certificate[], leaf: Certificate): Certificate[] {
  const seen = new Set([keyOf(leaf)]);
  return certificates.filter((certificate) => {
    const key = keyOf(certificate);
    return !seen.has(key) && seen.add(key);
  });
}

function keyOf({ der }: Certificate): string {
  return Buffer.from(der).toString('latin1');
}

function createSignatureCheck(): (certificate: Certificate, issuer: Certificate) => boolean {
  let checks = 0;
  let work = 0;
  return (certificate, issuer) => {
    checks += 1;
    work += workOf(issuer);
    if (checks > mostSignatureChecks) {
      throw new TooManySignatures(`more than ${mostSignatureChecks} signatures`);
    }
    if (work > mostSignatureWork) {
      throw new TooManySignatures('too many signatures of keys that take long');
    }
    return isSignedBy(certificate, issuer);
  };
}

const curveWork: Readonly<Record<string, number>> = { prime256v1: 1, secp384r1: 4, secp521r1: 8 };
/** Up to ten milliseconds: RSA with an exponent as long as its modulus, DSA, curves that nobody uses. */
const mostKeyWork = 32;
const usualExponent = 2n ** 32n;

/** What it takes to check a signature of this issuer's. */
function workOf(issuer: Certificate): number {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = publicKeyOf(issuer) ?? {};
  switch (type) {
    case 'ec':
      return curveWork[details?.namedCurve ?? ''] ?? mostKeyWork;
    case 'rsa':
    case 'rsa-pss':
      return rsaWork(details?.modulusLength ?? 0, details?.publicExponent ?? 0n);
    case 'dsa':
      return mostKeyWork;
    default:
      return 1;
  }
}

function rsaWork(modulusLength: number, publicExponent: bigint): number {
  if (publicExponent > usualExponent || modulusLength > 8192) {
    return mostKeyWork;
  }
  return modulusLength > 4096 ? 4 : 1;
}

/** OpenSSL throws on a key of a kind that it does not know; nothing is checked with that. */
function publicKeyOf(certificate: Certificate): KeyObject | undefined {
  return attempt(() => certificate.x509().publicKey);
}

/** The earliest of those with the fewest intermediates below them. */
function leastBelow(due: ReadonlyMap<Certificate, number>): [Certificate, number] | undefined {
  let least: [Certificate, number] | undefined;
  for (const entry of due) {
    if (least === undefined || entry[1] < least[1]) {
      least = entry;
    }
  }
  return least;
}

/** The steps from which a way goes on to a top. */
function leadingUp(steps: ReadonlyMap<Certificate, Step>): ReadonlyMap<Certificate, Step> {
  const below = new Map<Certificate, Step[]>();
  for (const step of steps.values()) {
    for (const issuer of step.issuers) {
      below.set(issuer, [...(below.get(issuer) ?? []), step]);
    }
  }
  const leading = new Map<Certificate, Step>();
  const due = [...steps.values()].filter(({ isTop }) => isTop);
  for (let step = due.pop(); step !== undefined; step = due.pop()) {
    if (leading.has(step.certificate)) {
      continue;
    }
    leading.set(step.certificate, step);
    due.push(...(below.get(step.certificate) ?? []));
  }
  return leading;
}

function inOrder(
  leaf: Certificate,
  others: readonly Certificate[],
  leading: ReadonlyMap<Certificate, Step>,
): Certificate[] {
  const ordered = new Set<Certificate>();
  let next = leading.has(leaf) ? leaf : undefined;
  while (next !== undefined) {
    ordered.add(next);
    next = leading.get(next)?.issuers.find((issuer) => leading.has(issuer) && !ordered.has(issuer));
  }
  return [...ordered, ...others.filter((certificate) => leading.has(certificate) && !ordered.has(certificate))];
}
