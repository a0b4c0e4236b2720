/**
 * Changes all files of a volume at once or not at all, in the layout of Kubernetes' own projected volumes:
 *
 *     credentials.pem -> ..data/credentials.pem            what the pod reads
 *     ..data -> ..2026_11_21_10_00_00.123456789            renamed into place: the one step that readers see
 *     ..2026_11_21_10_00_00.123456789/credentials.pem      the files themselves
 *
 * A new set is written into a fresh directory. Files that do not change are hard links to the old ones, so a private key that
 * stays is not read. Whatever fails, or wherever the agent is killed, the old set stays in place, and the next write clears
 * away what was left half done.
 *
 * https://kubernetes.io/docs/concepts/configuration/secret/#using-secrets-as-files-from-a-pod
 */
import { randomInt } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { systemCode, toVolumeError } from '../base/errors.ts';
import {
  type Access,
  isRegularFileBelow,
  listFiles,
  makeDirectory,
  readAll,
  readFile,
  readSymlink,
  replaceSymlink,
  setAccess,
  writeNewFile,
} from './files.ts';
import { holdDirectory, holdOn, holdParent, lstat, unlessTampered } from './hold.ts';
import type { ProjectedFile } from './layout.ts';
import { removeTree } from './remove.ts';

const dataLink = '..data';
const temporaryLink = '..data_tmp';
const temporaryVisibleLink = '..visible_tmp';
const timestampDirectory = /^\.\.\d{4}(_\d\d){5}\.\d{9}$/;

/** What the volume is to hold after a write. */
export interface Change {
  /** Files to write, or to leave alone when they are there with the same bytes, mode and owner. */
  readonly files: readonly ProjectedFile[];
  /** Paths that stay as they are, where they exist. Every other path goes. */
  readonly keep: readonly string[];
  /** For the directories of the new set. */
  readonly directory: Access;
  /** Milliseconds since the epoch, for the directory's name. */
  readonly now: number;
}

/**
 * @param root the volume's root directory, absolute.
 * @returns 'unchanged' when everything was in place, and then nothing was written.
 * @throws VolumeError; the files are then as they were before.
 */
export function writeAtomically(root: string, change: Change): 'written' | 'unchanged' {
  try {
    removeLeftovers(root, currentName(root));
    return withCurrent(root, (current) => writeBeside(root, current, change));
  } catch (error) {
    throw toVolumeError(error, `writing the files of ${root}`);
  }
}

function writeBeside(root: string, current: CurrentSet | undefined, change: Change): 'written' | 'unchanged' {
  const kept =
    current === undefined ? [] : change.keep.filter((file) => isRegularFileBelow(current.held, file, current.device));
  const paths = [...change.files.map((file) => file.path), ...kept];
  if (current !== undefined && isSame(current, change.files, paths)) {
    return linkVisibly(root, paths) > 0 ? 'written' : 'unchanged';
  }
  replaceSet(root, current, change, kept, paths);
  return 'written';
}

/** True when the volume shows all these files to its pod. */
export function isComplete(root: string, paths: readonly string[]): boolean {
  const isThere = (current: CurrentSet | undefined): boolean =>
    current !== undefined && paths.every((file) => isRegularFileBelow(current.held, file, current.device));
  return (
    unlessTampered(() => withCurrent(root, isThere)) === true &&
    topNames(paths).every((name) => readSymlink(path.join(root, name)) === visibleDestination(name))
  );
}

/** Clears away what an interrupted write left. */
export function repair(root: string): void {
  try {
    removeLeftovers(root, currentName(root));
  } catch (error) {
    throw toVolumeError(error, `clearing ${root}`);
  }
}

/** The set of files that the pod sees, its directory held. */
interface CurrentSet {
  readonly name: string;
  readonly held: string;
  readonly device: number;
}

/** The name of the directory that `..data` points to; nothing when there is none, or when the link leads anywhere else. */
function currentName(root: string): string | undefined {
  const name = readSymlink(path.join(root, dataLink));
  const isOwn = name !== undefined && timestampDirectory.test(name);
  return isOwn && lstat(path.join(root, name))?.isDirectory() ? name : undefined;
}

/** @param work gets the current set while its directory is held. @throws VolumeError Tampered when it is not in the volume */
function withCurrent<Result>(root: string, work: (current: CurrentSet | undefined) => Result): Result {
  const name = currentName(root);
  const device = fs.statSync(root).dev;
  return name === undefined
    ? work(undefined)
    : holdOn(path.join(root, name), device, (held) => work({ name, held, device }));
}

function removeLeftovers(root: string, current: string | undefined): void {
  for (const name of fs.readdirSync(root)) {
    const isLeftover =
      name === temporaryLink || name === temporaryVisibleLink || (timestampDirectory.test(name) && name !== current);
    if (isLeftover) {
      removeTree(path.join(root, name));
    }
  }
}

function isSame(current: CurrentSet, files: readonly ProjectedFile[], paths: readonly string[]): boolean {
  const present = listFiles(`${current.held}/.`, current.device);
  return present.length === paths.length && files.every((file) => isSameFile(current, file));
}

/**
 * True when the file is there as it is to be. Without root's rights, a file whose mode denies its own owner can be written anew,
 * but not compared.
 */
function isSameFile({ held, device }: CurrentSet, file: ProjectedFile): boolean {
  const compare = (place: string) =>
    readFile(place, device, (descriptor, stats) => {
      const sameAccess =
        (stats.mode & 0o7777) === file.mode &&
        (file.uid ?? stats.uid) === stats.uid &&
        (file.gid ?? stats.gid) === stats.gid;
      if (!sameAccess || stats.size !== file.bytes.length) {
        return false;
      }
      const bytes = readAll(place, descriptor, stats.size);
      const same = bytes.equals(file.bytes);
      bytes.fill(0);
      return same;
    });
  return unlessTampered(() => holdParent(held, file.path, device, compare)) === true;
}

function replaceSet(
  root: string,
  current: CurrentSet | undefined,
  change: Change,
  kept: readonly string[],
  paths: readonly string[],
): void {
  const fresh = makeTimestampDirectory(root, change.now);
  try {
    holdDirectory(fresh, (held, { dev }) => fill(held, dev, current, change, kept, paths));
    linkVisibly(root, paths);
    replaceSymlink(path.join(root, dataLink), path.basename(fresh), path.join(root, temporaryLink));
  } catch (error) {
    quietly(() => removeTree(fresh));
    quietly(() => unlinkStale(root, current === undefined ? [] : listFiles(`${current.held}/.`, current.device)));
    throw error;
  }
  // The new set is in place. What cannot be cleared now, the next write clears.
  quietly(() => unlinkStale(root, paths));
  if (current !== undefined) {
    quietly(() => removeTree(path.join(root, current.name)));
  }
}

/** Fills the directory of a new set, which is held: its files must not land where somebody put a link meanwhile. */
function fill(
  fresh: string,
  device: number,
  current: CurrentSet | undefined,
  change: Change,
  kept: readonly string[],
  paths: readonly string[],
): void {
  makeParents(fresh, device, paths, change.directory);
  for (const file of change.files) {
    holdParent(fresh, file.path, device, (place) => writeNewFile(place, file.bytes, file));
  }
  if (current !== undefined) {
    // link(2) does not follow a symlink in the last element, and those before it are held.
    for (const file of kept) {
      holdParent(current.held, file, device, (from) =>
        holdParent(fresh, file, device, (place) => fs.linkSync(from, place)),
      );
    }
  }
  setAccess(`${fresh}/.`, change.directory);
}

function makeTimestampDirectory(root: string, now: number): string {
  const time = new Date(now).toISOString().slice(0, 19).replace(/[-:T]/g, '_');
  for (;;) {
    const directory = path.join(root, `..${time}.${String(randomInt(1_000_000_000)).padStart(9, '0')}`);
    try {
      makeDirectory(directory, { mode: 0o700 });
      return directory;
    } catch (error) {
      if (systemCode(error) !== 'EEXIST') {
        throw error;
      }
    }
  }
}

function makeParents(fresh: string, device: number, paths: readonly string[], access: Access): void {
  const parents = new Set<string>();
  for (const file of paths) {
    for (let end = file.indexOf('/'); end >= 0; end = file.indexOf('/', end + 1)) {
      parents.add(file.slice(0, end));
    }
  }
  // A shorter path sorts before the longer ones that begin with it.
  for (const parent of [...parents].sort()) {
    holdParent(fresh, parent, device, (place) => makeDirectory(place, access));
  }
}

/** Makes the symlinks that the pod's containers see. @returns how many were missing or wrong. */
function linkVisibly(root: string, paths: readonly string[]): number {
  const missing = topNames(paths).filter((name) => readSymlink(path.join(root, name)) !== visibleDestination(name));
  for (const name of missing) {
    replaceSymlink(path.join(root, name), visibleDestination(name), path.join(root, temporaryVisibleLink));
  }
  return missing.length;
}

/** Removes visible symlinks whose file is none of `paths`. */
function unlinkStale(root: string, paths: readonly string[]): void {
  const wanted = new Set(topNames(paths));
  for (const name of fs.readdirSync(root)) {
    const link = path.join(root, name);
    if (!wanted.has(name) && readSymlink(link) === visibleDestination(name)) {
      fs.unlinkSync(link);
    }
  }
}

function topNames(paths: readonly string[]): readonly string[] {
  return [...new Set(paths.map((file) => file.split('/', 1)[0] ?? file))];
}

function visibleDestination(name: string): string {
  return `${dataLink}/${name}`;
}

function quietly(clear: () => void): void {
  try {
    clear();
  } catch {
    // Clearing is repeated before the next write; the error that matters is the one under way, if any.
  }
}
