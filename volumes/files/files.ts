/**
 * File operations that never follow a symlink in the last element of a path, never write into a file that is there
 * already, and never cross into another file system. All are synchronous: volumes lie in memory, where an asynchronous
 * call costs ten times as much and would let another task run between a check and its use.
 */
import fs from 'node:fs';
import path from 'node:path';
import { systemCode, VolumeError } from '../base/errors.ts';
import { atOnce, type Steps } from '../base/steps.ts';
import { lstat, unlessTampered } from './hold.ts';
import { removeTreeInSteps } from './remove.ts';

/** Mode bits, and numeric owners where the agent may set them. */
export interface Access {
  readonly mode: number;
  readonly uid?: number;
  readonly gid?: number;
}

const { O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_WRONLY } = fs.constants;

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
 * @param device of the directory: a file that lies elsewhere was mounted there, and is refused too.
 */
export function readRegularFile(file: string, maxBytes: number, device: number): Buffer {
  const read = readInSteps(file, device, function* (descriptor, stats) {
    if (stats.size > maxBytes) {
      throw new VolumeError('Corrupt', `${file} is longer than ${maxBytes} bytes`);
    }
    yield;
    return readAll(file, descriptor, stats.size);
  });
  return atOnce(read);
}

/** Lets work happen on a regular file of the file system `device`, open for reading. @throws VolumeError Tampered for anything else */
export function* readInSteps<Result>(
  file: string,
  device: number,
  work: (descriptor: number, stats: fs.Stats) => Steps<Result>,
): Steps<Result> {
  // O_NONBLOCK: a planted pipe must not hang the agent.
  const descriptor = fs.openSync(file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  try {
    const stats = fs.fstatSync(descriptor);
    if (!stats.isFile() || stats.dev !== device) {
      throw new VolumeError('Tampered', `${file} is not a regular file of its volume`);
    }
    return yield* work(descriptor, stats);
  } finally {
    fs.closeSync(descriptor);
  }
}

/** Whether an open file holds exactly these bytes, and nothing else, in steps. */
export function* holdsBytes(descriptor: number, pieces: Iterable<Uint8Array>): Steps<boolean> {
  let position = 0;
  for (const piece of pieces) {
    const stored = ownMemory(piece.length);
    try {
      // Behind the end of the file the memory stays zero, and then the size differs.
      fs.readSync(descriptor, stored, 0, piece.length, position);
      if (!stored.equals(piece)) {
        return false;
      }
    } finally {
      stored.fill(0);
    }
    position += piece.length;
    yield;
  }
  return fs.fstatSync(descriptor).size === position;
}

/** The first `size` bytes of an open file, in a buffer of their own. */
function readAll(file: string, descriptor: number, size: number): Buffer {
  const bytes = ownMemory(size);
  try {
    fill(bytes, descriptor, file);
    return bytes;
  } catch (error) {
    bytes.fill(0);
    throw error;
  }
}

/**
 * Memory that nothing shares and nothing moves, zeroed. A buffer of up to 64 bytes without an ArrayBuffer of its own lies
 * on V8's heap: it is copied when it is used, and zeroing it then leaves a copy.
 */
function ownMemory(size: number): Buffer {
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
  removeFile(temporary);
  try {
    writeNewFile(temporary, bytes, access);
    fs.renameSync(temporary, file);
  } catch (error) {
    removeFile(temporary);
    throw error;
  }
}

/** Removes what lies at a path and is no directory; nothing happens when nothing does. Node.js' own `rm` looks twice before it removes. */
export function removeFile(file: string): void {
  if (lstat(file) === undefined) {
    return;
  }
  try {
    fs.unlinkSync(file);
  } catch (error) {
    // Somebody else may have removed it meanwhile.
    if (systemCode(error) !== 'ENOENT') {
      throw error;
    }
  }
}

/** Makes `link` a symlink to `destination` as one step, once whatever lies there is no directory any more, which is removed in many. */
export function* replaceSymlink(link: string, destination: string, temporary: string): Steps<void> {
  // A rename replaces anything but a directory.
  for (const place of [temporary, link]) {
    if (place === temporary || lstat(place)?.isDirectory()) {
      yield* removeTreeInSteps(place);
    }
  }
  fs.symlinkSync(destination, temporary);
  fs.renameSync(temporary, link);
}

/** Where a symlink points, or nothing when there is no symlink. */
export function readSymlink(link: string): string | undefined {
  return lstat(link)?.isSymbolicLink() ? fs.readlinkSync(link) : undefined;
}

/**
 * True when `relative` is a regular file below `directory`, on the file system `device`, and nothing on the way is a symlink. The way is
 * looked at in one call, since a path may have many parts.
 */
export function isRegularFileBelow(directory: string, relative: string, device: number): boolean {
  const found = lstat(path.join(directory, relative));
  if (found?.isFile() !== true || found.dev !== device) {
    return false;
  }
  const real = unlessTampered(() =>
    [directory, path.join(directory, relative)].map((place) => fs.realpathSync.native(place)),
  );
  return real !== undefined && real[1] === path.join(real[0] ?? '', relative);
}
