/**
 * Reads what a pod may have filled. A privileged container can put any number of files of any length into its volume, and whoever
 * inspects that from within the agent's container has the agent's memory to lose.
 */
import { closeSync, constants, fstatSync, openSync, readSync, type Stats } from 'node:fs';

/**
 * Opens without following a link, and without waiting for whoever writes a pipe.
 * @param most bytes; nothing is read of a longer file, or of anything else than a regular one
 */
export function openRegular(path: string, most: number): { readonly stats: Stats; readonly bytes: Buffer | undefined } {
  const descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW);
  try {
    const stats = fstatSync(descriptor);
    return { stats, bytes: stats.isFile() && stats.size <= most ? readAll(descriptor, stats.size) : undefined };
  } finally {
    closeSync(descriptor);
  }
}

/** What is there by now of a file that was so long when it was opened. */
function readAll(descriptor: number, size: number): Buffer {
  const bytes = Buffer.alloc(size);
  let length = 0;
  for (let count = -1; count !== 0 && length < bytes.length; length += count) {
    count = readSync(descriptor, bytes, length, bytes.length - length, length);
  }
  return bytes.subarray(0, length);
}
