/**
 * The demonstration's work directory: kubeconfig files, sockets, the kubelet's root with the volumes, the log.
 */
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { removeLeftovers } from './caretaker.ts';

/** Longest path of a unix socket on Linux, without its terminating zero (unix(7)). */
const maxSocketPathBytes = 107;
const longestSocketName = 'csi.sock';
const prefix = 'podcert-';

/**
 * Makes the directory, for its owner alone.
 * @param path absent: a new one below the system's temporary directory
 * @throws Error when there is something in it, which would be removed at the end, or its path is too long for sockets
 */
export async function makeWorkDirectory(path: string | undefined): Promise<string> {
  const directory = path === undefined ? await mkdtemp(join(tmpdir(), prefix)) : resolve(path);
  if (Buffer.byteLength(join(directory, longestSocketName)) > maxSocketPathBytes) {
    if (path === undefined) {
      await rm(directory, { recursive: true });
    }
    throw new Error(`${directory} is too long a path for the sockets in it: choose a shorter one with --dir`);
  }
  await mkdir(directory, { recursive: true, mode: 0o700 });
  if ((await readdir(directory)).length > 0) {
    throw new Error(`${directory} is not empty`);
  }
  return directory;
}

/** Removes what demonstrations that were killed have left below the system's temporary directory. @returns what was removed */
export async function removeLeftWorkDirectories(): Promise<readonly string[]> {
  return await removeLeftovers(tmpdir(), prefix);
}

export async function removeWorkDirectory(directory: string): Promise<void> {
  await rm(directory, { recursive: true, force: true });
}
