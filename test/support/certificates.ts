/**
 * The certificate maker of the tests: certificates of any quality for any key, by any holder of a key. Cross-signed, without
 * the CA flag, without keyCertSign, with a path length, out of date: `certify` makes what it is told. An authority
 * (`createRootAuthority`) is the usual case of it. Keys are ECDSA P-256, but for slow ones, and live in the process.
 */
import 'reflect-metadata';
import { randomBytes, webcrypto } from 'node:crypto';
import {
  BasicConstraintsExtension,
  type Extension,
  KeyUsageFlags,
  KeyUsagesExtension,
  PublicKey,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from '@peculiar/x509';

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;

/** The time at which tests with a clock of their own look at certificates, milliseconds since the epoch. */
export const now = Date.parse('2026-11-21T10:00:00Z');

/** Who can sign: a name and a key. */
export interface Holder {
  /** Such as `CN=root`. */
  readonly name: string;
  readonly keys: webcrypto.CryptoKeyPair;
}

/** Milliseconds since the epoch; a certificate keeps whole seconds. Default an hour before `now` to a day after. */
export interface Validity {
  readonly notBefore?: number;
  readonly notAfter?: number;
}

export interface Quality extends Validity {
  /** Absent: no basicConstraints at all. Default true. */
  readonly ca?: boolean | 'absent';
  readonly pathLength?: number;
  /** Default `cert sign`; `none`: no keyUsage. */
  readonly usage?: 'cert sign' | 'other' | 'none';
}

export interface AlternativeName {
  readonly type: 'dns' | 'email';
  readonly value: string;
}

export interface LeafOptions extends Validity {
  /** Default: no subject. */
  readonly subject?: string;
  /** Default: none. */
  readonly names?: readonly AlternativeName[];
  /** Hexadecimal; default random. */
  readonly serialNumber?: string;
}

export interface TestAuthority {
  readonly pem: string;
  /** @returns PEM, with the alternative name `leaf.example` when no other is asked for */
  issueLeaf(options: LeafOptions & { /** SubjectPublicKeyInfo, DER. */ readonly spki: Uint8Array }): Promise<string>;
  /** An authority below this one. */
  issueAuthority(subject: string, validity?: Validity): Promise<TestAuthority>;
}

export function makeHolder(name: string): Promise<Holder> {
  return makeHolderOn('P-256', name);
}

/** Each signature of its takes a verifier some milliseconds. */
export function makeSlowHolder(name: string): Promise<Holder> {
  return makeHolderOn('P-521', name);
}

async function makeHolderOn(namedCurve: string, name: string): Promise<Holder> {
  return { name, keys: await webcrypto.subtle.generateKey({ name: 'ECDSA', namedCurve }, true, ['sign', 'verify']) };
}

/** A certificate of `subject`, signed by `issuer`, DER. */
export function certify(subject: Holder, issuer: Holder, quality: Quality = {}): Promise<Uint8Array> {
  return create({ ...quality, subject: subject.name }, subject.keys.publicKey, issuer);
}

/** A leaf for a public key (SubjectPublicKeyInfo, DER), DER. */
export function certifyKey(spki: Uint8Array, issuer: Holder, options: LeafOptions): Promise<Uint8Array> {
  return create({ ...options, ca: false, usage: 'other' }, new PublicKey(spki), issuer);
}

/** A self-signed authority, valid from yesterday for ten years by the machine's clock unless told otherwise. */
export async function createRootAuthority(subject = 'CN=root', validity?: Validity): Promise<TestAuthority> {
  const own = await makeHolder(subject);
  return authorityOf(own, own, validity);
}

async function authorityOf(own: Holder, issuer: Holder, validity?: Validity): Promise<TestAuthority> {
  const today = Date.now();
  const pem = pemOf(
    await certify(own, issuer, validity ?? { notBefore: today - dayMs, notAfter: today + 3650 * dayMs }),
  );
  return {
    pem,
    issueLeaf: async ({ spki, ...options }) =>
      pemOf(await certifyKey(spki, own, { names: [{ type: 'dns', value: 'leaf.example' }], ...options })),
    issueAuthority: async (below, valid) => authorityOf(await makeHolder(below), own, valid),
  };
}

async function create(
  contents: Quality & LeafOptions,
  publicKey: webcrypto.CryptoKey | PublicKey,
  issuer: Holder,
): Promise<Uint8Array> {
  const { subject, serialNumber = `4${randomBytes(16).toString('hex').slice(1)}` } = contents;
  const certificate = await X509CertificateGenerator.create({
    serialNumber,
    ...(subject === undefined ? {} : { subject }),
    issuer: issuer.name,
    notBefore: new Date(contents.notBefore ?? now - hourMs),
    notAfter: new Date(contents.notAfter ?? now + dayMs),
    publicKey,
    signingKey: issuer.keys.privateKey,
    signingAlgorithm: { ...issuer.keys.privateKey.algorithm, hash: 'SHA-256' },
    extensions: extensionsOf(contents),
  });
  return new Uint8Array(certificate.rawData);
}

function extensionsOf({ ca = true, pathLength, usage = 'cert sign', names = [] }: Quality & LeafOptions): Extension[] {
  const flag = usage === 'cert sign' ? KeyUsageFlags.keyCertSign : KeyUsageFlags.digitalSignature;
  return [
    ...(ca === 'absent' ? [] : [new BasicConstraintsExtension(ca, pathLength, true)]),
    ...(usage === 'none' ? [] : [new KeyUsagesExtension(flag, true)]),
    ...(names.length === 0 ? [] : [new SubjectAlternativeNameExtension([...names], true)]),
  ];
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
