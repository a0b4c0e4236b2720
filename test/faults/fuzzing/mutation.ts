/** Changes that a fuzzer makes to bytes, drawn from a seeded source of randomness: the same seed gives the same changes. */

/** Draws whole numbers from 0 up to, and without, the limit. */
export type Draw = (limit: number) => number;

/** A small generator of good quality (mulberry32); nothing here is a secret. */
export function drawFrom(seed: number): Draw {
  let state = seed >>> 0;
  return (limit) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit;
  };
}

/** What changes are made of, beside chance. */
export interface Material {
  /** Words of the format. */
  readonly words: readonly string[];
  /** Other inputs, to take parts of. */
  readonly others: readonly Uint8Array[];
}

type Change = (bytes: Buffer, draw: Draw, material: Material) => Buffer;

const replaced = (bytes: Buffer, from: number, to: number, part: Uint8Array): Buffer =>
  Buffer.concat([bytes.subarray(0, from), part, bytes.subarray(to)]);

/** A piece of the bytes, mostly a short one. */
function piece(bytes: Buffer, draw: Draw): readonly [from: number, to: number] {
  const from = draw(bytes.length + 1);
  const longest = draw(4) === 0 ? bytes.length - from : Math.min(8, bytes.length - from);
  return [from, from + draw(longest + 1)];
}

/** Bytes that formats treat specially: ends, signs, the first and last of their kind. */
const notable = [0x00, 0x01, 0x09, 0x0a, 0x0d, 0x20, 0x22, 0x30, 0x5c, 0x7f, 0x80, 0x81, 0x82, 0x84, 0xc0, 0xfe, 0xff];

const changes: readonly Change[] = [
  function flipBit(bytes, draw) {
    const copy = Buffer.from(bytes);
    const at = draw(Math.max(1, copy.length));
    copy[at] = (copy[at] ?? 0) ^ (1 << draw(8));
    return copy;
  },
  function setByte(bytes, draw) {
    const copy = Buffer.from(bytes);
    copy[draw(Math.max(1, copy.length))] = notable[draw(notable.length)] ?? 0;
    return copy;
  },
  function removePiece(bytes, draw) {
    const [from, to] = piece(bytes, draw);
    return replaced(bytes, from, to, Buffer.alloc(0));
  },
  function repeatPiece(bytes, draw) {
    const [from, to] = piece(bytes, draw);
    const times = draw(8) === 0 ? draw(64) : 1;
    return replaced(bytes, to, to, Buffer.concat(Array.from({ length: times }, () => bytes.subarray(from, to))));
  },
  function movePiece(bytes, draw) {
    const [from, to] = piece(bytes, draw);
    const at = draw(bytes.length + 1);
    return replaced(bytes, at, at, bytes.subarray(from, to));
  },
  function insertWord(bytes, draw, { words }) {
    const [from, to] = draw(2) === 0 ? piece(bytes, draw) : [draw(bytes.length + 1)];
    return replaced(bytes, from, to ?? from, Buffer.from(words[draw(Math.max(1, words.length))] ?? ''));
  },
  function takeFromAnother(bytes, draw, { others }) {
    const other = Buffer.from(others[draw(Math.max(1, others.length))] ?? []);
    const [start, end] = piece(other, draw);
    const [from, to] = piece(bytes, draw);
    return replaced(bytes, from, to, other.subarray(start, end));
  },
  function insertChance(bytes, draw) {
    const at = draw(bytes.length + 1);
    return replaced(bytes, at, at, Buffer.from(Array.from({ length: 1 + draw(4) }, () => draw(256))));
  },
];

/** One to eight changes, one after the other. */
export function mutate(bytes: Uint8Array, draw: Draw, material: Material, mostBytes: number): Buffer {
  let mutant: Buffer = Buffer.from(bytes);
  for (let left = 1 + draw(1 + draw(8)); left > 0; left -= 1) {
    const change = changes[draw(changes.length)];
    mutant = change?.(mutant, draw, material) ?? mutant;
  }
  return mutant.subarray(0, mostBytes);
}
