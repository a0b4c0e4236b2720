/** Passes over a value of JSON, byte by byte: nothing becomes of it. */
import { findQuoteMark, type StringPlace } from './json-text.ts';

export interface Skipper {
  /** From the first byte of a value on, which is in so many objects and arrays that are passed over with it. */
  begin(depth: number): void;
  /** @returns where the value ends, or the chunk does @throws SyntaxError */
  take(chunk: Uint8Array, from: number): number;
  isDone(): boolean;
}

const quoteMark = 0x22;

/** By byte: 1 for what opens an object or array, -1 for what closes one. */
const depths = Int8Array.from(
  { length: 256 },
  (_, byte) => Number('{['.includes(textOf(byte))) - Number('}]'.includes(textOf(byte))),
);
/** By byte: 1 for what comes after a number or a word, such as `true`. */
const ends = Uint8Array.from({ length: 256 }, (_, byte) => Number(' \t\r\n,]}'.includes(textOf(byte))));

function textOf(byte: number): string {
  return String.fromCharCode(byte);
}

/** Whether the byte comes after a number or a word, such as `true`. */
export function isBehindWord(byte: number): boolean {
  return ends[byte] === 1;
}

export function createSkipper(): Skipper {
  const place: StringPlace = { isEscaped: false };
  let depth = 0;
  let isInString = false;
  let isDone = false;

  function skipString(chunk: Uint8Array, from: number): number {
    const end = findQuoteMark(chunk, from, place);
    isInString = end < 0;
    isDone = !isInString && depth === 0;
    return isInString ? chunk.length : end + 1;
  }

  /** Up to the next string. */
  function skipRest(chunk: Uint8Array, from: number): number {
    let index = from;
    while (index < chunk.length && !isInString && !isDone) {
      const byte = chunk[index] ?? 0;
      if (depth === 0 && isBehindWord(byte)) {
        isDone = true;
        return index;
      }
      const step = depths[byte] ?? 0;
      depth += step;
      isDone = step < 0 && depth === 0;
      isInString = byte === quoteMark;
      index += 1;
    }
    return index;
  }

  return {
    begin(around) {
      depth = around;
      isDone = false;
    },
    take(chunk, from) {
      let index = from;
      while (index < chunk.length && !isDone) {
        index = isInString ? skipString(chunk, index) : skipRest(chunk, index);
      }
      return index;
    },
    isDone: () => isDone,
  };
}
