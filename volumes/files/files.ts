/**
 * File operations that never follow a symlink in the last element of a path, never write into a file that is there
 * already, and never cross into another file system. All are synchronous: volumes lie in memory, where an asynchronous
 * call costs ten times as much and would let another task run between a check and its use.
 */
import fs from 'node:fs';
import path from 'node:path';
import { systemCode, VolumeError } from '../base/errors.ts';
import { atOnce, type Steps } from '../base/steps.ts';

/** Mode bits, and numeric owners where the agent may set them. */
export interface Access {
  readonly mode: number;
  readonly uid?: number;
  readonly gid?: number;
}

const { O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_WRONLY } = fs.constants;

/** lstat, or nothing when the path does not exist. */
export function lstat(file: string): fs.Stats | undefined {
  return fs.lstatSync(file, { throwIfNoEntry: false });
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

/** The same for work that pauses; the directory is held all the while. */
export function* holdInSteps<Result>(
  directory: string,
  work: (held: string, stats: fs.Stats) => Steps<Result>,
): Steps<Result> {
  const descriptor = openDirectory(directory);
  const held = `/proc/self/fd/${descriptor}`;
  try {
    return yield* work(held, fs.fstatSync(descriptor));
  } catch (error) {
    throw renamed(error, held, directory);
  } finally {
    fs.closeSync(descriptor);
  }
}

/** Whoever reads the message knows the directory by its name. */
function renamed(error: unknown, held: string, directory: string): unknown {
  if (error instanceof Error) {
    error.message = error.message.replaceAll(`${held}/`, `${directory}/`);
  }
  return error;
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

/** Creates a file with exactly these bytes, mode and owner, whatever the umask. @throws when the path exists. */
export function writeNewFile(file: string, bytes: Uint8Array, access: Access): void {
  atOnce(writeInPieces(file, [bytes], access));
}

/** The same, a piece a step. */
export function* writeInPieces(file: string, pieces: Iterable<Uint8Array>, access: Access): Steps<void> {
  const descriptor = fs.openSync(file, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
  try {
    for (const piece of pieces) {
      for (let offset = 0; offset < piece.length; ) {
        offset += fs.writeSync(descriptor, piece, offset);
      }
      yield;
    }
    if (access.uid !== undefined && access.gid !== undefined) {
      fs.fchownSync(descriptor, access.uid, access.gid);
    }
    // After chown, which may clear bits.
    fs.fchmodSync(descriptor, access.mode);
  } finally {
    fs.closeSync(descriptor);
  }
}

/** Creates a directory with exactly this mode and owner. @throws when the path exists. */
export function makeDirectory(directory: string, access: Access): void {
  fs.mkdirSync(directory, { mode: 0o700 });
  setAccess(directory, access);
}

/** Gives a directory this mode and owner. */
export function setAccess(directory: string, access: Access): void {
  const descriptor = fs.openSync(directory, O_RDONLY | O_NOFOLLOW | O_DIRECTORY);
  try {
    const now = fs.fstatSync(descriptor);
    const { uid, gid } = access;
    if (uid !== undefined && gid !== undefined && (now.uid !== uid || now.gid !== gid)) {
      fs.fchownSync(descriptor, uid, gid);
    }
    if ((now.mode & 0o7777) !== access.mode) {
      fs.fchmodSync(descriptor, access.mode);
    }
  } finally {
    fs.closeSync(descriptor);
  }
}

/**
 * Reads a regular file into a buffer of its own, which a caller can zero.
 * @param maxBytes a longer file is refused.
 */
export function readRegularFile(file: string, maxBytes: number): Buffer {
  // O_NONBLOCK: a planted pipe must not hang the agent.
  const descriptor = fs.openSync(file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  try {
    const stats = fs.fstatSync(descriptor);
    if (!stats.isFile()) {
      throw new VolumeError('Tampered', `${file} is not a regular file`);
    }
    if (stats.size > maxBytes) {
      throw new VolumeError('Corrupt', `${file} is longer than ${maxBytes} bytes`);
    }
    const bytes = ownMemory(stats.size);
    try {
      fill(bytes, descriptor, file);
      return bytes;
    } catch (error) {
      bytes.fill(0);
      throw error;
    }
  } finally {
    fs.closeSync(descriptor);
  }
}

/** Whether a regular file holds exactly these bytes, and nothing else, in steps. */
export function* holdsBytes(file: string, pieces: Iterable<Uint8Array>): Steps<boolean> {
  const descriptor = fs.openSync(file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  try {
    let position = 0;
    for (const piece of pieces) {
      const stored = ownMemory(piece.length);
      try {
        const length = fs.readSync(descriptor, stored, 0, piece.length, position);
        if (length !== piece.length || !stored.equals(piece)) {
          return false;
        }
      } finally {
        stored.fill(0);
      }
      position += piece.length;
      yield;
    }
    return fs.fstatSync(descriptor).size === position;
  } finally {
    fs.closeSync(descriptor);
  }
}

/**
 * Memory that nothing shares and nothing moves, zeroed. A buffer of up to 64 bytes without an ArrayBuffer of its own lies
 * on V8's heap: it is copied when it is used, and zeroing it then leaves a copy.
 */
export function ownMemory(size: number): Buffer {
  return Buffer.from(new ArrayBuffer(size));
}

function fill(bytes: Uint8Array, descriptor: number, file: string): void {
  for (let offset = 0; offset < bytes.length; ) {
    const read = fs.readSync(descriptor, bytes, offset, bytes.length - offset, offset);
    if (read === 0) {
      throw new VolumeError('Corrupt', `${file} became shorter while it was read`);
    }
    offset += read;
  }
}

/** Replaces a file as one step: readers see the old bytes or the new ones. */
export function replaceFile(file: string, bytes: Uint8Array, access: Access): void {
  const temporary = `${file}.tmp`;
  fs.rmSync(temporary, { force: true });
  try {
    writeNewFile(temporary, bytes, access);
    fs.renameSync(temporary, file);
  } catch (error) {
    fs.rmSync(temporary, { force: true });
    throw error;
  }
}

/** Makes `link` a symlink to `destination` as one step, in place of whatever lies there. */
export function replaceSymlink(link: string, destination: string, temporary: string): void {
  removeTree(temporary);
  fs.symlinkSync(destination, temporary);
  // A rename replaces anything but a directory.
  if (lstat(link)?.isDirectory()) {
    removeTree(link);
  }
  fs.renameSync(temporary, link);
}

/** Where a symlink points, or nothing when there is no symlink. */
export function readSymlink(link: string): string | undefined {
  return lstat(link)?.isSymbolicLink() ? fs.readlinkSync(link) : undefined;
}

/** True when `relative` is a regular file below `directory` and nothing on the way is a symlink. */
export function isRegularFileBelow(directory: string, relative: string): boolean {
  if (lstat(path.join(directory, relative))?.isFile() !== true) {
    return false;
  }
  try {
    return (
      fs.realpathSync.native(path.join(directory, relative)) === path.join(fs.realpathSync.native(directory), relative)
    );
  } catch {
    return false;
  }
}

/**
 * Removes a file or a whole tree, following no symlink and entering no other file system. Nothing happens when the path
 * does not exist; what is mounted inside stays, and its mount point with it (EBUSY).
 */
export function removeTree(file: string): void {
  const stats = lstat(file);
  if (stats === undefined) {
    return;
  }
  if (!stats.isDirectory()) {
    fs.rmSync(file, { force: true });
    return;
  }
  removeContents(file, stats.dev);
  fs.rmdirSync(file);
}

/** Removes what lies in a directory on the file system `device`, and leaves the directory. */
export function removeContents(directory: string, device: number): void {
  for (const name of fs.readdirSync(directory)) {
    const entry = path.join(directory, name);
    const stats = lstat(entry);
    if (stats === undefined || stats.dev !== device) {
      continue;
    }
    if (!stats.isDirectory()) {
      fs.unlinkSync(entry);
    } else {
      removeContents(entry, device);
      removeDirectoryUnlessBusy(entry);
    }
  }
}

function removeDirectoryUnlessBusy(directory: string): void {
  try {
    fs.rmdirSync(directory);
  } catch (error) {
    // A mount inside it keeps it; its other contents are gone.
    if (systemCode(error) !== 'ENOTEMPTY' && systemCode(error) !== 'EBUSY') {
      throw error;
    }
  }
}
