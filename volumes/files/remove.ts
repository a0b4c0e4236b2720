/**
 * Removes trees that somebody else may be changing: through no symlink, and in no other file system than the one that
 * holds them.
 */
import fs from 'node:fs';
import path from 'node:path';
import { systemCode, VolumeError } from '../base/errors.ts';
import { atOnce, type Steps } from '../base/steps.ts';
import { entriesOf } from './entries.ts';
import { holdInSteps, lstat } from './hold.ts';
import { mostEntriesCleared } from './limits.ts';

/**
 * Deeper than anything that the agent makes, which is all that has to go: what lies deeper stays, so that nobody's tree costs
 * more than twice as many open directories.
 */
export const deepest = 64;

/** How many entries may still be removed: whoever holds a volume may fill it as fast as it is emptied. */
interface Allowance {
  left: number;
}

/**
 * Removes a file or a whole tree at once, following no symlink and entering no other file system than that of the directory it lies in.
 * Nothing happens when the path does not exist; what is mounted inside stays, and its mount point with it (EBUSY).
 * @throws VolumeError Tampered when something is mounted at the path itself
 */
export function removeTree(file: string): void {
  atOnce(removeTreeInSteps(file));
}

/** The same in steps. */
export function* removeTreeInSteps(file: string): Steps<void> {
  if (lstat(file) === undefined) {
    return;
  }
  // The directory above is the caller's, and may be one that is held, which a path leads to by a link.
  const above = `${path.dirname(file)}/.`;
  const { dev } = fs.statSync(above);
  yield* holdInSteps(above, dev, function* (parent) {
    const entry = path.join(parent, path.basename(file));
    const stats = lstat(entry);
    if (stats === undefined) {
      return;
    }
    if (stats.dev !== dev) {
      throw new VolumeError('Tampered', `${file} has something mounted on it, and is left alone`);
    }
    if (stats.isDirectory()) {
      yield* removeContents(entry, dev);
      fs.rmdirSync(entry);
    } else {
      fs.unlinkSync(entry);
    }
  });
}

/**
 * Removes what lies in a directory on the file system `device`, in steps, and leaves the directory. Every directory is held while it is emptied:
 * a link that somebody puts in its place meanwhile leads nowhere.
 * @param most entries that are removed; the rest stays
 * @throws VolumeError Tampered when the directory lies on another file system
 */
export function removeContents(directory: string, device: number, most: number = mostEntriesCleared): Steps<void> {
  return contentsInSteps(directory, device, 0, { left: most });
}

/**
 * A part of a volume, in steps: nothing happens when the path does not exist; what is mounted there or inside stays.
 * @param most entries that are removed, itself among them; the rest stays
 */
export function removeInSteps(file: string, device: number, most: number = mostEntriesCleared): Steps<void> {
  return entryInSteps(file, device, 0, { left: most });
}

function* entryInSteps(file: string, device: number, depth: number, allowance: Allowance): Steps<void> {
  const stats = lstat(file);
  if (stats === undefined || stats.dev !== device) {
    return;
  }
  allowance.left -= 1;
  if (!stats.isDirectory()) {
    fs.rmSync(file, { force: true });
    return;
  }
  if (depth < deepest) {
    yield* contentsInSteps(file, device, depth + 1, allowance);
  }
  removeDirectoryUnlessBusy(file);
}

function contentsInSteps(directory: string, device: number, depth: number, allowance: Allowance): Steps<void> {
  return holdInSteps(directory, device, function* (held) {
    for (const name of entriesOf(held)) {
      if (allowance.left <= 0) {
        return;
      }
      yield* entryInSteps(path.join(held, name), device, depth, allowance);
      yield;
    }
  });
}

function removeDirectoryUnlessBusy(directory: string): void {
  try {
    fs.rmdirSync(directory);
  } catch (error) {
    // A mount inside it keeps it; its other contents are gone. Or somebody else has removed it meanwhile, step by step as well.
    const code = systemCode(error);
    if (code !== 'ENOTEMPTY' && code !== 'EBUSY' && code !== 'ENOENT') {
      throw error;
    }
  }
}
