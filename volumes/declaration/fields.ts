/**
 * Reads fields out of parsed YAML that nobody has checked yet. Every function takes the path of what it reads, adds a
 * fault for what is wrong, and goes on, so that one pass finds all faults of a declaration.
 *
 * Mappings arrive as `Map`: their keys may be anything, `__proto__` included, without touching an object's prototype.
 */

/** One thing wrong with a declaration: where (`sources[1].podCertificate.keyPath`) and what to write instead. */
export interface Fault {
  readonly field: string;
  readonly message: string;
}

export type Mapping = ReadonlyMap<unknown, unknown>;

const shownCharacters = 64;

/** A value from the pod's author as a short quoted text, safe in a one-line message. */
export function quote(value: unknown): string {
  const text = describe(value);
  return JSON.stringify(text.length > shownCharacters ? `${text.slice(0, shownCharacters)}…` : text);
}

function describe(value: unknown): string {
  if (value instanceof Map) {
    return 'a mapping';
  }
  if (Array.isArray(value)) {
    return 'a list';
  }
  return String(value);
}

/** The value as a mapping that holds no other fields than `known`, or nothing and a fault. */
export function readMapping(
  value: unknown,
  path: string,
  known: readonly string[],
  faults: Fault[],
): Mapping | undefined {
  if (!(value instanceof Map)) {
    faults.push({ field: path, message: `must be a mapping with the fields ${known.join(', ')}` });
    return undefined;
  }
  for (const key of value.keys()) {
    if (typeof key === 'string' && known.includes(key)) {
      continue;
    }
    const field = typeof key === 'string' && /^\w{1,64}$/.test(key) ? `${path}.${key}` : path;
    faults.push({ field, message: `unknown field ${quote(key)}, known are ${known.join(', ')}` });
  }
  return value;
}

/** A field's value as a list; an absent or null field is an empty one. */
export function readList(mapping: Mapping, name: string, path: string, faults: Fault[]): readonly unknown[] {
  const value = mapping.get(name) ?? undefined;
  if (value === undefined) {
    return [];
  }
  if (Array.isArray(value)) {
    return value;
  }
  faults.push({ field: `${path}.${name}`, message: 'must be a list' });
  return [];
}

/** A field that is there and not empty. */
export function isGiven(mapping: Mapping, name: string): boolean {
  return (mapping.get(name) ?? '') !== '';
}

/** A field's value as a string; absent, null and empty are the same, as in Kubernetes' own optional strings. */
export function readString(mapping: Mapping, name: string, path: string, faults: Fault[]): string | undefined {
  const value = mapping.get(name) ?? '';
  if (typeof value === 'string') {
    return value === '' ? undefined : value;
  }
  faults.push({ field: `${path}.${name}`, message: `must be a string: put ${quote(value)} in quotes` });
  return undefined;
}

/** A field's value as true or false; `absent` when it is not there. */
export function readBoolean(mapping: Mapping, name: string, path: string, absent: boolean, faults: Fault[]): boolean {
  const value = mapping.get(name) ?? absent;
  if (typeof value === 'boolean') {
    return value;
  }
  faults.push({ field: `${path}.${name}`, message: `must be true or false, not ${quote(value)}` });
  return absent;
}

/** A field's value as a whole number; nothing when it is absent. */
export function readInteger(mapping: Mapping, name: string, path: string, faults: Fault[]): number | undefined {
  const value = mapping.get(name) ?? undefined;
  if (value === undefined) {
    return undefined;
  }
  if (typeof value === 'number' && Number.isSafeInteger(value)) {
    return value;
  }
  faults.push({ field: `${path}.${name}`, message: `must be a whole number without quotes, not ${quote(value)}` });
  return undefined;
}

/** A field's value as a mapping from string to string; absent or null is an empty one. */
export function readStringMap(
  mapping: Mapping,
  name: string,
  path: string,
  faults: Fault[],
): ReadonlyMap<string, string> {
  const result = new Map<string, string>();
  const value = mapping.get(name) ?? undefined;
  if (value === undefined) {
    return result;
  }
  const field = `${path}.${name}`;
  if (!(value instanceof Map)) {
    faults.push({ field, message: 'must be a mapping from string to string' });
    return result;
  }
  for (const [key, entry] of value) {
    if (typeof key === 'string' && typeof entry === 'string') {
      result.set(key, entry);
    } else {
      faults.push({ field, message: `key and value of ${quote(key)} must be strings: put them in quotes` });
    }
  }
  return result;
}

/**
 * A field that takes one of some words; absent, the first of them. @param words what the fault says of them
 * @returns the first, too, where another word is at fault
 */
export function readOneOf<Name extends string>(
  mapping: Mapping,
  name: string,
  path: string,
  known: readonly [Name, ...Name[]],
  faults: Fault[],
  words = `one of ${known.join(', ')}`,
): Name {
  const text = readString(mapping, name, path, faults) ?? known[0];
  const found = known.find((candidate) => candidate === text);
  if (found === undefined) {
    faults.push({ field: `${path}.${name}`, message: `must be ${words}, not ${quote(text)}` });
  }
  return found ?? known[0];
}

/** A field that says whether something stays: `keep`, which it also means when it is absent, or `drop`. */
export function readKeepOrDrop(mapping: Mapping, name: string, path: string, faults: Fault[]): 'keep' | 'drop' {
  return readOneOf(mapping, name, path, ['keep', 'drop'], faults, 'keep or drop');
}
