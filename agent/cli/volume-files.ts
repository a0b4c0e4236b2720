/**
 * The files of a projected volume, as an `AtomicWriter` lays them out: `..data` leads to the version in use. All files
 * are read from one version, so that a rotation in between does not mix two. Directories without `..data` are read as
 * they are.
 */
import { type Dirent, realpathSync } from 'node:fs';
import { join, sep } from 'node:path';
import { entriesIn } from '../../volumes/files/entries.ts';
import { openRegular } from './bounded-reading.ts';

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

/**
 * Of all files together: twice what the anchors of one source may be, where most volumes hold some ten kilobytes. What is read of
 * them takes up to fifteen times as much, beside the agent, whose memory limit it shares.
 */
const maxBytes = 8 * 1024 * 1024;
/** Files, directories and links; a volume of 256 sources has about a thousand. */
const maxEntries = 4_096;
const maxDepth = 8;
const maxAttempts = 5;

/** @throws Error when the directory cannot be read */
export function readVolumeFiles(directory: string): readonly VolumeFile[] {
  const volume = realpathSync(directory);
  for (let attempt = 1; ; attempt += 1) {
    const version = versionOf(volume);
    const { paths, isCut } = filePaths(version);
    const files = readFiles(volume, version, paths);
    if (isCut) {
      files.push({
        path: '.',
        type: 'unreadable',
        reason: `there are more than ${maxEntries} files and directories; the rest was not looked at`,
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

/** @returns `isCut`: there are more */
function filePaths(root: string): { readonly paths: readonly string[]; readonly isCut: boolean } {
  const paths: string[] = [];
  let looked = 0;
  const walk = (below: string, depth: number): void => {
    const found: Dirent[] = [];
    for (const entry of entriesIn(join(root, below))) {
      looked += 1;
      if (looked > maxEntries) {
        break;
      }
      found.push(entry);
    }
    const named = found.filter(({ name }) => !name.startsWith('..'));
    for (const entry of named.sort((one, other) => (one.name < other.name ? -1 : 1))) {
      const path = below === '' ? entry.name : `${below}/${entry.name}`;
      if (entry.isDirectory() && depth < maxDepth) {
        walk(path, depth + 1);
      } else {
        paths.push(path);
      }
    }
  };
  walk('', 0);
  return { paths, isCut: looked > maxEntries };
}

function readFiles(volume: string, version: string, paths: readonly string[]): VolumeFile[] {
  let left = maxBytes;
  return paths.map((path) => {
    const file = readFile(volume, version, path, left);
    left -= file.type === 'read' ? file.bytes.length : 0;
    return file;
  });
}

function readFile(volume: string, version: string, path: string, most: number): VolumeFile {
  try {
    // A link may lead out of the volume; what is there is none of its files.
    const target = realpathSync(join(version, path));
    if (!target.startsWith(`${volume}${sep}`) && !target.startsWith(`${version}${sep}`)) {
      return { path, type: 'unreadable', reason: 'it leads out of the volume' };
    }
    return readRegularFile(path, target, most);
  } catch (error) {
    return { path, type: 'unreadable', reason: codeOf(error) ?? 'it cannot be read' };
  }
}

function readRegularFile(path: string, target: string, most: number): VolumeFile {
  const { stats, bytes } = openRegular(target, most);
  if (bytes !== undefined) {
    const { mode, uid, gid } = stats;
    return { path, type: 'read', bytes, mode: mode & 0o7777, uid, gid };
  }
  if (stats.isDirectory()) {
    return { path, type: 'unreadable', reason: 'it is a directory that is linked to or lies too deep' };
  }
  const reason = stats.isFile()
    ? `with it, more than ${maxBytes / 1024 / 1024} MiB of the volume would be read`
    : 'it is no regular file';
  return { path, type: 'unreadable', reason };
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}
