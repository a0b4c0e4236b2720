/**
 * The outermost layer of DER (X.690): where an element begins and ends. Libraries read the rest, but they neither give
 * the signed bytes of a certification request nor notice bytes that follow it.
 *
 * https://www.itu.int/rec/T-REC-X.690
 */
import type { Buffer } from 'node:buffer';

/** An element: its tag, its contents, and its whole encoding. */
export interface DerElement {
  readonly tag: number;
  readonly contents: Buffer;
  readonly encoding: Buffer;
}

/** The tag of a SEQUENCE. */
const sequenceTag = 0x30;

/** The element that the bytes begin with; nothing when they are too short or its length is not in shortest form. */
export function firstElement(bytes: Buffer): DerElement | undefined {
  const [tag, first] = bytes;
  if (tag === undefined || first === undefined || first === 0x80 || first > 0x84) {
    return undefined;
  }
  const lengthBytes = first & 0x80 ? first & 0x7f : 0;
  const headerBytes = 2 + lengthBytes;
  if (bytes.length < headerBytes) {
    return undefined;
  }
  const length = lengthBytes === 0 ? first : bytes.readUIntBE(2, lengthBytes);
  const isShortest = lengthBytes === 0 || length >= (lengthBytes === 1 ? 0x80 : 2 ** (8 * (lengthBytes - 1)));
  const end = headerBytes + length;
  if (!isShortest || bytes.length < end) {
    return undefined;
  }
  return { tag, contents: bytes.subarray(headerBytes, end), encoding: bytes.subarray(0, end) };
}

/** True when the bytes are one SEQUENCE and nothing else. */
export function isOneSequence(bytes: Buffer): boolean {
  const element = firstElement(bytes);
  return element?.tag === sequenceTag && element.encoding.length === bytes.length;
}
