/**
 * Reads a string of JSON piece by piece: each piece is decoded as it comes, so that megabytes of escapes are never decoded in one go.
 *
 * https://www.rfc-editor.org/rfc/rfc8259#section-7
 */
import { StringDecoder } from 'node:string_decoder';

export interface TextReader {
  /**
   * Reads on, at first from behind the opening quotation mark.
   * @returns behind the closing quotation mark, or where the chunk ends @throws SyntaxError for what is no string of JSON
   */
  take(chunk: Buffer, from: number): number;
  /** The string, when its closing quotation mark has been read; the next one may begin then. Undefined in its middle. */
  whole(): string | undefined;
}

const [quoteMark, backslash, letterU, space] = [0x22, 0x5c, 0x75, 0x20];
const nothing: Buffer = Buffer.alloc(0);

/** Where a string is being looked through. */
export interface StringPlace {
  isEscaped: boolean;
}

/** @returns where the closing quotation mark is; -1 when it is in none of these bytes @throws SyntaxError */
export function findQuoteMark(chunk: Uint8Array, from: number, place: StringPlace): number {
  let { isEscaped } = place;
  for (let index = from; index < chunk.length; index += 1) {
    const byte = chunk[index] ?? 0;
    if (byte < space) {
      // Control characters are written as escapes, and a frame of a watch that was cut off ends in a line feed.
      throw new SyntaxError('a string holds a control character, or ends with its line');
    }
    if (isEscaped) {
      isEscaped = false;
    } else if (byte === quoteMark) {
      place.isEscaped = false;
      return index;
    } else {
      isEscaped = byte === backslash;
    }
  }
  place.isEscaped = isEscaped;
  return -1;
}

export function createTextReader(): TextReader {
  const place: StringPlace = { isEscaped: false };
  let text = '';
  /** The beginning of an escape, or of a character, of which the rest is in the next chunk. */
  let held = nothing;
  let decoder: StringDecoder | undefined;
  let isWhole = false;

  function add(piece: Buffer): void {
    const bytes = held.length === 0 ? piece : Buffer.concat([held, piece]);
    const end = isWhole ? bytes.length : startOfOpenEscape(bytes);
    held = bytes.subarray(end);
    if (decoder === undefined && isWhole) {
      text = unescaped(bytes.toString('utf8'));
      return;
    }
    decoder ??= new StringDecoder('utf8');
    text += unescaped(decoder.write(bytes.subarray(0, end)) + (isWhole ? decoder.end() : ''));
  }

  return {
    take(chunk, from) {
      const end = findQuoteMark(chunk, from, place);
      isWhole = end >= 0;
      add(chunk.subarray(from, isWhole ? end : chunk.length));
      return isWhole ? end + 1 : chunk.length;
    },
    whole() {
      if (!isWhole) {
        return undefined;
      }
      const found = text;
      text = '';
      held = nothing;
      decoder = undefined;
      isWhole = false;
      return found;
    },
  };
}

/** @throws SyntaxError for an escape that there is not */
function unescaped(text: string): string {
  return text.includes('\\') ? String(JSON.parse(`"${text}"`)) : text;
}

/** Where an escape begins that the bytes do not hold to its end; their length when there is none. */
function startOfOpenEscape(bytes: Uint8Array): number {
  // The longest is \u and four digits.
  for (let index = bytes.length - 1; index >= Math.max(0, bytes.length - 5); index -= 1) {
    if (bytes[index] !== backslash) {
      continue;
    }
    if (!isEscapedAt(bytes, index)) {
      const length = bytes[index + 1] === letterU ? 6 : 2;
      return index + length > bytes.length ? index : bytes.length;
    }
  }
  return bytes.length;
}

/** Whether a backslash before it, which is none's own, has the byte. */
function isEscapedAt(bytes: Uint8Array, index: number): boolean {
  let backslashes = 0;
  while (bytes[index - 1 - backslashes] === backslash) {
    backslashes += 1;
  }
  return backslashes % 2 === 1;
}
