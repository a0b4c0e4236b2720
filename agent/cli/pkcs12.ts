/**
 * Opens PKCS#12 files (RFC 7292) of the forms that the agent writes, so that `inspect` can say what is in them.
 *
 * https://www.rfc-editor.org/rfc/rfc7292
 */
import { createDecipheriv, createHmac, pbkdf2Sync, timingSafeEqual } from 'node:crypto';
import { atOnce } from '../../volumes/base/steps.ts';
import { macKey } from '../../volumes/keystores/derivation.ts';
import { contentOf, type Element, elementsOf } from '../base/der.ts';

export interface Pkcs12 {
  /** PKCS#8 DER, which the caller zeroes. */
  readonly keys: readonly Buffer[];
  /** DER. */
  readonly certificates: readonly Uint8Array[];
}

/** Object identifiers, as their bytes in hexadecimal. */
const type = {
  data: '2a864886f70d010701',
  encryptedData: '2a864886f70d010706',
  shroudedKeyBag: '2a864886f70d010c0a0102',
  certificateBag: '2a864886f70d010c0a0103',
  pbes2: '2a864886f70d01050d',
  pbkdf2: '2a864886f70d01050c',
  hmacWithSha256: '2a864886f70d0209',
  aes256Cbc: '60864801650304012a',
  sha256: '608648016503040201',
} as const;

/** What somebody else has made may ask for hours of it. */
const mostIterations = 1_000_000;

/** Of one level: a truststore has a part for each certificate. Any file is looked at, and a megabyte may hold half a million. */
const mostParts = 8_192;

/** True when the bytes are those of a PKCS#12 file, of whatever form. */
export function isPkcs12(bytes: Uint8Array): boolean {
  try {
    const [version, authSafe] = partsOf(elementsOf(bytes, 1)[0]);
    return hex(version) === '03' && partsOf(authSafe)[0] !== undefined;
  } catch {
    return false;
  }
}

/**
 * @returns what is in the file; undefined when the password is another
 * @throws Error for a form that the agent does not write
 */
export function openPkcs12(bytes: Uint8Array, password: Uint8Array): Pkcs12 | undefined {
  const [, authSafe, macData] = partsOf(elementsOf(bytes, 1)[0]);
  const safe = contentOf(dataIn(authSafe));
  if (!hasMac(safe, macData, password)) {
    return undefined;
  }
  const keys: Buffer[] = [];
  const certificates: Uint8Array[] = [];
  for (const content of partsOf(elementsOf(safe, 1)[0])) {
    for (const bag of partsOf(elementsOf(safeContents(content, password), 1)[0])) {
      const [kind, value] = partsOf(bag);
      const [inner] = partsOf(value);
      if (hex(kind) === type.shroudedKeyBag) {
        const [algorithm, encrypted] = partsOf(inner);
        keys.push(decrypted(algorithm, contentOf(encrypted), password));
      } else if (hex(kind) === type.certificateBag) {
        const [, certificate] = partsOf(inner);
        certificates.push(contentOf(partsOf(certificate)[0]));
      }
    }
  }
  return { keys, certificates };
}

function hasMac(safe: Uint8Array, macData: Element | undefined, password: Uint8Array): boolean {
  const [digestInfo, salt, count] = partsOf(macData);
  const [algorithm, digest] = partsOf(digestInfo);
  assertType(partsOf(algorithm)[0], type.sha256);
  const key = atOnce(macKey(password, contentOf(salt), iterationsIn(count)));
  const mac = createHmac('sha256', key).update(safe).digest();
  const stated = contentOf(digest);
  return mac.length === stated.length && timingSafeEqual(mac, stated);
}

function safeContents(content: Element, password: Uint8Array): Uint8Array {
  const [kind, wrapped] = partsOf(content);
  if (hex(kind) === type.data) {
    return contentOf(dataIn(content));
  }
  assertType(kind, type.encryptedData);
  const [, encryptedContent] = partsOf(partsOf(wrapped)[0]);
  const [, algorithm, encrypted] = partsOf(encryptedContent);
  return decrypted(algorithm, contentOf(encrypted), password);
}

/** AES-256-CBC with a key of PBKDF2 and HMAC-SHA-256. */
function decrypted(algorithm: Element | undefined, encrypted: Uint8Array, password: Uint8Array): Buffer {
  const [scheme, parameters] = partsOf(algorithm);
  assertType(scheme, type.pbes2);
  const [derivation, cipher] = partsOf(parameters);
  const [function_, settings] = partsOf(derivation);
  assertType(function_, type.pbkdf2);
  const [salt, count, ...rest] = partsOf(settings);
  assertType(partsOf(rest.at(-1))[0], type.hmacWithSha256);
  const [cipherType, vector] = partsOf(cipher);
  assertType(cipherType, type.aes256Cbc);
  const key = pbkdf2Sync(password, contentOf(salt), iterationsIn(count), 32, 'sha256');
  const decipher = createDecipheriv('aes-256-cbc', key, contentOf(vector));
  const parts = [decipher.update(encrypted), decipher.final()];
  const plain = Buffer.from(new ArrayBuffer(parts.reduce((sum, { length }) => sum + length, 0)));
  let offset = 0;
  for (const part of parts) {
    plain.set(part, offset);
    offset += part.length;
    part.fill(0);
  }
  return plain;
}

/** The octet string in a content of type `data`. */
function dataIn(content: Element | undefined): Element | undefined {
  const [kind, wrapped] = partsOf(content);
  assertType(kind, type.data);
  return partsOf(wrapped)[0];
}

function partsOf(element: Element | undefined): Element[] {
  return elementsOf(contentOf(element), mostParts);
}

function iterationsIn(element: Element | undefined): number {
  const count = Number.parseInt(hex(element), 16);
  if (!(count >= 1 && count <= mostIterations)) {
    throw new RangeError(`iterates ${count} times`);
  }
  return count;
}

function hex(element: Element | undefined): string {
  return Buffer.from(contentOf(element)).toString('hex');
}

function assertType(element: Element | undefined, wanted: string): void {
  if (hex(element) !== wanted) {
    throw new TypeError(`${hex(element)} is not ${wanted}`);
  }
}
