/**
 * How things that come off the wire are read, once and field by field: a reply may come from a proxy or from another version of
 * Kubernetes. Fields that the agent does not know are left out, a field that is null counts as absent (Go writes nil slices and maps
 * so), and a known field of the wrong type makes the object unreadable, unless nothing else in it depends on that field: then it
 * counts as absent, too.
 *
 * https://kubernetes.io/docs/reference/using-api/api-concepts/
 */
import * as v from 'valibot';
import { AgentError } from '../base/errors.ts';
import type { Shape } from './json-sieve.ts';

/** @throws AgentError Unavailable, naming the field that cannot be read */
export interface Decoder<T> {
  (value: unknown): T;
  /** What it reads; absent: all there is. */
  readonly shape?: Shape;
}

type Entries = v.ObjectEntries;

/** What fields are; `maybe`: or absent. */
export const text = v.string();
export const maybeText = v.exactOptional(text);
export const integer = v.pipe(v.number(), v.integer());
export const maybeInteger = v.exactOptional(integer);
export const maybeFlag = v.exactOptional(v.boolean());
export const strings = v.record(text, text);
export const maybeStrings = v.exactOptional(strings);

/** A field that nothing else depends on: what cannot be read of it counts as absent. */
export function ifReadable<const S extends v.GenericSchema>(schema: S) {
  return Object.assign(v.exactOptional(schema), { isDispensable: true } as const);
}

/** Items that do not depend on each other: those that cannot be read are left out. @param most items that are looked at */
export function readableItems<const S extends v.GenericSchema>(item: S, most = Number.POSITIVE_INFINITY) {
  const readable = (value: unknown): unknown =>
    Array.isArray(value) ? value.slice(0, most).filter((entry) => v.is(item, entry)) : value;
  return v.pipe(v.unknown(), v.transform(readable), v.array(item));
}

/** An object of which the given fields are read. */
export function fields<const E extends Entries>(entries: E) {
  return v.pipe(
    v.unknown(),
    v.check((value) => typeof value === 'object' && value !== null && !Array.isArray(value), 'is not an object'),
    v.transform((value) => present(value, entries)),
    v.object(entries),
  );
}

function present(value: unknown, entries: Entries): Record<string, unknown> {
  const isRead = (name: string, entry: unknown): boolean => {
    const schema = entry !== null && Object.hasOwn(entries, name) ? entries[name] : undefined;
    return schema !== undefined && (!('isDispensable' in schema) || v.is(schema, entry));
  };
  return Object.fromEntries(Object.entries(Object(value)).filter(([name, entry]) => isRead(name, entry)));
}

/** Of an object whose metadata may be filled by whoever may write it: no more of that is read, nor kept in memory. */
export const bareMetadata = { name: text, namespace: maybeText, uid: maybeText, resourceVersion: ifReadable(text) };

export const firstFault = { abortEarly: true, abortPipeEarly: true } as const;

/** What a schema reads of a value. */
export function shapeOf(schema: unknown): Shape {
  if (typeof schema !== 'object' || schema === null) {
    return 'all';
  }
  if ('wrapped' in schema) {
    return shapeOf(schema.wrapped);
  }
  if ('item' in schema) {
    return { items: shapeOf(schema.item) };
  }
  if ('pipe' in schema && Array.isArray(schema.pipe) && schema.pipe.at(-1) !== schema) {
    return shapeOf(schema.pipe.at(-1));
  }
  return 'entries' in schema && typeof schema.entries === 'object' && schema.entries !== null
    ? { members: new Map(Object.entries(schema.entries).map(([name, entry]) => [name, shapeOf(entry)])) }
    : 'all';
}

export function membersAlone(members: Readonly<Record<string, Shape>>): Shape {
  return { members: new Map(Object.entries(members)) };
}

export function membersOf(schema: v.GenericSchema): ReadonlyMap<string, Shape> {
  const shape = shapeOf(schema);
  return typeof shape === 'object' && 'members' in shape ? shape.members : new Map();
}

/** The same decoder, with something done to what it gives. */
export function decodedThen<T, Result>(decode: Decoder<T>, change: (object: T) => Result): Decoder<Result> {
  const changed = (value: unknown): Result => change(decode(value));
  return decode.shape === undefined ? changed : Object.assign(changed, { shape: decode.shape });
}

export function decoder<const S extends v.GenericSchema>(
  kind: string,
  schema: S,
  shape: Shape = shapeOf(schema),
): Decoder<v.InferOutput<S>> {
  const decode = (value: unknown): v.InferOutput<S> => {
    const result = v.safeParse(schema, value, firstFault);
    if (result.success) {
      return result.output;
    }
    const [issue] = result.issues;
    const path = v.getDotPath(issue);
    const where = path === null ? '' : ` at ${path.slice(0, 100)}`;
    // The words of the library say types, and would quote a value: it may be a certificate or a token.
    const message = `a ${kind} of the API server cannot be read${where}: expected ${issue.expected ?? 'an object'}`;
    throw new AgentError('Unavailable', message, { actor: 'nobody' });
  };
  return Object.assign(decode, { shape });
}
