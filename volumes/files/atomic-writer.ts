/**
 * Changes all files of a volume at once or not at all, in the layout of Kubernetes' own projected volumes:
 *
 *     credentials.pem -> ..data/credentials.pem            what the pod reads
 *     ..data -> ..2026_11_21_10_00_00.123456789            renamed into place: the one step that readers see
 *     ..2026_11_21_10_00_00.123456789/credentials.pem      the files themselves
 *
 * The set before the present one stays until the next change, so that a reader that has followed `..data` reads on in one set. Whoever
 * calls this keeps its name, in memory only: a restart clears it away like any leftover.
 *
 * A new set is written into a fresh directory. Files that do not change are hard links to the old ones, so a private key that
 * stays is not read; files with the same content are one file with several names. Whatever fails, or wherever the agent is
 * killed, the old set stays in place, and the next write clears away what was left half done.
 *
 * Everything that grows with what a pod's author asks for is done in steps (`../base/steps.ts`).
 *
 * https://kubernetes.io/docs/concepts/configuration/secret/#using-secrets-as-files-from-a-pod
 */
import { randomInt } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { systemCode, toVolumeError } from '../base/errors.ts';
import { mostSteps, type Steps } from '../base/steps.ts';
import { entriesOf } from './entries.ts';
import { type Access, isRegularFileBelow, makeDirectory, readSymlink, replaceSymlink } from './files.ts';
import { holdInSteps, holdOn, lstat, unlessTampered } from './hold.ts';
import type { ProjectedFile } from './layout.ts';
import { mostEntriesCleared } from './limits.ts';
import { fillSet } from './new-set.ts';
import { removeInSteps } from './remove.ts';
import { emptySet, surveySet } from './stored-set.ts';

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
  /** Further paths that stay, where they exist, and of which only the form is known. */
  readonly keepAlso?: ((path: string) => boolean) | undefined;
  /** For the directories of the new set. */
  readonly directory: Access;
  /** Milliseconds since the epoch, for the directory's name. */
  readonly now: number;
  /** Name of the set before the present one, which is left alone. */
  readonly previous?: string | undefined;
}

/** What has to be done to a volume, found out without changing its files. */
export interface Plan {
  readonly change: Change;
  /** Name of the directory that holds the present set. */
  readonly current: string | undefined;
  readonly kept: readonly string[];
  /** All paths of the set to be. */
  readonly paths: readonly string[];
  /** True when every byte, mode and owner is as it should be. */
  readonly isSame: boolean;
  /** What the new set takes beside the old one: bytes of files, in whole pages, and how many files and directories. */
  readonly needs: { readonly bytes: number; readonly entries: number };
}

/**
 * Looks at what is there, and clears away what an interrupted write left.
 * @param root the volume's root directory, absolute; the same as for `carryOut`
 * @throws VolumeError
 */
export function* planChange(root: string, change: Change): Steps<Plan> {
  try {
    const current = currentSet(root);
    yield* removeLeftovers(root, [current, change.previous]);
    const device = fs.statSync(root).dev;
    const { staying: kept, ...stored } =
      current === undefined
        ? emptySet
        : yield* surveySet(path.join(root, current), device, change.files, stayingIn(change));
    const paths = [...change.files.map((file) => file.path), ...kept];
    const isSame =
      current !== undefined &&
      stored.count === paths.length &&
      change.files.every((file) => stored.same.has(file.path));
    return { change, current, kept, paths, isSame, needs: needsOf(change, paths) };
  } catch (error) {
    throw toVolumeError(error, `looking at the files of ${root}`);
  }
}

function stayingIn({ keep, keepAlso }: Change): (file: string) => boolean {
  const named = new Set(keep);
  return (file) => named.has(file) || keepAlso?.(file) === true;
}

/**
 * @returns 'unchanged' when everything was in place, and then nothing was written.
 * @throws VolumeError; the files are then as they were before.
 */
export function* carryOut(root: string, plan: Plan): Steps<'written' | 'unchanged'> {
  try {
    if (plan.isSame) {
      return (yield* linkVisibly(root, plan.paths)) > 0 ? 'written' : 'unchanged';
    }
    yield* replaceSet(root, plan);
    return 'written';
  } catch (error) {
    throw toVolumeError(error, `writing the files of ${root}`);
  }
}

const pageBytes = 4096;

/** Files with the same content are one file: keys and what is no key have contents of their own. */
function needsOf({ files }: Change, paths: readonly string[]): Plan['needs'] {
  const contents = new Set(files.map(({ content }) => content));
  const sizes = [...contents].map(({ length }) => Math.ceil(length / pageBytes) * pageBytes);
  const entries = paths.reduce((sum, file) => sum + file.split('/').length, 1);
  return { bytes: sizes.reduce((sum, size) => sum + size, 0), entries };
}

/** True when the volume shows all these files to its pod. */
export function isComplete(root: string, paths: readonly string[]): boolean {
  const current = currentSet(root);
  if (current === undefined) {
    return false;
  }
  const device = fs.statSync(root).dev;
  const isThere = () =>
    holdOn(path.join(root, current), device, (held) => paths.every((file) => isRegularFileBelow(held, file, device)));
  return (
    unlessTampered(isThere) === true &&
    topNames(paths).every((name) => readSymlink(path.join(root, name)) === visibleDestination(name))
  );
}

/** Removes a set that is not the present one. @param most entries that are removed; the rest stays */
export function* removeSet(root: string, name: string, most?: number): Steps<void> {
  if (name !== currentSet(root)) {
    yield* removeInSteps(path.join(root, name), fs.statSync(root).dev, most);
  }
}

/** Clears away what an interrupted write left, and the set before the present one. */
export function* repair(root: string): Steps<void> {
  try {
    yield* removeLeftovers(root, [currentSet(root)]);
  } catch (error) {
    throw toVolumeError(error, `clearing ${root}`);
  }
}

/** The name of the directory that `..data` points to; nothing when there is none, or when the link leads anywhere else. */
export function currentSet(root: string): string | undefined {
  const name = readSymlink(path.join(root, dataLink));
  const isOwn = name !== undefined && timestampDirectory.test(name);
  return isOwn && lstat(path.join(root, name))?.isDirectory() ? name : undefined;
}

/** As much of them as is removed in one go, though they be many trees: when the agent starts, other volumes wait for this one. */
function removeLeftovers(root: string, kept: readonly (string | undefined)[]): Steps<void> {
  return mostSteps(removeAllLeftovers(root, kept), mostEntriesCleared);
}

function* removeAllLeftovers(root: string, kept: readonly (string | undefined)[]): Steps<void> {
  const { dev } = fs.statSync(root);
  for (const name of entriesOf(root)) {
    yield;
    const isLeftover =
      name === temporaryLink ||
      name === temporaryVisibleLink ||
      (timestampDirectory.test(name) && !kept.includes(name));
    if (isLeftover) {
      yield* removeInSteps(path.join(root, name), dev);
    }
  }
}

function* replaceSet(root: string, { current, change, kept, paths }: Plan): Steps<void> {
  const fresh = makeTimestampDirectory(root, change.now);
  const device = fs.statSync(root).dev;
  const old = current === undefined ? undefined : path.join(root, current);
  try {
    yield* holdInSteps(fresh, device, (held) => fillSet(held, device, old, { ...change, kept }));
    yield* linkVisibly(root, paths);
    yield* replaceSymlink(path.join(root, dataLink), path.basename(fresh), path.join(root, temporaryLink));
  } catch (error) {
    yield* quietly(removeInSteps(fresh, device));
    yield* quietly(unlinkAllBut(root, old, device));
    throw error;
  }
  // The new set is in place. What cannot be cleared now, the next write clears.
  const wanted = new Set(topNames(paths));
  yield* quietly(unlinkStale(root, (name) => wanted.has(name)));
}

/** Takes back the links that lead to nothing in the old set. */
function unlinkAllBut(root: string, old: string | undefined, device: number): Steps<void> {
  return old === undefined
    ? unlinkStale(root, () => false)
    : holdInSteps(old, device, (held) => unlinkStale(root, (name) => lstat(path.join(held, name)) !== undefined));
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

/** Makes the symlinks that the pod's containers see. @returns how many were missing or wrong. */
function* linkVisibly(root: string, paths: readonly string[]): Steps<number> {
  let missing = 0;
  for (const name of topNames(paths)) {
    if (readSymlink(path.join(root, name)) !== visibleDestination(name)) {
      missing += 1;
      yield* replaceSymlink(path.join(root, name), visibleDestination(name), path.join(root, temporaryVisibleLink));
    }
    yield;
  }
  return missing;
}

/** Removes visible symlinks whose name is not wanted. */
function* unlinkStale(root: string, isWanted: (name: string) => boolean): Steps<void> {
  for (const name of entriesOf(root)) {
    const link = path.join(root, name);
    if (!isWanted(name) && readSymlink(link) === visibleDestination(name)) {
      fs.unlinkSync(link);
    }
    yield;
  }
}

function topNames(paths: readonly string[]): readonly string[] {
  return [...new Set(paths.map((file) => file.split('/', 1)[0] ?? file))];
}

function visibleDestination(name: string): string {
  return `${dataLink}/${name}`;
}

function* quietly(clear: Steps<void>): Steps<void> {
  try {
    yield* clear;
  } catch {
    // Clearing is repeated before the next write; the error that matters is the one under way, if any.
  }
}
