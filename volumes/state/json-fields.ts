/**
 * Reads fields out of parsed JSON that nobody has checked yet. Every function throws a TypeError that says which field is not
 * what it should be.
 */
import { keyTypes } from '../declaration/key-types.ts';

export type Fields = Readonly<Record<string, unknown>>;

/** The farthest moment that a Date can express, either way (ECMA-262, Time Values). */
const maxTime = 8.64e15;

export function fields(value: unknown, name: string): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new TypeError(`${name} is not an object`);
  }
  return value as Fields;
}

export function part(parent: Fields, name: string): Fields {
  return fields(parent[name], name);
}

/** @param longest in characters */
export function text(parent: Fields, name: string, longest: number): string {
  const value = parent[name];
  if (typeof value !== 'string') {
    throw new TypeError(`${name} is not a string`);
  }
  return within(value, name, longest);
}

function within(value: string, name: string, longest: number): string {
  if (value.length > longest) {
    throw new TypeError(`${name} is longer than ${longest} characters`);
  }
  return value;
}

/** Milliseconds since the epoch: a moment that can be told to somebody. */
export function time(parent: Fields, name: string): number {
  const value = number(parent, name);
  if (Math.abs(value) > maxTime) {
    throw new TypeError(`${name} is not a moment`);
  }
  return value;
}

function number(parent: Fields, name: string): number {
  const value = parent[name];
  if (typeof value !== 'number' || !Number.isFinite(value)) {
    throw new TypeError(`${name} is not a number`);
  }
  return value;
}

export function id(parent: Fields, name: string): number {
  const value = number(parent, name);
  if (!Number.isInteger(value) || value < 0 || value > 0xffff_fffe) {
    throw new TypeError(`${name} is not a numeric id`);
  }
  return value;
}

export function list(parent: Fields, name: string, most: number): readonly unknown[] {
  const value = parent[name];
  if (!Array.isArray(value)) {
    throw new TypeError(`${name} is not a list`);
  }
  assertFew(value, name, most);
  return value;
}

function assertFew(entries: readonly unknown[], name: string, most: number): void {
  if (entries.length > most) {
    throw new TypeError(`${name} has more than ${most} entries`);
  }
}

export function keyType(parent: Fields) {
  const found = keyTypes.find((known) => known === parent['keyType']);
  if (found === undefined) {
    throw new TypeError('keyType is not a key type');
  }
  return found;
}

/** @param longest in characters of base64 */
export function der(value: unknown, name: string, longest: number): Uint8Array {
  if (typeof value !== 'string' || value === '') {
    throw new TypeError(`${name} holds something else than base64`);
  }
  return new Uint8Array(Buffer.from(within(value, name, longest), 'base64'));
}

export function flag(parent: Fields, name: string): boolean {
  const value = parent[name];
  if (typeof value !== 'boolean') {
    throw new TypeError(`${name} is neither true nor false`);
  }
  return value;
}

/** Of several texts: how many there may be, and how many characters one may have. */
export interface Bounds {
  readonly most: number;
  readonly longest: number;
}

/** An object whose values are all strings. */
export function texts(
  parent: Fields,
  name: string,
  { most, longest, longestKey }: Bounds & { readonly longestKey: number },
): Readonly<Record<string, string>> {
  const values = part(parent, name);
  const keys = Object.keys(values).map((key) => within(key, `a key of ${name}`, longestKey));
  assertFew(keys, name, most);
  return Object.fromEntries(keys.map((key) => [key, text(values, key, longest)]));
}

/** A list of strings. */
export function textList(parent: Fields, name: string, { most, longest }: Bounds): readonly string[] {
  return list(parent, name, most).map((value) => {
    if (typeof value !== 'string') {
      throw new TypeError(`${name} holds something else than strings`);
    }
    return within(value, name, longest);
  });
}
