/**
 * Certificate authorities for tests: a root, authorities below it, and leaves for any public key. Keys are ECDSA P-256
 * and live in the process. Certificates are PEM.
 */
import 'reflect-metadata';
import { randomBytes, webcrypto } from 'node:crypto';
import {
  BasicConstraintsExtension,
  PublicKey,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from '@peculiar/x509';

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const dayMs = 86_400_000;

export interface LeafOptions {
  /** SubjectPublicKeyInfo, DER. */
  readonly spki: Uint8Array;
  /** Milliseconds since the epoch; a certificate keeps whole seconds. */
  readonly notBefore: number;
  readonly notAfter: number;
  /** Default: no subject, and the name `leaf.example` as alternative name. */
  readonly subject?: string;
  /** Hexadecimal; default random. */
  readonly serialNumber?: string;
}

export interface TestAuthority {
  readonly pem: string;
  issueLeaf(options: LeafOptions): Promise<string>;
  /** An authority below this one. */
  issueAuthority(subject: string, validity?: Validity): Promise<TestAuthority>;
}

export interface Validity {
  readonly notBefore: number;
  readonly notAfter: number;
}

interface Signer {
  readonly subject: string;
  readonly keys: webcrypto.CryptoKeyPair;
}

export function createRootAuthority(subject = 'CN=root', validity?: Validity): Promise<TestAuthority> {
  return createAuthority(subject, undefined, validity);
}

async function createAuthority(subject: string, parent?: Signer, validity?: Validity): Promise<TestAuthority> {
  const keys = await webcrypto.subtle.generateKey(algorithm, false, ['sign', 'verify']);
  const own = { subject, keys };
  const signer = parent ?? own;
  const now = Date.now();
  const certificate = await X509CertificateGenerator.create({
    serialNumber: randomSerialNumber(),
    subject,
    issuer: signer.subject,
    notBefore: new Date(validity?.notBefore ?? now - dayMs),
    notAfter: new Date(validity?.notAfter ?? now + 3650 * dayMs),
    publicKey: keys.publicKey,
    signingKey: signer.keys.privateKey,
    signingAlgorithm: algorithm,
    extensions: [new BasicConstraintsExtension(true, undefined, true)],
  });
  return {
    pem: `${certificate.toString('pem')}\n`,
    issueLeaf: (options) => issueLeaf(options, own),
    issueAuthority: (below, valid) => createAuthority(below, own, valid),
  };
}

async function issueLeaf(options: LeafOptions, issuer: Signer): Promise<string> {
  const certificate = await X509CertificateGenerator.create({
    serialNumber: options.serialNumber ?? randomSerialNumber(),
    ...(options.subject === undefined ? {} : { subject: options.subject }),
    issuer: issuer.subject,
    notBefore: new Date(options.notBefore),
    notAfter: new Date(options.notAfter),
    publicKey: new PublicKey(options.spki),
    signingKey: issuer.keys.privateKey,
    signingAlgorithm: algorithm,
    extensions: [new SubjectAlternativeNameExtension([{ type: 'dns', value: 'leaf.example' }], true)],
  });
  return `${certificate.toString('pem')}\n`;
}

function randomSerialNumber(): string {
  return `4${randomBytes(16).toString('hex').slice(1)}`;
}
