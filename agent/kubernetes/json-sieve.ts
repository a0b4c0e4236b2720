/**
 * Reads JSON as it comes over the wire and keeps what the agent has a use for; the rest is passed over, byte by byte, and never
 * becomes a value. Whoever may write an object may fill it with a hundred thousand labels or managed fields: to parse such an
 * object of 1.5 MiB as a whole holds the event loop up for more than a tenth of a second, and a page of them for a minute.
 *
 * Values are made as their bytes come, so that none is ever read as a whole: a text of 1 MiB may be 6 MiB of escapes. What is kept is
 * held to the grammar of JSON; what is passed over need only be nested in order.
 *
 * https://www.rfc-editor.org/rfc/rfc8259
 */
import { createSkipper, isBehindWord } from './json-skip.ts';
import { createTextReader } from './json-text.ts';

/** What is kept of a value: all of it; of an object the named members, or those whose names are wanted; of an array the same of each item. */
export type Shape =
  | 'all'
  | { readonly members: ReadonlyMap<string, Shape> }
  | { readonly wanted: (name: string) => Shape | undefined }
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
  /**
   * Reads on until a value or an item was handed over: thousands of small ones may be in one chunk.
   * @returns where it has to be gone on, or where the chunk ends
   * @throws RangeError for a value that is too long, SyntaxError for what is not JSON, and what the listeners throw
   */
  take(chunk: Buffer, from: number): number;
  /** No more comes. @throws SyntaxError in the middle of a value */
  end(): void;
}

/**
 * Values that are kept of one object. The lists and maps that exceed it (labels, conditions) are left out as a whole: no object that
 * the agent has a use for has so many, and each of them costs up to a microsecond.
 */
export const mostKeptValues = 16_384;

const [quoteMark, comma, colon] = [0x22, 0x2c, 0x3a];
const [openArray, closeArray, openObject, closeObject] = [0x5b, 0x5d, 0x7b, 0x7d];
const isBlank = (byte: number): boolean => byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
const isOpening = (byte: number): boolean => byte === openObject || byte === openArray;
const isClosing = (byte: number): boolean => byte === closeObject || byte === closeArray;

/** An object or array that is looked into. */
interface Container {
  readonly shape: Shape;
  readonly value: Record<string, unknown> | unknown[];
  /** Of the member that is being read. */
  name: string;
}

type Place = 'value' | 'name' | 'in name' | 'colon' | 'next' | 'in text' | 'in word' | 'passed over';

/** What a byte between values leads to; after a comma in a list it is a value. */
const followers: Readonly<Partial<Record<Place, Readonly<Record<number, Place>>>>> = {
  name: { [quoteMark]: 'in name' },
  colon: { [colon]: 'value' },
  next: { [comma]: 'name' },
};

/** What is kept of a value at the top, or of an item apart. */
interface Kept {
  bytes: number;
  values: number;
  /** Where the outermost list or map begins that is being read, and what was kept before it. */
  mark: { readonly depth: number; readonly bytes: number; readonly values: number } | undefined;
}

const nothing = (): Kept => ({ bytes: 0, values: 0, mark: undefined });

export function createSieve({ shape, onValue, onItem, maxBytes }: SieveOptions): Sieve {
  const stack: Container[] = [];
  let kept = nothing();
  /** What is kept of the value around the item that is being read. */
  let around: Kept | undefined;
  let at: Place = 'value';
  /** Whether the object or array may end here: not after a comma. */
  let mayEnd = false;
  let isHandedOver = false;
  const text = createTextReader();
  let word = '';
  const skipper = createSkipper();
  /** What takes the place of what is passed over. */
  let substitute: unknown;

  function keep(bytes: number): void {
    kept.bytes += bytes;
    if (kept.bytes > maxBytes) {
      throw new RangeError(`a value is longer than ${maxBytes} bytes`);
    }
  }

  function passOver(depth: number, instead?: unknown): void {
    at = 'passed over';
    substitute = instead;
    skipper.begin(depth);
  }

  /** Counts a value; too many are left out with the list or map that they are in. @returns false when that was done */
  function count(): boolean {
    const { mark } = kept;
    if (kept.values < mostKeptValues || mark === undefined) {
      // Without a mark it is a value that no decoder has named the parts of.
      kept.values += 1;
      keep(1);
      return true;
    }
    passOver(stack.length - mark.depth);
    stack.length = mark.depth;
    kept = { bytes: mark.bytes, values: mark.values, mark: undefined };
    return false;
  }

  /** What is to be kept of the value that begins here. */
  function shapeIn({ shape: around, name }: Container): Shape | undefined {
    if (around === 'all') {
      return around;
    }
    if ('wanted' in around) {
      return around.wanted(name);
    }
    return 'items' in around ? around.items : around.members.get(name);
  }

  /** @returns false when the byte belongs to what comes next */
  function begin(byte: number): boolean {
    const container = stack.at(-1);
    const wanted = container === undefined ? shape : shapeIn(container);
    if (wanted === undefined) {
      passOver(0);
      return false;
    }
    if (isApart(container)) {
      around = kept;
      kept = nothing();
    } else if (container !== undefined && container.shape !== 'all' && kept.mark === undefined && isList(wanted)) {
      kept.mark = { depth: stack.length, bytes: kept.bytes, values: kept.values };
    }
    return count() && enter(wanted, byte);
  }

  function enter(wanted: Shape, byte: number): boolean {
    const isObject = byte === openObject;
    if (byte === quoteMark) {
      at = 'in text';
      return true;
    }
    if (!isOpening(byte)) {
      at = 'in word';
      return false;
    }
    if (wanted !== 'all' && 'items' in wanted === isObject) {
      // Of the wrong kind, which its decoder refuses.
      passOver(0, isObject ? {} : []);
      return false;
    }
    stack.push({ shape: wanted, value: isObject ? {} : [], name: '' });
    at = isObject ? 'name' : 'value';
    mayEnd = true;
    return true;
  }

  /** A value has ended; there is none when it was passed over. */
  function leave(value: unknown): void {
    const container = stack.at(-1);
    at = container === undefined ? 'value' : 'next';
    mayEnd = true;
    if (kept.mark?.depth === stack.length) {
      kept.mark = undefined;
    }
    if (container === undefined) {
      kept = nothing();
      isHandedOver = true;
      onValue(value);
    } else if (around !== undefined && isApart(container)) {
      kept = around;
      around = undefined;
      isHandedOver = true;
      onItem?.(value);
    } else if (value !== undefined) {
      put(container, value);
    }
  }

  function close(byte: number): void {
    const container = stack.pop();
    if (container === undefined || Array.isArray(container.value) !== (byte === closeArray)) {
      throw new SyntaxError('a bracket closes what was not opened');
    }
    leave(container.value);
  }

  /** Looks at a byte between values. @returns false when it belongs to what comes next */
  function step(byte: number): boolean {
    if (isBlank(byte)) {
      return true;
    }
    if (isClosing(byte) && mayEnd) {
      close(byte);
      return true;
    }
    mayEnd = false;
    if (at === 'value' && !isClosing(byte) && byte !== comma && byte !== colon) {
      return begin(byte);
    }
    const next = followers[at]?.[byte];
    if (next === undefined) {
      throw new SyntaxError('a value, a name or a comma is missing');
    }
    at = byte === comma && Array.isArray(stack.at(-1)?.value) ? 'value' : next;
    return true;
  }

  /** Reads on in a string. @returns where it ends, or the chunk does */
  function readText(chunk: Buffer, from: number): number {
    const end = text.take(chunk, from);
    keep(end - from);
    const whole = text.whole();
    const container = stack.at(-1);
    if (whole !== undefined && at === 'in name' && container !== undefined) {
      container.name = whole;
      at = 'colon';
    } else if (whole !== undefined) {
      leave(whole);
    }
    return end;
  }

  function readWord(chunk: Buffer, from: number): number {
    let end = from;
    while (end < chunk.length && !isBehindWord(chunk[end] ?? 0)) {
      end += 1;
    }
    keep(end - from);
    word += chunk.toString('latin1', from, end);
    if (end < chunk.length) {
      endWord();
    }
    return end;
  }

  function endWord(): void {
    const value: unknown = JSON.parse(word);
    word = '';
    leave(value);
  }

  function skip(chunk: Buffer, from: number): number {
    const end = skipper.take(chunk, from);
    if (skipper.isDone()) {
      leave(substitute);
    }
    return end;
  }

  function read(chunk: Buffer, from: number): number {
    switch (at) {
      case 'passed over':
        return skip(chunk, from);
      case 'in text':
      case 'in name':
        return readText(chunk, from);
      case 'in word':
        return readWord(chunk, from);
      default:
        return step(chunk[from] ?? 0) ? from + 1 : from;
    }
  }

  return {
    take(chunk, from) {
      let index = from;
      isHandedOver = false;
      while (index < chunk.length && !isHandedOver) {
        index = read(chunk, index);
      }
      return index;
    },
    end() {
      if (at === 'in word' && stack.length === 0) {
        endWord();
      }
      if (at !== 'value' || stack.length > 0) {
        throw new SyntaxError('the text ends in the middle of a value');
      }
    },
  };
}

/** Whether the items are handed over by themselves. */
function isApart(container: Container | undefined): boolean {
  return container !== undefined && isListOfItemsApart(container.shape);
}

function isListOfItemsApart(shape: Shape): boolean {
  return shape !== 'all' && 'items' in shape && shape.apart === true;
}

/** A list or map of any length, which may be left out. */
function isList(shape: Shape): boolean {
  return (shape === 'all' || !('members' in shape)) && !isListOfItemsApart(shape);
}

function put({ value: around, name }: Container, value: unknown): void {
  if (Array.isArray(around)) {
    around.push(value);
  } else if (name === '__proto__') {
    Object.defineProperty(around, name, { value, configurable: true, enumerable: true, writable: true });
  } else {
    around[name] = value;
  }
}
