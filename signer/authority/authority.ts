/**
 * A certificate authority: makes one, and signs certificates of pods with it. A certificate is signed by the CA itself: an intermediate would
 * lie in the same Secret as its root and protect nothing.
 *
 * RFC 5280, and https://github.com/spiffe/spiffe/blob/main/standards/X509-SVID.md
 */
import 'reflect-metadata';
import { createPrivateKey, randomBytes, webcrypto, X509Certificate } from 'node:crypto';
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  type GeneralNameType,
  KeyUsageFlags,
  KeyUsagesExtension,
  X509Certificate as PeculiarCertificate,
  PublicKey,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  type X509Certificate as Written,
  X509CertificateGenerator,
} from '@peculiar/x509';
import { AgentError } from '../../agent/base/errors.ts';
import { type Generation, lastLeafEnd } from './succession.ts';

/** What a certificate may be used for, by the names of the CertificateSigningRequest API. */
export const leafUsages = ['digital signature', 'key encipherment', 'server auth', 'client auth'] as const;
export type LeafUsage = (typeof leafUsages)[number];

/** What goes into a certificate. Times are milliseconds since the epoch, whole seconds. */
export interface LeafOrder {
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKey: Uint8Array;
  readonly uris: readonly string[];
  readonly dnsNames: readonly string[];
  readonly usages: readonly LeafUsage[];
  readonly notBefore: number;
  readonly notAfter: number;
}

export interface Authority {
  /** Milliseconds since the epoch. */
  readonly notAfter: number;
  /** No certificate of it ends later. */
  readonly lastLeafEnd: number;
  /** @returns the certificate, PEM. @throws AgentError Internal when its signature does not verify */
  issue(order: LeafOrder): Promise<string>;
}

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
/** X.520's bound on a common name is 64 characters; eight tell one CA of a signer from the next. */
const longestSignerName = 50;

/**
 * Makes a CA's key and its certificate.
 * @param now milliseconds since the epoch
 * @param backdateMs how much earlier it counts as valid, for readers whose clock is behind
 */
export async function makeGeneration(
  signerName: string,
  now: number,
  { lifetimeMs, backdateMs, longestLeafMs }: { lifetimeMs: number; backdateMs: number; longestLeafMs: number },
): Promise<Generation> {
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const notBefore = wholeSeconds(now - backdateMs);
  const notAfter = wholeSeconds(now + lifetimeMs);
  const serialNumber = newSerialNumber();
  const certificate = await X509CertificateGenerator.createSelfSigned({
    serialNumber,
    name: [{ CN: [`${signerName.slice(0, longestSignerName)} ${serialNumber.slice(-8)}`] }],
    notBefore: new Date(notBefore),
    notAfter: new Date(notAfter),
    keys,
    signingAlgorithm: algorithm,
    extensions: [
      // It signs certificates of pods and no other authority's.
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
      await AuthorityKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey));
  const privateKey = `-----BEGIN PRIVATE KEY-----\n${der.toString('base64')}\n-----END PRIVATE KEY-----\n`;
  der.fill(0);
  return { certificate: pem(certificate), notBefore, notAfter, privateKey, longestLeafMs };
}

/** Makes the CA ready to sign. @throws AgentError Internal when its key is no such key */
export async function openAuthority(generation: Generation): Promise<Authority> {
  const { certificate, privateKey } = generation;
  const issuer = new PeculiarCertificate(certificate);
  const own = new X509Certificate(certificate);
  const signingKey = await importKey(privateKey ?? '');
  const authorityKeyId = await AuthorityKeyIdentifierExtension.create(issuer.publicKey);
  return {
    notAfter: own.validToDate.getTime(),
    lastLeafEnd: lastLeafEnd(generation),
    async issue(order) {
      const publicKey = new PublicKey(order.publicKey);
      const names: { type: GeneralNameType; value: string }[] = [
        ...order.uris.map((value) => ({ type: 'url' as const, value })),
        ...order.dnsNames.map((value) => ({ type: 'dns' as const, value })),
      ];
      const leaf = await X509CertificateGenerator.create({
        serialNumber: newSerialNumber(),
        issuer: issuer.subjectName,
        notBefore: new Date(order.notBefore),
        notAfter: new Date(order.notAfter),
        publicKey,
        signingKey,
        signingAlgorithm: algorithm,
        extensions: [
          new BasicConstraintsExtension(false, undefined, true),
          ...usageExtensions(order.usages),
          // The subject is empty, and then the alternative names are critical (RFC 5280, 4.2.1.6).
          new SubjectAlternativeNameExtension(names, true),
          await SubjectKeyIdentifierExtension.create(publicKey),
          authorityKeyId,
        ],
      });
      const text = pem(leaf);
      if (!new X509Certificate(text).verify(own.publicKey)) {
        throw new AgentError('Internal', 'a certificate that was just signed does not verify', { actor: 'nobody' });
      }
      return text;
    },
  };
}

/** True when key and certificate belong together; false also for what is neither. */
export function isWhole(certificate: string, privateKey: string): boolean {
  try {
    return new X509Certificate(certificate).checkPrivateKey(createPrivateKey(privateKey));
  } catch {
    return false;
  }
}

/** OpenSSL's words are not passed on, because they may name the bytes that it stumbles over. */
async function importKey(privateKey: string): Promise<webcrypto.CryptoKey> {
  const base64 = privateKey.replaceAll(/-----(BEGIN|END) PRIVATE KEY-----|\s/g, '');
  const der = Buffer.from(base64, 'base64');
  try {
    return await webcrypto.subtle.importKey('pkcs8', der, algorithm, false, ['sign']);
  } catch {
    throw new AgentError('Internal', "the CA's private key cannot be read", { actor: 'cluster operator' });
  } finally {
    der.fill(0);
  }
}

function usageExtensions(usages: readonly LeafUsage[]): (KeyUsagesExtension | ExtendedKeyUsageExtension)[] {
  const flags =
    (usages.includes('digital signature') ? KeyUsageFlags.digitalSignature : 0) |
    (usages.includes('key encipherment') ? KeyUsageFlags.keyEncipherment : 0);
  const extended = [
    ...(usages.includes('server auth') ? [ExtendedKeyUsage.serverAuth] : []),
    ...(usages.includes('client auth') ? [ExtendedKeyUsage.clientAuth] : []),
  ];
  return [
    ...(flags === 0 ? [] : [new KeyUsagesExtension(flags, true)]),
    ...(extended.length === 0 ? [] : [new ExtendedKeyUsageExtension(extended)]),
  ];
}

/** 128 random bits behind a byte that makes the number positive and of one length (RFC 5280, 4.1.2.2: up to 20 bytes). */
function newSerialNumber(): string {
  return `40${randomBytes(16).toString('hex')}`;
}

function pem(certificate: Written): string {
  return `${certificate.toString('pem').trim()}\n`;
}

function wholeSeconds(milliseconds: number): number {
  return Math.floor(milliseconds / 1000) * 1000;
}
