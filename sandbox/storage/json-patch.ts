/**
 * JSON Patch, RFC 6902: a list of operations at places named by JSON Pointers (RFC 6901).
 *
 * https://www.rfc-editor.org/rfc/rfc6902
 */
import { isDeepStrictEqual } from 'node:util';
import { isObject, type Json } from '../base/objects.ts';

/** @returns the changed document; the given one stays as it was @throws Error when an operation cannot be done */
export function applyJsonPatch(document: Json, operations: readonly Json[]): Json {
  let result = structuredClone(document);
  for (const operation of operations) {
    if (!isObject(operation) || typeof operation.op !== 'string' || typeof operation.path !== 'string') {
      throw new Error('operation without op or path');
    }
    const { op, path, from, value = null } = operation;
    result = applyOperation(result, op, pointer(path), typeof from === 'string' ? pointer(from) : [], value);
  }
  return result;
}

function pointer(text: string): string[] {
  if (text !== '' && !text.startsWith('/')) {
    throw new Error(`not a JSON pointer: ${text}`);
  }
  return text
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
}

function applyOperation(document: Json, op: string, path: string[], from: string[], value: Json): Json {
  switch (op) {
    case 'add':
      return put(document, path, value, 'add');
    case 'replace':
      valueAt(document, path);
      return put(document, path, value, 'replace');
    case 'remove':
      return remove(document, path);
    case 'move':
      return put(remove(document, from), path, valueAt(document, from), 'add');
    case 'copy':
      return put(document, path, structuredClone(valueAt(document, from)), 'add');
    case 'test':
      if (!isDeepStrictEqual(valueAt(document, path), value)) {
        throw new Error(`testing value /${path.join('/')} failed`);
      }
      return document;
    default:
      throw new Error(`unexpected kind of operation: ${op}`);
  }
}

function valueAt(document: Json, path: readonly string[]): Json {
  let value: Json | undefined = document;
  for (const part of path) {
    if (Array.isArray(value)) {
      value = value[index(part, value.length - 1)];
    } else {
      value = isObject(value) && Object.hasOwn(value, part) ? value[part] : undefined;
    }
    if (value === undefined) {
      throw new Error(`missing value at /${path.join('/')}`);
    }
  }
  return value ?? null;
}

function index(part: string, last: number): number {
  const position = /^(?:0|[1-9]\d*)$/.test(part) ? Number(part) : Number.NaN;
  if (!(position <= last)) {
    throw new Error(`invalid array index ${part}`);
  }
  return position;
}

function put(document: Json, path: readonly string[], value: Json, how: 'add' | 'replace'): Json {
  const [last] = path.slice(-1);
  if (last === undefined) {
    return value;
  }
  const parent = valueAt(document, path.slice(0, -1));
  if (Array.isArray(parent)) {
    const position = last === '-' ? parent.length : index(last, parent.length);
    parent.splice(position, how === 'add' ? 0 : 1, value);
  } else if (isObject(parent)) {
    Object.defineProperty(parent, last, { value, enumerable: true, writable: true, configurable: true });
  } else {
    throw new Error(`/${path.join('/')} is not within an object or array`);
  }
  return document;
}

function remove(document: Json, path: readonly string[]): Json {
  valueAt(document, path);
  const copy = structuredClone(document);
  const [last = ''] = path.slice(-1);
  const parent = valueAt(copy, path.slice(0, -1));
  if (Array.isArray(parent)) {
    parent.splice(index(last, parent.length - 1), 1);
  } else if (isObject(parent)) {
    delete parent[last];
  }
  return copy;
}
