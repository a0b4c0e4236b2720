/** JSON off the wire or out of a store, which a test knows to be of a type: what it relies on is looked at first. */
import assert from 'node:assert/strict';

/** @throws when the value is no object, or lacks one of the fields */
export function withFields<T extends object>(value: unknown, ...fields: readonly (keyof T & string)[]): T {
  assert.ok(typeof value === 'object' && value !== null, `${JSON.stringify(value)} is no object`);
  for (const field of fields) {
    assert.ok(field in value, `there is no field ${field} in ${JSON.stringify(value)}`);
  }
  return value as T;
}

/** The same for each of a list. */
export function eachWithFields<T extends object>(values: unknown, ...fields: readonly (keyof T & string)[]): T[] {
  assert.ok(Array.isArray(values), `${JSON.stringify(values)} is no list`);
  return values.map((value) => withFields<T>(value, ...fields));
}
