/**
 * Writes DER, as far as a PKCS#12 file needs it. Nothing that passes through here is a secret: a private key is encrypted before.
 *
 * https://www.itu.int/rec/T-REC-X.690
 */

/** Identifier octets, X.690 section 8.1.2. */
export const tag = {
  integer: 0x02,
  octetString: 0x04,
  null: 0x05,
  objectIdentifier: 0x06,
  bmpString: 0x1e,
  sequence: 0x30,
  set: 0x31,
  /** [0], of something else than a string of bytes, or with it inside. */
  context0: 0xa0,
  /** [0] in the place of the identifier of a string of bytes. */
  implicitContext0: 0x80,
} as const;

type Tag = (typeof tag)[keyof typeof tag];

/** What stands before contents of so many bytes. */
export function header(identifier: Tag, length: number): Uint8Array {
  if (length < 0x80) {
    return Uint8Array.of(identifier, length);
  }
  const octets = bigEndian(length);
  return Uint8Array.of(identifier, 0x80 | octets.length, ...octets);
}

export function element(identifier: Tag, ...contents: readonly Uint8Array[]): Uint8Array {
  const length = contents.reduce((sum, part) => sum + part.length, 0);
  return Buffer.concat([header(identifier, length), ...contents]);
}

export const sequence = (...contents: readonly Uint8Array[]): Uint8Array => element(tag.sequence, ...contents);
export const octets = (bytes: Uint8Array): Uint8Array => element(tag.octetString, bytes);
export const explicit0 = (contents: Uint8Array): Uint8Array => element(tag.context0, contents);
export const nothing: Uint8Array = element(tag.null);

/** SET OF, whose elements DER puts in the order of their bytes. */
export function setOf(...elements: readonly Uint8Array[]): Uint8Array {
  return element(tag.set, ...elements.toSorted(Buffer.compare));
}

/** @param value a whole number, not negative */
export function integer(value: number): Uint8Array {
  const octets = bigEndian(value);
  return element(tag.integer, Uint8Array.from((octets[0] ?? 0) < 0x80 ? octets : [0, ...octets]));
}

/** @param dotted such as `1.2.840.113549.1.7.1` */
export function objectIdentifier(dotted: string): Uint8Array {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  const octets = [first * 40 + second, ...rest].flatMap(base128);
  return element(tag.objectIdentifier, Uint8Array.from(octets));
}

/** @param text of characters of the Basic Multilingual Plane */
export function bmpString(text: string): Uint8Array {
  return element(tag.bmpString, Buffer.from(text, 'utf16le').swap16());
}

function bigEndian(value: number): readonly number[] {
  return value < 0x100 ? [value] : [...bigEndian(Math.floor(value / 0x100)), value % 0x100];
}

function base128(arc: number): readonly number[] {
  const octets = [arc % 0x80];
  for (let left = Math.floor(arc / 0x80); left > 0; left = Math.floor(left / 0x80)) {
    octets.unshift(0x80 | (left % 0x80));
  }
  return octets;
}
