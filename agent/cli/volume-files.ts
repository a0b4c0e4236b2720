/**
 * The files of a projected volume, as an `AtomicWriter` lays them out: `..data` leads to the version in use. All files
 * are read from one version, so that a rotation in between does not mix two. Directories without `..data` are read as
 * they are.
 */
import { closeSync, constants, fstatSync, openSync, readdirSync, readSync, realpathSync } from 'node:fs';
import { join, sep } from 'node:path';

/** A file of the volume, or why it is not known what is in it. */
export type VolumeFile = {
  /** Relative to the volume. */
  readonly path: string;
} & (
  | {
      readonly type: 'read';
      readonly bytes: Buffer;
      /** Permission bits. */
      readonly mode: number;
      readonly uid: number;
      readonly gid: number;
    }
  | { readonly type: 'unreadable'; readonly reason: string }
);

/** Larger than any bundle of trust anchors; a ClusterTrustBundle holds 1 MiB. */
const maxFileBytes = 32 * 1024 * 1024;
const maxFiles = 1_000;
const maxDepth = 8;
const maxAttempts = 5;

/** @throws Error when the directory cannot be read */
export function readVolumeFiles(directory: string): readonly VolumeFile[] {
  const volume = realpathSync(directory);
  for (let attempt = 1; ; attempt += 1) {
    const version = versionOf(volume);
    const paths = filePaths(version, '', 0);
    const files = paths.slice(0, maxFiles).map((path) => readFile(volume, version, path));
    if (paths.length > maxFiles) {
      files.push({
        path: '.',
        type: 'unreadable',
        reason: `there are more than ${maxFiles} files; the rest was not read`,
      });
    }
    // The version was replaced and removed while it was read.
    if (version === versionOf(volume) || attempt >= maxAttempts) {
      return files;
    }
  }
}

function versionOf(volume: string): string {
  try {
    return realpathSync(join(volume, '..data'));
  } catch (error) {
    if (codeOf(error) === 'ENOENT') {
      return volume;
    }
    throw error;
  }
}

function filePaths(root: string, below: string, depth: number): readonly string[] {
  const entries = namesIn(join(root, below)).filter(({ name }) => !name.startsWith('..'));
  return entries
    .flatMap((entry) => {
      const path = below === '' ? entry.name : `${below}/${entry.name}`;
      return entry.isDirectory() && depth < maxDepth ? filePaths(root, path, depth + 1) : [path];
    })
    .slice(0, maxFiles + 1);
}

function namesIn(directory: string) {
  return readdirSync(directory, { withFileTypes: true }).sort((one, other) => (one.name < other.name ? -1 : 1));
}

function readFile(volume: string, version: string, path: string): VolumeFile {
  try {
    // A link may lead out of the volume; what is there is none of its files.
    const target = realpathSync(join(version, path));
    if (!target.startsWith(`${volume}${sep}`) && !target.startsWith(`${version}${sep}`)) {
      return { path, type: 'unreadable', reason: 'it leads out of the volume' };
    }
    return readRegularFile(path, target);
  } catch (error) {
    return { path, type: 'unreadable', reason: codeOf(error) ?? 'it cannot be read' };
  }
}

function readRegularFile(path: string, target: string): VolumeFile {
  // Without O_NONBLOCK a named pipe would wait for somebody who writes.
  const descriptor = openSync(target, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW);
  try {
    const stats = fstatSync(descriptor);
    if (stats.isDirectory()) {
      return { path, type: 'unreadable', reason: 'it is a directory that is linked to or lies too deep' };
    }
    if (!stats.isFile()) {
      return { path, type: 'unreadable', reason: 'it is no regular file' };
    }
    if (stats.size > maxFileBytes) {
      return { path, type: 'unreadable', reason: 'it is too large' };
    }
    const bytes = Buffer.alloc(stats.size);
    let length = 0;
    for (let count = -1; count !== 0 && length < bytes.length; length += count) {
      count = readSync(descriptor, bytes, length, bytes.length - length, length);
    }
    const { mode, uid, gid } = stats;
    return { path, type: 'read', bytes: bytes.subarray(0, length), mode: mode & 0o7777, uid, gid };
  } finally {
    closeSync(descriptor);
  }
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}
