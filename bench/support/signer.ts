/**
 * The signer of the stand-in: a certificate for the very key of a request in a fraction of a millisecond. The library makes one
 * certificate for each form of key; others of the form are copies of it with another key, serial number and times, signed anew.
 *
 * RFC 5280
 */
import 'reflect-metadata';
import { createPrivateKey, type KeyObject, randomBytes, sign, type webcrypto } from 'node:crypto';
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  PublicKey,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  type X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509';
import { elementsOf } from '../../agent/base/der.ts';

export interface IssuedByBench {
  /** Leaf and intermediate, PEM. */
  readonly chain: string;
  readonly notBefore: number;
  readonly notAfter: number;
}

export interface BenchSigner {
  /** The root's certificate, PEM. */
  readonly rootPem: string;
  /** @param spki SubjectPublicKeyInfo, DER; @param notAfter milliseconds since the epoch */
  issue(spki: Uint8Array, now: number, notAfter: number): Promise<IssuedByBench>;
}

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const dayMs = 86_400_000;
const backdateMs = 1000;
const serialBytes = 16;

interface Authority {
  readonly certificate: X509Certificate;
  readonly keys: webcrypto.CryptoKeyPair;
}

/** The part of a certificate that is signed, and where in it lies what differs between two of a form. */
interface Form {
  readonly signed: Buffer;
  readonly tail: Buffer;
  readonly serialAt: number;
  readonly validityAt: number;
  readonly keyAt: number;
}

export async function createBenchSigner(now: number): Promise<BenchSigner> {
  const root = await createAuthority('CN=bench root', now);
  const intermediate = await createAuthority('CN=bench intermediate', now, root);
  const exported = await crypto.subtle.exportKey('pkcs8', intermediate.keys.privateKey);
  const key = createPrivateKey({ key: Buffer.from(exported), format: 'der', type: 'pkcs8' });
  const intermediatePem = pemOf(Buffer.from(intermediate.certificate.rawData));
  const forms = new Map<string, Promise<Form>>();

  return {
    rootPem: pemOf(Buffer.from(root.certificate.rawData)),
    async issue(spki, issuedAt, notAfter) {
      // Keys of one type have the same beginning and the same length.
      const name = `${spki.length} ${Buffer.from(spki.subarray(0, 20)).toString('hex')}`;
      const known = forms.get(name) ?? createForm(spki, issuedAt, intermediate);
      forms.set(name, known);
      const times = { notBefore: seconds(issuedAt - backdateMs), notAfter: seconds(notAfter) };
      return { chain: pemOf(fill(await known, spki, times, key)) + intermediatePem, ...times };
    },
  };
}

function seconds(ms: number): number {
  return Math.floor(ms / 1000) * 1000;
}

function fill(
  { signed, tail, serialAt, validityAt, keyAt }: Form,
  spki: Uint8Array,
  { notBefore, notAfter }: { readonly notBefore: number; readonly notAfter: number },
  key: KeyObject,
): Buffer {
  const copy = Buffer.from(signed);
  copy.set(spki, keyAt);
  randomBytes(serialBytes).copy(copy, serialAt);
  copy[serialAt] = 0x40;
  copy.write(utcTime(notBefore), validityAt + 4, 'latin1');
  copy.write(utcTime(notAfter), validityAt + 4 + 15, 'latin1');
  const signature = sign('sha256', copy, key);
  const bits = Buffer.concat([Buffer.from([0x03, signature.length + 1, 0x00]), signature]);
  return element(0x30, Buffer.concat([copy, tail, bits]));
}

/** Seconds as UTCTime has them: years before 2050. */
function utcTime(ms: number): string {
  return `${new Date(ms).toISOString().replace(/[-:T]/g, '').slice(2, 14)}Z`;
}

async function createForm(spki: Uint8Array, now: number, issuer: Authority): Promise<Form> {
  const serialNumber = `40${randomBytes(serialBytes - 1).toString('hex')}`;
  const certificate = await X509CertificateGenerator.create({
    serialNumber,
    issuer: issuer.certificate.subject,
    notBefore: new Date(now),
    notAfter: new Date(now + dayMs),
    publicKey: new PublicKey(spki),
    signingKey: issuer.keys.privateKey,
    signingAlgorithm: algorithm,
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth, ExtendedKeyUsage.clientAuth]),
      new SubjectAlternativeNameExtension([{ type: 'url', value: 'spiffe://cluster.local/ns/bench/sa/default' }], true),
      await AuthorityKeyIdentifierExtension.create(issuer.keys.publicKey),
    ],
  });
  const [whole] = elementsOf(Buffer.from(certificate.rawData));
  const [signed, signatureAlgorithm] = elementsOf(whole?.content ?? new Uint8Array());
  const bytes = element(0x30, signed?.content ?? new Uint8Array());
  return {
    signed: bytes,
    tail: element(0x30, signatureAlgorithm?.content ?? new Uint8Array()),
    serialAt: placeOf(bytes, Buffer.from(serialNumber, 'hex')),
    validityAt: placeOf(bytes, Buffer.from('301e170d', 'hex')),
    keyAt: placeOf(bytes, spki),
  };
}

function placeOf(bytes: Buffer, part: Uint8Array): number {
  const place = bytes.indexOf(part);
  if (place < 0) {
    throw new Error('a certificate lacks what it was made from');
  }
  return place;
}

function element(tag: number, content: Uint8Array): Buffer {
  const { length } = content;
  const octets = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...octets]), content]);
}

function pemOf(der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
}

async function createAuthority(subject: string, now: number, issuer?: Authority): Promise<Authority> {
  const keys = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const certificate = await X509CertificateGenerator.create({
    serialNumber: `40${randomBytes(serialBytes - 1).toString('hex')}`,
    subject,
    issuer: issuer?.certificate.subject ?? subject,
    notBefore: new Date(now - dayMs),
    notAfter: new Date(now + 3650 * dayMs),
    publicKey: keys.publicKey,
    signingKey: (issuer?.keys ?? keys).privateKey,
    signingAlgorithm: algorithm,
    extensions: [
      new BasicConstraintsExtension(true, issuer === undefined ? undefined : 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
      await AuthorityKeyIdentifierExtension.create((issuer?.keys ?? keys).publicKey),
    ],
  });
  return { certificate, keys };
}

/** The key in a stub request, whose subject is empty. @param request PKCS#10, DER */
export function keyOfStub(request: Uint8Array): Uint8Array {
  const [whole] = elementsOf(request, 1);
  const [information] = elementsOf(whole?.content ?? new Uint8Array(), 1);
  const [, , key] = elementsOf(information?.content ?? new Uint8Array(), 3);
  if (key === undefined) {
    throw new Error('the request holds no key');
  }
  return element(0x30, key.content);
}
