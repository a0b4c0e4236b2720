/**
 * What a set of files holds now, compared with what it should hold. Directories are entered through one that is held, and no link is
 * followed. A privileged container can make a million entries in the set: what nobody asks for is counted, as far as a set of the agent's
 * may go, and its name not kept.
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
import { mostEntriesSurveyed, mostStaying } from './limits.ts';
import { deepest } from './remove.ts';

export interface StoredSet {
  /** Of everything in it that is no directory. */
  readonly count: number;
  /** Regular files that may stay, by their paths relative to the set. */
  readonly staying: readonly string[];
  /** Files that are as they should be: bytes, mode and owner. */
  readonly same: ReadonlySet<string>;
}

export const emptySet: StoredSet = { count: 0, staying: [], same: new Set() };

/**
 * @param files what to compare with
 * @param mayStay asked of each regular file, by its path
 * @throws VolumeError OverShare where there is more than the agent makes
 */
export function* surveySet(
  directory: string,
  device: number,
  files: readonly ProjectedFile[],
  mayStay: (path: string) => boolean,
): Steps<StoredSet> {
  const wanted = new Map(files.map((file) => [file.path, file]));
  const staying: string[] = [];
  const same = new Set<string>();
  let count = 0;
  let seen = 0;
  /** Content that a file, by its number, is known to hold: one file may have several names. */
  const compared = new Map<number, FileContent>();

  function* survey(held: string, prefix: string, depth: number): Steps<void> {
    for (const name of entriesOf(held)) {
      yield;
      seen += 1;
      assertFew(seen, mostEntriesSurveyed, 'files and directories', directory);
      const entry = path.join(held, name);
      const stats = fs.lstatSync(entry);
      const relative = `${prefix}${name}`;
      if (stats.isDirectory() && stats.dev === device && depth < deepest) {
        yield* holdInSteps(entry, device, (next) => survey(next, `${relative}/`, depth + 1));
        continue;
      }
      count += 1;
      if (!stats.isFile() || stats.dev !== device) {
        continue;
      }
      if (mayStay(relative)) {
        staying.push(relative);
        assertFew(staying.length, mostStaying, "files named as the volume's own are", directory);
      }
      const file = wanted.get(relative);
      if (file !== undefined && hasAccess(stats, file) && (yield* holds(entry, stats, file))) {
        same.add(relative);
      }
    }
  }

  function* holds(entry: string, { ino }: fs.Stats, { content }: ProjectedFile): Steps<boolean> {
    const isIt = compared.get(ino) === content || (yield* isReadAs(entry, device, content));
    if (isIt) {
      compared.set(ino, content);
    }
    return isIt;
  }

  yield* holdInSteps(directory, device, (held) => survey(held, '', 0));
  return { count, staying, same };
}

function assertFew(count: number, most: number, what: string, directory: string): void {
  if (count > most) {
    const have = `${directory} holds more than ${most} ${what}`;
    throw new VolumeError('OverShare', `${have}: the pod's author has to see what in the pod makes them`);
  }
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
