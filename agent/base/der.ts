/**
 * Reads the structure of DER, as far as certificates need it: one level at a time, without copying, and without
 * interpreting the elements.
 *
 * https://www.itu.int/rec/T-REC-X.690
 */

export interface Element {
  /** The identifier octet; certificates have no tags that need more. */
  readonly tag: number;
  readonly content: Uint8Array;
}

/**
 * The elements that follow each other in some bytes.
 * @param most so many are read and no more: a megabyte holds half a million
 * @throws RangeError when that is not what the bytes are
 */
export function elementsOf(bytes: Uint8Array, most = Number.POSITIVE_INFINITY): Element[] {
  const elements: Element[] = [];
  let position = 0;
  while (position < bytes.length && elements.length < most) {
    const tag = byteAt(bytes, position);
    const { length, start } = lengthAt(bytes, position + 1);
    position = start + length;
    if (position > bytes.length) {
      throw new RangeError('an element is longer than what holds it');
    }
    elements.push({ tag, content: bytes.subarray(start, position) });
  }
  return elements;
}

function lengthAt(bytes: Uint8Array, position: number): { readonly length: number; readonly start: number } {
  const first = byteAt(bytes, position);
  if (first < 0x80) {
    return { length: first, start: position + 1 };
  }
  const start = position + 1 + (first & 0x7f);
  // Four length bytes cover four gigabytes. None at all mean an indefinite length, which DER forbids.
  if (first === 0x80 || first > 0x84) {
    throw new RangeError('an element has no length that can be read');
  }
  let length = 0;
  for (let index = position + 1; index < start; index += 1) {
    length = length * 256 + byteAt(bytes, index);
  }
  return { length, start };
}

function byteAt(bytes: Uint8Array, position: number): number {
  const byte = bytes[position];
  if (byte === undefined) {
    throw new RangeError('an element is cut off');
  }
  return byte;
}

/** @throws RangeError when there is no element */
export function contentOf(element: Element | undefined): Uint8Array {
  if (element === undefined) {
    throw new RangeError('an element is missing');
  }
  return element.content;
}

const versionTag = 0xa0;

/** A version, the fields from the serial number to the public key, two unique identifiers and the extensions. */
const mostFields = 10;

/** The fields of a certificate's body, the version among them; what follows the extensions is left out. @throws RangeError */
export function bodyFields(body: Uint8Array): Element[] {
  return elementsOf(body, mostFields);
}

/**
 * The fields of an X.509 certificate's body from the serial number on, without the version that may come before: serial number,
 * algorithm, issuer, validity, subject, public key, and what follows (RFC 5280, section 4.1). @throws RangeError
 */
export function certificateFields(der: Uint8Array): Element[] {
  const [certificate] = elementsOf(der, 1);
  const [body] = elementsOf(contentOf(certificate), 1);
  return withoutVersion(bodyFields(contentOf(body)));
}

/** @param fields of a certificate's body */
export function withoutVersion(fields: Element[]): Element[] {
  return fields[0]?.tag === versionTag ? fields.slice(1) : fields;
}
