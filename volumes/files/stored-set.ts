/**
 * What a set of files holds now, compared with what it should hold. Directories are entered through one that is held, and no link is
 * followed.
 */
import fs from 'node:fs';
import path from 'node:path';
import { systemCode, VolumeError } from '../base/errors.ts';
import type { Steps } from '../base/steps.ts';
import type { FileContent } from './content.ts';
import { entriesOf } from './entries.ts';
import { holdsBytes, readInSteps } from './files.ts';
import { holdInSteps } from './hold.ts';
import type { ProjectedFile } from './layout.ts';
import { deepest } from './remove.ts';

export interface StoredSet {
  /** Everything that is no directory, by its path relative to the set. */
  readonly paths: ReadonlySet<string>;
  readonly count: number;
  readonly regular: ReadonlySet<string>;
  /** Files that are as they should be: bytes, mode and owner. */
  readonly same: ReadonlySet<string>;
}

export const emptySet: StoredSet = { paths: new Set(), count: 0, regular: new Set(), same: new Set() };

/** @param files what to compare with */
export function* surveySet(directory: string, device: number, files: readonly ProjectedFile[]): Steps<StoredSet> {
  const wanted = new Map(files.map((file) => [file.path, file]));
  const paths = new Set<string>();
  const regular = new Set<string>();
  const same = new Set<string>();
  /** Content that a file, by its number, is known to hold: one file may have several names. */
  const compared = new Map<number, FileContent>();

  function* survey(held: string, prefix: string, depth: number): Steps<void> {
    for (const name of entriesOf(held)) {
      yield;
      const entry = path.join(held, name);
      const stats = fs.lstatSync(entry);
      const relative = `${prefix}${name}`;
      if (stats.isDirectory() && stats.dev === device && depth < deepest) {
        yield* holdInSteps(entry, device, (next) => survey(next, `${relative}/`, depth + 1));
        continue;
      }
      paths.add(relative);
      if (!stats.isFile() || stats.dev !== device) {
        continue;
      }
      regular.add(relative);
      const file = wanted.get(relative);
      if (file === undefined || !hasAccess(stats, file)) {
        continue;
      }
      if (compared.get(stats.ino) === file.content || (yield* isReadAs(entry, device, file.content))) {
        compared.set(stats.ino, file.content);
        same.add(relative);
      }
    }
  }

  yield* holdInSteps(directory, device, (held) => survey(held, '', 0));
  return { paths, count: paths.size, regular, same };
}

function hasAccess(stats: fs.Stats, file: ProjectedFile): boolean {
  return (
    (stats.mode & 0o7777) === file.mode &&
    (file.uid ?? stats.uid) === stats.uid &&
    (file.gid ?? stats.gid) === stats.gid &&
    stats.size === file.content.length
  );
}

/** Without root's rights, a file whose mode denies its own owner can be written anew, but not compared. */
function* isReadAs(stored: string, device: number, content: FileContent): Steps<boolean> {
  try {
    return yield* readInSteps(stored, device, (descriptor) => holdsBytes(descriptor, content.pieces()));
  } catch (error) {
    // Or by now something lies there that is no file of the volume.
    if (systemCode(error) === 'EACCES' || error instanceof VolumeError) {
      return false;
    }
    throw error;
  }
}
