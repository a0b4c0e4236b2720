/**
 * Decodes the JSON of a request into an object of one API version: wrong types are refused, and fields that the version
 * does not have are dropped and listed, so that strict validation can complain about them.
 *
 * https://kubernetes.io/docs/reference/using-api/api-concepts/#validation-for-unrecognized-or-duplicate-fields
 */
import { isObject, type Json, type JsonObject } from '../base/objects.ts';
import { goName, type Schema, type StructSchema } from './schemas/schema.ts';

export interface Decoded {
  readonly object: JsonObject;
  /** Paths of the fields that were dropped, in order of appearance. */
  readonly unknownFields: readonly string[];
}

/** The JSON does not have the types of the schema. The message is the Go decoder's. */
export class DecodeError extends Error {
  override readonly name = 'DecodeError';
}

/** @throws DecodeError */
export function decode(schema: StructSchema, value: Json): Decoded {
  const unknownFields: string[] = [];
  const object = decodeValue(schema, value, { path: '', struct: goName(schema), unknownFields });
  if (!isObject(object)) {
    throw new DecodeError(`json: cannot unmarshal ${typeName(value)} into Go value of type ${goType(schema)}`);
  }
  return { object, unknownFields };
}

/**
 * A stored value as a version of the API shows it: without the fields that the version does not have, with those that it
 * shows even when they are not set.
 */
export function project(schema: Schema, value: Json): Json {
  if (schema.type === 'struct' && isObject(value)) {
    const shown = Object.entries({ ...schema.zeros, ...value }).flatMap(([name, part]) => {
      const field = fieldOf(schema, name);
      return field === undefined || part === undefined ? [] : [[name, project(field, part)] as const];
    });
    return Object.fromEntries(shown);
  }
  return schema.type === 'list' && Array.isArray(value) ? value.map((item) => project(schema.items, item)) : value;
}

interface Place {
  readonly path: string;
  /** The Go type that the field belongs to. */
  readonly struct: string;
  readonly unknownFields: string[];
}

function fieldOf(schema: StructSchema, name: string): Schema | undefined {
  return Object.hasOwn(schema.fields, name) ? schema.fields[name] : undefined;
}

function decodeValue(schema: Schema, value: Json, place: Place): Json | undefined {
  if (value === null) {
    return undefined;
  }
  switch (schema.type) {
    case 'any':
      return value;
    case 'string':
      return typeof value === 'string' ? decodeString(schema.format, value) : mismatch(schema, value, place);
    case 'boolean':
      return typeof value === 'boolean' ? value : mismatch(schema, value, place);
    case 'integer':
      return isInteger(value, schema.format) ? value : mismatch(schema, value, place);
    case 'map':
      return isObject(value) ? decodeEntries(value, place, () => schema.values) : mismatch(schema, value, place);
    case 'list':
      return Array.isArray(value)
        ? value.flatMap((item, index) => {
            const decoded = decodeValue(schema.items, item, { ...place, path: `${place.path}[${index}]` });
            return decoded === undefined ? [] : [decoded];
          })
        : mismatch(schema, value, place);
    case 'struct':
      return isObject(value)
        ? decodeEntries(value, { ...place, struct: goName(schema) }, (name) => fieldOf(schema, name))
        : mismatch(schema, value, place);
    default:
      return schema satisfies never;
  }
}

function decodeEntries(value: JsonObject, place: Place, schemaOf: (name: string) => Schema | undefined): JsonObject {
  const decoded: [string, Json][] = [];
  for (const [name, part] of Object.entries(value)) {
    const path = place.path === '' ? name : `${place.path}.${name}`;
    const schema = schemaOf(name);
    if (schema === undefined) {
      place.unknownFields.push(path);
      continue;
    }
    const result = part === undefined ? undefined : decodeValue(schema, part, { ...place, path });
    if (result !== undefined) {
      decoded.push([name, result]);
    }
  }
  return Object.fromEntries(decoded);
}

function decodeString(format: 'byte' | 'date-time' | 'micro-time' | undefined, value: string): string {
  if (format === 'byte') {
    const bad = /[^A-Za-z0-9+/=\r\n]/.exec(value);
    const compact = value.replaceAll(/[\r\n]/g, '');
    if (bad !== null || compact.length % 4 !== 0 || !/^[^=]*={0,2}$/.test(compact)) {
      throw new DecodeError(`illegal base64 data at input byte ${bad?.index ?? compact.length - (compact.length % 4)}`);
    }
  }
  if (format === undefined || format === 'byte') {
    return value;
  }
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)$/.test(value)) {
    const shown = JSON.stringify(value);
    throw new DecodeError(`parsing time ${shown} as "2006-01-02T15:04:05Z07:00": cannot parse ${shown} as "2006"`);
  }
  return format === 'micro-time' ? value : new Date(value).toISOString().replace(/\.\d+Z$/, 'Z');
}

function isInteger(value: Json, format: 'int32' | 'int64'): value is number {
  return Number.isInteger(value) && (format === 'int64' || Math.abs(Number(value) + 0.5) < 2 ** 31);
}

function mismatch(schema: Schema, value: Json, place: Place): never {
  throw new DecodeError(
    `json: cannot unmarshal ${typeName(value)} into Go struct field ${place.struct}.${place.path} of type ${goType(schema)}`,
  );
}

function typeName(value: Json): string {
  if (typeof value === 'number') {
    return Number.isInteger(value) && Math.abs(value) < 2 ** 31 ? 'number' : `number ${value}`;
  }
  return Array.isArray(value) ? 'array' : typeof value === 'boolean' ? 'bool' : typeof value;
}

function goType(schema: Schema): string {
  switch (schema.type) {
    case 'string':
      return schema.format === 'byte' ? '[]uint8' : schema.format === undefined ? 'string' : 'v1.Time';
    case 'integer':
      return schema.format;
    case 'boolean':
      return 'bool';
    case 'map':
      return `map[string]${goType(schema.values)}`;
    case 'list':
      return `[]${goType(schema.items)}`;
    case 'struct': {
      const [, version = ''] = /\.([^.]+)\.[^.]+$/.exec(schema.name) ?? [];
      return `${version}.${goName(schema)}`;
    }
    case 'any':
      return 'interface {}';
    default:
      return schema satisfies never;
  }
}
