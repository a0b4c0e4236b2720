/**
 * Reading fields of API objects, which are plain JSON: a field of the wrong type reads as an absent one. (The real server
 * refuses a wrong type earlier, while decoding.)
 */
import { Buffer } from 'node:buffer';
import type { FieldError } from './errors.ts';
import { isObject, type Json, type JsonObject } from './objects.ts';

/** The object in a field; an empty one when there is none. */
export function objectAt(parent: JsonObject | undefined, field: string): JsonObject {
  const value = parent?.[field];
  return isObject(value) ? value : {};
}

/** The string in a field; the empty string when there is none. */
export function stringAt(parent: JsonObject | undefined, field: string): string {
  const value = parent?.[field];
  return typeof value === 'string' ? value : '';
}

/** The number in a field, if there is one. */
export function numberAt(parent: JsonObject | undefined, field: string): number | undefined {
  const value = parent?.[field];
  return typeof value === 'number' ? value : undefined;
}

/** The list in a field; an empty one when there is none. */
export function listAt(parent: JsonObject | undefined, field: string): readonly Json[] {
  const value = parent?.[field];
  return Array.isArray(value) ? value : [];
}

/** The objects of a list in a field. */
export function objectsAt(parent: JsonObject | undefined, field: string): readonly JsonObject[] {
  return listAt(parent, field).map((value) => (isObject(value) ? value : {}));
}

/** The strings of a list in a field. */
export function stringsAt(parent: JsonObject | undefined, field: string): readonly string[] {
  return listAt(parent, field).filter((value) => typeof value === 'string');
}

/** The entries of a map of strings, as labels and annotations are. */
export function stringEntriesAt(parent: JsonObject | undefined, field: string): readonly (readonly [string, string])[] {
  return Object.entries(objectAt(parent, field)).map(([key, value]) => [key, typeof value === 'string' ? value : '']);
}

/** The bytes in a field, which travel as base64. */
export function bytesAt(parent: JsonObject | undefined, field: string): Buffer {
  return Buffer.from(stringAt(parent, field), 'base64');
}

/** True when a field of bytes holds any. */
export function isFieldSet(parent: JsonObject | undefined, field: string): boolean {
  return stringAt(parent, field) !== '';
}

/** The length that limits count in: bytes of UTF-8. */
export function byteLength(text: string): number {
  return Buffer.byteLength(text, 'utf8');
}

/** An `Invalid value` error that does not repeat the value, which is secret, long or not one value. */
export function invalidWithoutValue(field: string, detail: string): FieldError {
  return { reason: 'FieldValueInvalid', field, message: `Invalid value: ${detail}` };
}

/** True when two values are the same JSON; absent, null and empty lists, maps and strings are the same nothing. */
export function sameJson(a: Json | undefined, b: Json | undefined): boolean {
  if (isNothing(a) || isNothing(b)) {
    return isNothing(a) && isNothing(b);
  }
  if (Array.isArray(a) && Array.isArray(b)) {
    return a.length === b.length && a.every((item, index) => sameJson(item, b[index]));
  }
  if (isObject(a) && isObject(b)) {
    const fields = new Set([...Object.keys(a), ...Object.keys(b)]);
    return [...fields].every((field) => sameJson(a[field], b[field]));
  }
  return a === b;
}

function isNothing(value: Json | undefined): boolean {
  if (Array.isArray(value)) {
    return value.length === 0;
  }
  return (
    value === undefined || value === null || value === '' || (isObject(value) && Object.values(value).every(isNothing))
  );
}
