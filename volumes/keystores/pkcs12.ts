/**
 * PKCS#12 as OpenSSL 3 and Java 17 write it: AES-256-CBC under PBES2 with HMAC-SHA-256, and a MAC with SHA-256 over it all.
 *
 *     PFX                                 version 3
 *       authSafe: data                    what the MAC is over
 *         encryptedData or data           certificates, each in a bag with its name
 *         data                            a key, encrypted, in a bag with the same name
 *       macData                           HMAC-SHA-256, under a key from the password
 *
 * Certificates of a truststore are not encrypted: they are no secret, and Java then reads them without a password too. The same
 * randomness gives the same bytes.
 *
 * https://www.rfc-editor.org/rfc/rfc7292
 */
import { createCipheriv, createHmac, hash } from 'node:crypto';
import type { Steps } from '../base/steps.ts';
import type { FileContent } from '../files/content.ts';
import {
  bmpString,
  element,
  explicit0,
  header,
  integer,
  nothing,
  objectIdentifier,
  octets,
  sequence,
  setOf,
  tag,
} from './der.ts';
import { encryptionKey, iterations } from './derivation.ts';

const data = objectIdentifier('1.2.840.113549.1.7.1');
const encryptedData = objectIdentifier('1.2.840.113549.1.7.6');
const shroudedKeyBag = objectIdentifier('1.2.840.113549.1.12.10.1.2');
const certificateBag = objectIdentifier('1.2.840.113549.1.12.10.1.3');
const x509Certificate = objectIdentifier('1.2.840.113549.1.9.22.1');
const friendlyName = objectIdentifier('1.2.840.113549.1.9.20');
const localKeyId = objectIdentifier('1.2.840.113549.1.9.21');
const pbes2 = objectIdentifier('1.2.840.113549.1.5.13');
const pbkdf2 = objectIdentifier('1.2.840.113549.1.5.12');
const hmacWithSha256 = objectIdentifier('1.2.840.113549.2.9');
const aes256Cbc = objectIdentifier('2.16.840.1.101.3.4.1.42');
const sha256 = objectIdentifier('2.16.840.1.101.3.4.2.1');
/** Oracle's: Java takes a certificate without it for a link of somebody's chain, and does not trust it. */
const trustedKeyUsage = objectIdentifier('2.16.840.1.113894.746875.1.1');
const anyExtendedKeyUsage = objectIdentifier('2.5.29.37.0');

/** The name of key and leaf in a keystore. */
const keyAlias = 'certificate';

const saltBytes = 16;
/** A salt and an initialisation vector each for key and chain, and the salt of the MAC. */
export const randomnessBytes = 5 * saltBytes;

/** @param index which of the five */
function randomPart(randomness: Uint8Array, index: number): Uint8Array {
  return randomness.subarray(index * saltBytes, (index + 1) * saltBytes);
}

export function macSalt(randomness: Uint8Array): Uint8Array {
  return randomPart(randomness, 4);
}

/** A private key and its chain, both encrypted: what is under the MAC of a keystore. */
export async function keystoreSafe(
  privateKey: Uint8Array,
  chain: readonly Uint8Array[],
  password: Uint8Array,
  randomness: Uint8Array,
): Promise<FileContent> {
  const name = attribute(friendlyName, bmpString(keyAlias));
  const ofLeaf = setOf(name, attribute(localKeyId, octets(hash('sha256', chain[0] ?? data, 'buffer'))));
  const bags = chain.flatMap((der, position) => {
    const attributes = position === 0 ? ofLeaf : new Uint8Array(0);
    return [certificateHead(der.length, attributes.length), der, attributes];
  });
  const certificates = await encrypted(sequence(...bags), password, randomness, 0);
  const key = await encrypted(privateKey, password, randomness, 2);
  const keyBag = sequence(shroudedKeyBag, explicit0(sequence(key.algorithm, octets(key.bytes))), ofLeaf);
  const safe = sequence(
    sequence(
      encryptedData,
      explicit0(
        sequence(integer(0), sequence(data, certificates.algorithm, element(tag.implicitContext0, certificates.bytes))),
      ),
    ),
    dataContent(sequence(keyBag)),
  );
  return { length: safe.length, pieces: () => [safe] };
}

/** Trust anchors (DER), as Java trusts them: what is under the MAC of a truststore. They may be many, and are put together in pieces. */
export function truststoreSafe(certificates: readonly Uint8Array[]): FileContent {
  function* bags(): Iterable<Uint8Array> {
    const frames = createFrames();
    for (const [index, der] of certificates.entries()) {
      const alias = aliasOf(index);
      const { before, after, at } = frames(der.length, alias.length);
      const attributes = Buffer.from(after);
      for (let character = 0; character < alias.length; character += 1) {
        attributes[at + 2 * character] = alias.charCodeAt(character);
      }
      yield before;
      yield der;
      yield attributes;
    }
  }
  const frames = createFrames();
  let length = 0;
  for (const [index, der] of certificates.entries()) {
    const { before, after } = frames(der.length, aliasOf(index).length);
    length += before.length + der.length + after.length;
  }
  const contents = within(tag.sequence, { length, pieces: bags });
  const content = within(tag.context0, within(tag.octetString, contents));
  return within(tag.sequence, within(tag.sequence, content, data));
}

const aliasOf = (index: number): string => `ca-${index + 1}`;

interface Frame {
  readonly before: Uint8Array;
  /** The attributes, with an alias of nothing but question marks. */
  readonly after: Uint8Array;
  /** Where in the attributes the alias begins: the second byte of its first character. */
  readonly at: number;
}

/** What stands around a certificate: the same for all of one length, whose aliases have one length. Thousands are made of a few. */
function createFrames(): (derLength: number, aliasLength: number) => Frame {
  const trusted = attribute(trustedKeyUsage, anyExtendedKeyUsage);
  const known = new Map<number, Frame>();
  return (derLength, aliasLength) => {
    const key = derLength * 64 + aliasLength;
    const found = known.get(key);
    if (found !== undefined) {
      return found;
    }
    const name = bmpString('?'.repeat(aliasLength));
    const attributes = Buffer.from(setOf(attribute(friendlyName, name), trusted));
    const frame = {
      before: certificateHead(derLength, attributes.length),
      after: attributes,
      at: attributes.indexOf(name) + 3,
    };
    known.set(key, frame);
    return frame;
  };
}

/** The MAC over what a file holds. */
export function* macOver(safe: FileContent, key: Uint8Array): Steps<Uint8Array> {
  const mac = createHmac('sha256', key);
  for (const piece of inLargerPieces(safe.pieces())) {
    mac.update(piece);
    yield;
  }
  return mac.digest();
}

/** The file. @param mac of `macOver`, with the salt of the randomness */
export function pkcs12(safe: FileContent, mac: Uint8Array, randomness: Uint8Array): FileContent {
  const digest = sequence(sequence(sha256, nothing), octets(mac));
  const macData = sequence(digest, octets(macSalt(randomness)), integer(iterations));
  const authSafe = within(tag.sequence, within(tag.context0, within(tag.octetString, safe)), data);
  const { length, pieces } = within(tag.sequence, authSafe, integer(3), macData);
  return { length, pieces: () => inLargerPieces(pieces()) };
}

/** What stands before a certificate in its SafeBag; its attributes, of so many bytes, follow it. */
function certificateHead(derLength: number, attributesLength: number): Uint8Array {
  const octetString = header(tag.octetString, derLength);
  const inner = header(tag.context0, octetString.length + derLength);
  const bag = header(tag.sequence, x509Certificate.length + inner.length + octetString.length + derLength);
  const length = bag.length + x509Certificate.length + inner.length + octetString.length + derLength;
  const value = header(tag.context0, length);
  const all = header(tag.sequence, certificateBag.length + value.length + length + attributesLength);
  return Buffer.concat([all, certificateBag, value, bag, x509Certificate, inner, octetString]);
}

function attribute(type: Uint8Array, value: Uint8Array): Uint8Array {
  return sequence(type, setOf(value));
}

function dataContent(contents: Uint8Array): Uint8Array {
  return sequence(data, explicit0(octets(contents)));
}

/** @param position of salt and initialisation vector in the randomness */
async function encrypted(plain: Uint8Array, password: Uint8Array, randomness: Uint8Array, position: number) {
  const salt = randomPart(randomness, position);
  const vector = randomPart(randomness, position + 1);
  const key = await encryptionKey(password, salt);
  try {
    const cipher = createCipheriv('aes-256-cbc', key, vector);
    const bytes = Buffer.concat([cipher.update(plain), cipher.final()]);
    const derivation = sequence(
      octets(salt),
      integer(iterations),
      integer(key.length),
      sequence(hmacWithSha256, nothing),
    );
    const scheme = sequence(sequence(pbkdf2, derivation), sequence(aes256Cbc, octets(vector)));
    return { algorithm: sequence(pbes2, scheme), bytes };
  } finally {
    key.fill(0);
  }
}

/** An element around what may be too long to be copied. */
function within(
  identifier: Parameters<typeof header>[0],
  inner: FileContent,
  before: Uint8Array = new Uint8Array(0),
  after: Uint8Array = new Uint8Array(0),
): FileContent {
  const length = before.length + inner.length + after.length;
  const start = Buffer.concat([header(identifier, length), before]);
  function* pieces(): Iterable<Uint8Array> {
    yield start;
    yield* inner.pieces();
    yield after;
  }
  return { length: start.length + inner.length + after.length, pieces };
}

/** Some hundred certificates, a few milliseconds. */
const pieceBytes = 64 * 1024;

/** The same bytes in fewer pieces: each is a call to the kernel. */
function* inLargerPieces(parts: Iterable<Uint8Array>): Iterable<Uint8Array> {
  let piece: Uint8Array[] = [];
  let length = 0;
  for (const part of parts) {
    piece.push(part);
    length += part.length;
    if (length >= pieceBytes) {
      yield Buffer.concat(piece);
      piece = [];
      length = 0;
    }
  }
  if (length > 0) {
    yield Buffer.concat(piece);
  }
}
