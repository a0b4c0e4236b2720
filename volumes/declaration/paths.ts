/**
 * Where in a volume a file may lie. The rules are those of projected volumes, made strict enough that no declaration
 * can reach outside its volume or at the names the agent keeps for itself (`..data`, `..agent`, timestamps).
 */
import path from 'node:path';
import { type Fault, quote } from './fields.ts';
import { maxNameBytes, maxPathBytes, maxPathParts } from './limits.ts';

/** An output path of a declaration, in normal form (no `.`, no doubled slash), with the field that names it. */
export interface OutputPath {
  readonly field: string;
  readonly path: string;
  /** Set where files come and go: every name in the path's folder that ends like this is the field's. */
  readonly ending?: string;
}

/** Normal form of a path in the volume, or what is wrong with it. */
export function checkPath(
  text: string,
): { readonly ok: true; readonly path: string } | { readonly ok: false; readonly message: string } {
  const refuse = (message: string) => ({ ok: false, message: `${message}, not ${quote(text)}` }) as const;
  if (!text.isWellFormed()) {
    return refuse('must be valid Unicode');
  }
  // What is not seen, or turns the reading direction, lets a path look like another; controls break logs and end paths.
  if (/[\p{C}\p{Zl}\p{Zp}]/u.test(text)) {
    return refuse('must not hold control characters or invisible ones');
  }
  if (text.startsWith('/')) {
    return refuse('must be relative to the volume');
  }
  if (text.split('/').includes('..')) {
    return refuse('must not hold ".." as a part');
  }
  const normal = path.posix.normalize(text);
  if (normal.startsWith('..')) {
    return refuse('must not start with ".."');
  }
  if (normal === '.' || normal.endsWith('/')) {
    return refuse('must name a file');
  }
  if (Buffer.byteLength(normal) > maxPathBytes) {
    return refuse(`must be at most ${maxPathBytes} bytes long`);
  }
  if (normal.split('/').length > maxPathParts) {
    return refuse(`must have at most ${maxPathParts} parts`);
  }
  if (normal.split('/').some((name) => Buffer.byteLength(name) > maxNameBytes)) {
    return refuse(`must have parts of at most ${maxNameBytes} bytes`);
  }
  return { ok: true, path: normal };
}

/** Faults for paths that two files would share, and for a file where another path needs a directory. */
export function findCollisions(outputs: readonly OutputPath[]): Fault[] {
  const owners = new Map<string, string>();
  const faults: Fault[] = [];
  for (const output of outputs) {
    const owner = owners.get(output.path);
    if (owner === undefined) {
      owners.set(output.path, output.field);
    } else {
      faults.push({ field: output.field, message: `${quote(output.path)} is written by ${owner} already` });
    }
  }
  for (const output of outputs) {
    for (let end = output.path.indexOf('/'); end >= 0; end = output.path.indexOf('/', end + 1)) {
      const directory = output.path.slice(0, end);
      const owner = owners.get(directory);
      if (owner === undefined) {
        continue;
      }
      const message = `${quote(output.path)} needs a directory ${quote(directory)}, which ${owner} writes as a file`;
      faults.push({ field: output.field, message });
    }
  }
  for (const { field: owner, path: own, ending } of outputs) {
    if (ending === undefined) {
      continue;
    }
    for (const { field, path: other } of outputs.filter((output) => isTaken(own, ending, output.path))) {
      const message = `${quote(other)} may become a file of ${owner}, which writes all names with ${quote(ending)} in its folder`;
      faults.push({ field, message });
    }
  }
  return faults;
}

/** True when a file that may come beside `own` would be the other one, or stand where that needs a directory. */
function isTaken(own: string, ending: string, other: string): boolean {
  const folder = own.slice(0, own.lastIndexOf('/') + 1);
  const ended = `${other}/`;
  const name = ended.slice(folder.length, ended.indexOf('/', folder.length));
  return other !== own && other.startsWith(folder) && name.endsWith(ending);
}
