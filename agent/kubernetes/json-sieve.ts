/**
 * Reads JSON as it comes over the wire and keeps what the agent has a use for; the rest is passed over, byte by byte, and never
 * becomes a value. Whoever may write an object may fill it with a hundred thousand labels or managed fields: to parse such an
 * object of 1.5 MiB as a whole holds the event loop up for more than a tenth of a second, and a page of them for a minute.
 *
 * It does not judge JSON: what is kept is handed to `JSON.parse`, which does; what is passed over need only be nested in order.
 *
 * https://www.rfc-editor.org/rfc/rfc8259
 */

/** What is kept of a value: all of it; of an object the named members, of an array the same of each item. */
export type Shape =
  | 'all'
  | { readonly members: ReadonlyMap<string, Shape> }
  | {
      readonly items: Shape /** Each item is handed over by itself, and the array is left empty. */;
      readonly apart?: boolean;
    };

export interface SieveOptions {
  readonly shape: Shape;
  /** Takes each value at the top, as soon as it is whole. */
  readonly onValue: (value: unknown) => void;
  /** Takes each item of an array whose items are handed over apart. */
  readonly onItem?: (item: unknown) => void;
  /** Longest text that is kept of a value at the top, or of an item that is handed over apart. */
  readonly maxBytes: number;
}

export interface Sieve {
  /** @throws RangeError for a value that is too long, SyntaxError for what is not JSON, and what the listeners throw */
  take(chunk: Uint8Array): void;
  /** No more comes. @throws SyntaxError in the middle of a value */
  end(): void;
}

/**
 * Values that are kept of one object. The lists and maps that exceed it (labels, conditions) are left out as a whole: no object that
 * the agent has a use for has so many, and each of them costs up to a microsecond.
 */
export const mostKeptValues = 16_384;

/** A name that is longer is none that is kept. */
const longestName = 128;

const [quoteMark, backslash, comma, colon, lineFeed] = [0x22, 0x5c, 0x2c, 0x3a, 0x0a];
const [openArray, closeArray, openObject, closeObject] = [0x5b, 0x5d, 0x7b, 0x7d];
const isBlank = (byte: number): boolean => byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;

type Kind = 'open' | 'close' | 'comma' | 'quote' | 'blank';

/** Bytes that mean something outside of strings. */
const kinds: readonly (Kind | undefined)[] = Array.from({ length: 256 }, (_, byte) =>
  byte === openObject || byte === openArray
    ? 'open'
    : byte === closeObject || byte === closeArray
      ? 'close'
      : byte === comma
        ? 'comma'
        : byte === quoteMark
          ? 'quote'
          : isBlank(byte)
            ? 'blank'
            : undefined,
);

/** An object or array that is looked into. */
interface Container {
  readonly shape: Exclude<Shape, 'all'>;
  /** Nothing of it is kept so far. */
  isEmpty: boolean;
}

type Place = 'value' | 'name' | 'in name' | 'colon' | 'next' | 'kept' | 'passed over';

/** What a byte between values leads to; after a comma in a list it is a value. */
const followers: Readonly<Partial<Record<Place, Readonly<Record<number, Place>>>>> = {
  name: { [quoteMark]: 'in name' },
  colon: { [colon]: 'value' },
  next: { [comma]: 'name' },
};

/** What has been kept so far, to be gone back to. */
interface Mark {
  readonly depth: number;
  readonly parts: number;
  readonly bytes: number;
  readonly values: number;
  readonly wasEmpty: boolean;
}

/** What is kept of a value at the top, or of an item apart. */
interface Kept {
  parts: Uint8Array[];
  bytes: number;
  values: number;
  /** Where the outermost list or map begins that is being read. */
  mark: Mark | undefined;
}

const nothing = (): Kept => ({ parts: [], bytes: 0, values: 0, mark: undefined });

export function createSieve({ shape, onValue, onItem, maxBytes }: SieveOptions): Sieve {
  const stack: Container[] = [];
  let kept = nothing();
  /** What is kept of the value around the item that is being read. */
  let around: Kept | undefined;
  let at: Place = 'value';
  /** Within a value that is kept or passed over as it is: its depth, and whether a string is open in it. */
  let depth = 0;
  let isInString = false;
  let isEscaped = false;
  let name: number[] = [];

  function keep(part: Uint8Array): void {
    kept.parts.push(part);
    kept.bytes += part.length;
    if (kept.bytes > maxBytes) {
      throw new RangeError(`a value is longer than ${maxBytes} bytes`);
    }
  }

  /** Counts values; too many are left out with the list or map that they are in. @returns false when that was done */
  function count(more: number): boolean {
    kept.values += more;
    if (kept.values <= mostKeptValues) {
      return true;
    }
    const { mark } = kept;
    if (mark === undefined) {
      // A value that no decoder has named the parts of.
      return true;
    }
    depth += stack.length - mark.depth;
    stack.length = mark.depth;
    kept.parts.length = mark.parts;
    kept = { parts: kept.parts, bytes: mark.bytes, values: mark.values, mark: undefined };
    const container = stack.at(-1);
    if (container !== undefined) {
      container.isEmpty = mark.wasEmpty;
    }
    at = 'passed over';
    return false;
  }

  function isApart(container: Container | undefined): boolean {
    return container !== undefined && 'items' in container.shape && container.shape.apart === true;
  }

  /** What is to be kept of the value that begins here. */
  function shapeHere(): Shape | undefined {
    const container = stack.at(-1);
    if (container === undefined) {
      return shape;
    }
    return 'items' in container.shape
      ? container.shape.items
      : container.shape.members.get(String.fromCharCode(...name));
  }

  /** @returns true when the byte opens something that is looked into */
  function begin(byte: number): boolean {
    const container = stack.at(-1);
    const wanted = shapeHere();
    depth = 0;
    if (wanted === undefined) {
      at = 'passed over';
      return false;
    }
    if (isApart(container)) {
      around = kept;
      kept = nothing();
    } else if (container !== undefined) {
      const isList = wanted === 'all' || 'items' in wanted;
      if (isList && kept.mark === undefined && !(wanted !== 'all' && wanted.apart)) {
        const { parts, bytes, values } = kept;
        kept.mark = { depth: stack.length, parts: parts.length, bytes, values, wasEmpty: container.isEmpty };
      }
      const before = container.isEmpty ? '' : ',';
      container.isEmpty = false;
      keep(Buffer.from('items' in container.shape ? before : `${before}"${String.fromCharCode(...name)}":`, 'latin1'));
    }
    return enter(wanted, byte);
  }

  function enter(wanted: Shape, byte: number): boolean {
    const isContainer = byte === openObject || byte === openArray;
    if (wanted === 'all' || !isContainer) {
      at = 'kept';
    } else if ('members' in wanted === (byte === openObject)) {
      stack.push({ shape: wanted, isEmpty: true });
      keep(Buffer.of(byte));
      at = byte === openObject ? 'name' : 'value';
      return true;
    } else {
      // Of the wrong kind, which its decoder refuses.
      keep(Buffer.from(byte === openObject ? '{}' : '[]'));
      at = 'passed over';
    }
    return false;
  }

  /** A value has ended. */
  function leave(): void {
    at = 'next';
    const container = stack.at(-1);
    if (kept.mark?.depth === stack.length) {
      kept.mark = undefined;
    }
    if (container === undefined) {
      const whole = kept;
      kept = nothing();
      at = 'value';
      onValue(parsed(whole));
    } else if (around !== undefined && isApart(container)) {
      const item = kept;
      kept = around;
      around = undefined;
      onItem?.(parsed(item));
    }
  }

  function close(byte: number): void {
    const container = stack.pop();
    if (container === undefined || 'members' in container.shape !== (byte === closeObject)) {
      throw new SyntaxError('a bracket closes what was not opened');
    }
    keep(Buffer.of(byte));
    leave();
  }

  /** Looks at a byte between values. @returns false when it belongs to what comes next */
  function step(byte: number): boolean {
    if (isBlank(byte)) {
      return true;
    }
    const isEnd = byte === closeObject || byte === closeArray;
    if (isEnd && stack.length > 0 && at !== 'colon') {
      close(byte);
      return true;
    }
    if (at === 'value' && !isEnd && byte !== comma && byte !== colon) {
      return count(1) && begin(byte);
    }
    const next = followers[at]?.[byte];
    if (next === undefined) {
      throw new SyntaxError('a value, a name or a comma is missing');
    }
    at = next;
    if (next === 'in name') {
      isInString = true;
      name = [];
    } else if (byte === comma && 'items' in (stack.at(-1)?.shape ?? {})) {
      at = 'value';
    }
    return true;
  }

  /** Reads on in a string. @returns behind its closing quotation mark, or where the chunk ends @throws SyntaxError */
  function readString(chunk: Uint8Array, from: number): number {
    for (let index = from; index < chunk.length; index += 1) {
      const byte = chunk[index];
      if (isEscaped) {
        isEscaped = false;
      } else if (byte === quoteMark) {
        isInString = false;
        return index + 1;
      } else if (byte === backslash) {
        isEscaped = true;
      } else if (byte === lineFeed) {
        // No string has one, and a frame of a watch that was cut off ends in one.
        throw new SyntaxError('a string ends with its line');
      }
    }
    return chunk.length;
  }

  function readName(chunk: Uint8Array, from: number): number {
    const end = readString(chunk, from);
    for (const byte of chunk.subarray(from, isInString ? end : end - 1)) {
      if (name.length > longestName) {
        break;
      }
      name.push(byte);
    }
    at = isInString ? 'in name' : 'colon';
    return end;
  }

  /** Reads on in a value that is kept or passed over as it is. @returns where it ends, or the chunk does */
  function readSpan(chunk: Uint8Array, from: number): number {
    const { end, values, isWhole } = scan(chunk, from);
    if (at === 'kept') {
      keep(chunk.subarray(from, end));
      // When it is left out, what is left of it, or of what it is in, is passed over.
      if (!count(values) && depth > 0) {
        return end;
      }
    }
    if (isWhole) {
      leave();
    }
    return end;
  }

  function scan(chunk: Uint8Array, from: number): { end: number; values: number; isWhole: boolean } {
    let values = 0;
    for (let index = from; index < chunk.length; ) {
      const wasInString = isInString;
      const kind = wasInString ? undefined : kinds[chunk[index] ?? 0];
      if (depth === 0 && (kind === 'close' || kind === 'comma' || kind === 'blank')) {
        return { end: index, values, isWhole: true };
      }
      index = wasInString ? readString(chunk, index) : index + 1;
      values += pass(kind);
      if (depth === 0 && !isInString && (wasInString || kind === 'close')) {
        return { end: index, values, isWhole: true };
      }
    }
    return { end: chunk.length, values, isWhole: false };
  }

  /** @returns how many values more there are */
  function pass(kind: Kind | undefined): number {
    isInString ||= kind === 'quote';
    depth += kind === 'open' ? 1 : kind === 'close' ? -1 : 0;
    return kind === 'open' || kind === 'comma' ? 1 : 0;
  }

  return {
    take(chunk) {
      for (let index = 0; index < chunk.length; ) {
        if (at === 'kept' || at === 'passed over') {
          index = readSpan(chunk, index);
        } else if (at === 'in name') {
          index = readName(chunk, index);
        } else {
          index += step(chunk[index] ?? 0) ? 1 : 0;
        }
      }
    },
    end() {
      if (at === 'kept' && stack.length === 0 && depth === 0 && !isInString) {
        leave();
      }
      if (at !== 'value' || stack.length > 0) {
        throw new SyntaxError('the text ends in the middle of a value');
      }
    },
  };
}

function parsed({ parts }: Kept): unknown {
  return JSON.parse(Buffer.concat(parts).toString('utf8'));
}
