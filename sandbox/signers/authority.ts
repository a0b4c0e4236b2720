/**
 * A certificate authority of the sandbox: a root, one intermediate below it, and leaves for pods by the rules of an
 * X.509-SVID. Its keys are ECDSA P-256 and live in this process only.
 *
 * RFC 5280, and https://github.com/spiffe/spiffe/blob/main/standards/X509-SVID.md
 */
import 'reflect-metadata';
import { randomBytes, webcrypto } from 'node:crypto';
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  type GeneralNameType,
  KeyUsageFlags,
  KeyUsagesExtension,
  PublicKey,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  type X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509';

const dayMs = 24 * 60 * 60 * 1000;
/** Certificate authorities count as valid a little earlier than they are made, for readers whose clock is behind. */
const authorityBackdateMs = dayMs;
const authorityLifetimeMs = 3650 * dayMs;
const keyAlgorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;

/** What goes into a leaf. Times are milliseconds since the epoch; a certificate keeps whole seconds. */
export interface LeafOrder {
  /** SubjectPublicKeyInfo, DER, of any key type. */
  readonly publicKey: Uint8Array;
  /** URI names; for a workload its one SPIFFE ID. */
  readonly uris: readonly string[];
  readonly dnsNames: readonly string[];
  readonly notBefore: number;
  readonly notAfter: number;
}

export interface Authority {
  /** Distinguished name of the root. */
  readonly rootName: string;
  /** Distinguished name of the intermediate: the issuer of every leaf. */
  readonly intermediateName: string;
  /** The root's certificate, PEM. */
  readonly rootPem: string;
  /** The intermediate's certificate, PEM. */
  readonly intermediatePem: string;
  /** @returns the leaf's certificate, PEM. */
  issue(order: LeafOrder): Promise<string>;
}

interface Issuing {
  readonly certificate: X509Certificate;
  readonly keys: webcrypto.CryptoKeyPair;
}

/**
 * Makes the keys and certificates of a new authority.
 * @param name common name; root and intermediate add their role to it.
 * @param now milliseconds since the epoch.
 */
export async function createAuthority(name: string, now: number): Promise<Authority> {
  const root = await createCertificateAuthority(`CN=${name} root`, now);
  const intermediate = await createCertificateAuthority(`CN=${name} intermediate`, now, root);
  return {
    rootName: root.certificate.subject,
    intermediateName: intermediate.certificate.subject,
    rootPem: pem(root.certificate),
    intermediatePem: pem(intermediate.certificate),
    issue: async (order) => pem(await createLeaf(order, intermediate)),
  };
}

async function createCertificateAuthority(subject: string, now: number, issuer?: Issuing): Promise<Issuing> {
  const keys = await webcrypto.subtle.generateKey(keyAlgorithm, false, ['sign', 'verify']);
  const signer = issuer ?? { certificate: undefined, keys };
  const certificate = await X509CertificateGenerator.create({
    serialNumber: newSerialNumber(),
    subject,
    issuer: issuer?.certificate.subject ?? subject,
    notBefore: new Date(now - authorityBackdateMs),
    notAfter: new Date(now + authorityLifetimeMs),
    publicKey: keys.publicKey,
    signingKey: signer.keys.privateKey,
    signingAlgorithm: keyAlgorithm,
    extensions: [
      // The intermediate may sign leaves only.
      new BasicConstraintsExtension(true, issuer === undefined ? undefined : 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
      await AuthorityKeyIdentifierExtension.create(signer.keys.publicKey),
    ],
  });
  return { certificate, keys };
}

async function createLeaf(order: LeafOrder, issuer: Issuing): Promise<X509Certificate> {
  const publicKey = new PublicKey(order.publicKey);
  const names: { type: GeneralNameType; value: string }[] = [
    ...order.uris.map((value) => ({ type: 'url' as const, value })),
    ...order.dnsNames.map((value) => ({ type: 'dns' as const, value })),
  ];
  return await X509CertificateGenerator.create({
    serialNumber: newSerialNumber(),
    issuer: issuer.certificate.subject,
    notBefore: new Date(order.notBefore),
    notAfter: new Date(order.notAfter),
    publicKey,
    signingKey: issuer.keys.privateKey,
    signingAlgorithm: keyAlgorithm,
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth, ExtendedKeyUsage.clientAuth]),
      // The subject is empty, and then the alternative names are critical (RFC 5280, 4.2.1.6).
      new SubjectAlternativeNameExtension(names, true),
      await SubjectKeyIdentifierExtension.create(publicKey),
      await AuthorityKeyIdentifierExtension.create(issuer.keys.publicKey),
    ],
  });
}

/** 16 random bytes, hexadecimal, whose first bit is 0 and whose first byte is not: positive and of one length. */
function newSerialNumber(): string {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x3f) | 0x40;
  return bytes.toString('hex');
}

function pem(certificate: X509Certificate): string {
  return `${certificate.toString('pem').trim()}\n`;
}
