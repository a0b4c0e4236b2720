/**
 * Authorities of every quality: cross-signed, without the CA flag, without keyCertSign, with a path length, out of date.
 * Keys are ECDSA P-256 and live in the process.
 */
import 'reflect-metadata';
import { randomBytes, webcrypto } from 'node:crypto';
import {
  BasicConstraintsExtension,
  type Extension,
  KeyUsageFlags,
  KeyUsagesExtension,
  PublicKey,
  X509CertificateGenerator,
} from '@peculiar/x509';
import { outlineCertificate, parseCertificate } from '../../../agent/issuance/certificate.ts';
import { ascend } from '../../../agent/issuance/path.ts';

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const hourMs = 3_600_000;

/** The time at which the certificates of the tests are looked at, milliseconds since the epoch. */
export const now = Date.parse('2026-11-21T10:00:00Z');

export interface Holder {
  /** Such as `CN=root`. */
  readonly name: string;
  readonly keys: webcrypto.CryptoKeyPair;
}

export interface Quality {
  /** Absent: no basicConstraints at all. Default true. */
  readonly ca?: boolean | 'absent';
  readonly pathLength?: number;
  /** Default `cert sign`; `none`: no keyUsage. */
  readonly usage?: 'cert sign' | 'other' | 'none';
  /** Milliseconds since the epoch. Default an hour on either side of `now`. */
  readonly notBefore?: number;
  readonly notAfter?: number;
}

export async function makeHolder(name: string): Promise<Holder> {
  return { name, keys: await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']) };
}

/** A certificate of `subject`, signed by `issuer`, DER. */
export function certify(subject: Holder, issuer: Holder, quality: Quality = {}): Promise<Uint8Array> {
  return create(subject.name, subject.keys.publicKey, issuer, quality);
}

/** A leaf for a public key (SubjectPublicKeyInfo, DER), DER. */
export function certifyKey(spki: Uint8Array, issuer: Holder, validity: Quality): Promise<Uint8Array> {
  return create('CN=leaf', new PublicKey(spki), issuer, { ...validity, ca: false, usage: 'other' });
}

async function create(
  subject: string,
  publicKey: webcrypto.CryptoKey | PublicKey,
  issuer: Holder,
  quality: Quality,
): Promise<Uint8Array> {
  const { ca = true, usage = 'cert sign', pathLength } = quality;
  const extensions: Extension[] = [];
  if (ca !== 'absent') {
    extensions.push(new BasicConstraintsExtension(ca, pathLength, true));
  }
  const flag = usage === 'cert sign' ? KeyUsageFlags.keyCertSign : KeyUsageFlags.digitalSignature;
  if (usage !== 'none') {
    extensions.push(new KeyUsagesExtension(flag, true));
  }
  const certificate = await X509CertificateGenerator.create({
    serialNumber: `4${randomBytes(8).toString('hex').slice(1)}`,
    subject,
    issuer: issuer.name,
    notBefore: new Date(quality.notBefore ?? now - hourMs),
    notAfter: new Date(quality.notAfter ?? now + 24 * hourMs),
    publicKey,
    signingKey: issuer.keys.privateKey,
    signingAlgorithm: algorithm,
    extensions,
  });
  return new Uint8Array(certificate.rawData);
}

export function pemOf(...certificates: readonly Uint8Array[]): string {
  return certificates
    .map((der) => {
      const lines =
        Buffer.from(der)
          .toString('base64')
          .match(/.{1,64}/g) ?? [];
      return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
    })
    .join('');
}

/**
 * Does a way lead from the leaf to an anchor? The leaf's own validity is not looked at.
 * @param leafAndChain DER, leaf first. @param anchors DER.
 * @param now milliseconds since the epoch.
 */
export function verifiesAgainst(
  leafAndChain: readonly Uint8Array[],
  anchors: readonly Uint8Array[],
  now: number,
): boolean {
  try {
    const [leaf, ...others] = leafAndChain.map(parseCertificate);
    return leaf !== undefined && ascend(leaf, others, now, anchors.map(outlineCertificate)).isTrusted;
  } catch (fault) {
    // What cannot be read, or costs too much to check, leads nowhere that a verifier would follow.
    if (fault instanceof Error) {
      return false;
    }
    throw fault;
  }
}
