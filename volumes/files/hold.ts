/**
 * Work in directories that are held open, so that what is put at a path between two steps of the agent changes nothing: a
 * privileged container can rename what lies in its volume, put links there, and mount other volumes on it.
 */
import fs from 'node:fs';
import path from 'node:path';
import { systemCode, VolumeError } from '../base/errors.ts';
import type { Steps } from '../base/steps.ts';

const { O_DIRECTORY, O_NOFOLLOW, O_RDONLY } = fs.constants;

/** lstat, or nothing when the path does not exist. */
export function lstat(file: string): fs.Stats | undefined {
  return fs.lstatSync(file, { throwIfNoEntry: false });
}

/** Which directory a path led to when it was first looked at, as the kernel numbers it. Each tmpfs has a `dev` of its own. */
export type Identity = Pick<fs.Stats, 'dev' | 'ino'>;

export function isSame(one: Identity | undefined, other: Identity | undefined): boolean {
  return one !== undefined && one.dev === other?.dev && one.ino === other.ino;
}

/**
 * Lets work happen in a directory that is held open, by a path (`/proc/self/fd/N`) that leads to this very directory whatever is
 * put at its name meanwhile: a privileged container can rename what lies in its volume between two steps of the agent.
 * @param work gets the path to work by, and what the kernel says about the directory.
 * @throws VolumeError Tampered when a symlink or anything but a directory lies there.
 */
export function holdDirectory<Result>(directory: string, work: (held: string, stats: fs.Stats) => Result): Result {
  const descriptor = openDirectory(directory);
  const held = `/proc/self/fd/${descriptor}`;
  try {
    return work(held, fs.fstatSync(descriptor));
  } catch (error) {
    throw renamed(error, held, directory);
  } finally {
    fs.closeSync(descriptor);
  }
}

/** The same for work that pauses; the directory is held all the while. @param check of what the kernel says about the directory */
export function* holdInStepsIf<Result>(
  directory: string,
  check: (stats: fs.Stats) => void,
  work: (held: string) => Steps<Result>,
): Steps<Result> {
  const descriptor = openDirectory(directory);
  const held = `/proc/self/fd/${descriptor}`;
  try {
    check(fs.fstatSync(descriptor));
    return yield* work(held);
  } catch (error) {
    throw renamed(error, held, directory);
  } finally {
    fs.closeSync(descriptor);
  }
}

/** Holds a directory that must lie on the file system `device`. @throws VolumeError Tampered when another is mounted there */
export function holdInSteps<Result>(
  directory: string,
  device: number,
  work: (held: string) => Steps<Result>,
): Steps<Result> {
  return holdInStepsIf(directory, (stats) => assertDevice(directory, stats, device), work);
}

/** Whoever reads the message knows the directory by its name. */
function renamed(error: unknown, held: string, directory: string): unknown {
  if (error instanceof Error) {
    error.message = error.message.replaceAll(`${held}/`, `${directory}/`);
  }
  return error;
}

function assertDevice(directory: string, { dev }: Identity, device: number): void {
  if (dev !== device) {
    throw new VolumeError('Tampered', `${directory} is not part of its volume; something is mounted there`);
  }
}

function openDirectory(directory: string): number {
  try {
    return fs.openSync(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  } catch (error) {
    const code = systemCode(error);
    if (code !== 'ENOTDIR' && code !== 'ELOOP') {
      throw error;
    }
    throw new VolumeError('Tampered', `${directory} is not a directory; something was put in its place`, error);
  }
}

/** Holds a directory that must lie on the file system `device`. @throws VolumeError Tampered when another is mounted there */
export function holdOn<Result>(
  directory: string,
  device: number,
  work: (held: string, stats: fs.Stats) => Result,
): Result {
  return holdDirectory(directory, (held, stats) => {
    assertDevice(directory, stats, device);
    return work(held, stats);
  });
}

/**
 * Lets work happen on a path below a directory that is held already, each directory on the way held while the next one is opened, and
 * all of them on the file system `device`. @throws VolumeError Tampered when one of them is not a directory there.
 */
export function holdParent<Result>(
  directory: string,
  relative: string,
  device: number,
  work: (file: string) => Result,
): Result {
  const end = relative.indexOf('/');
  if (end < 0) {
    return work(path.join(directory, relative));
  }
  const next = path.join(directory, relative.slice(0, end));
  return holdOn(next, device, (held) => holdParent(held, relative.slice(end + 1), device, work));
}

/** What work gives, or nothing where a directory or file on its way is absent, may not be read, or is not the volume's own. */
export function unlessTampered<Result>(work: () => Result): Result | undefined {
  try {
    return work();
  } catch (error) {
    const isTampered = error instanceof VolumeError && error.code === 'Tampered';
    if (isTampered || systemCode(error) === 'ENOENT' || systemCode(error) === 'EACCES') {
      return undefined;
    }
    throw error;
  }
}

/** Works in a volume's root directory as it was first looked at, whatever is mounted over it or put at its path meanwhile. */
export function holdVolume<Result>(root: string, volume: Identity, work: (held: string) => Result): Result {
  return holdDirectory(root, (held, stats) => {
    if (!isSame(stats, volume)) {
      throw volumeGone(root);
    }
    return work(held);
  });
}

/** The same for work that waits for another process, which has no way to the directory but through this one's. */
export async function holdVolumeFor<Result>(
  root: string,
  volume: Identity,
  work: (held: string) => Promise<Result>,
): Promise<Result> {
  const descriptor = openDirectory(root);
  try {
    if (!isSame(fs.fstatSync(descriptor), volume)) {
      throw volumeGone(root);
    }
    return await work(`/proc/${process.pid}/fd/${descriptor}`);
  } finally {
    fs.closeSync(descriptor);
  }
}

/** The same for work that pauses. */
export function holdVolumeInSteps<Result>(
  root: string,
  volume: Identity,
  work: (held: string) => Steps<Result>,
): Steps<Result> {
  const check = (stats: fs.Stats): void => {
    if (!isSame(stats, volume)) {
      throw volumeGone(root);
    }
  };
  return holdInStepsIf(root, check, work);
}

export function volumeGone(root: string): VolumeError {
  return new VolumeError('Gone', `the volume at ${root} was unmounted or replaced`);
}
