/** Notices cheaply that a file may be another one than before. */
import { statSync } from 'node:fs';

/**
 * Changes when the file does, also when a symbolic link on its path is swapped, as in projected volumes. A file that
 * cannot be looked at has the error's code as its mark: whoever reads it is told why, and the looking goes on.
 */
export function markOf(file: string): string {
  try {
    const { dev, ino, size, mtimeMs } = statSync(file);
    return `${dev}:${ino}:${size}:${mtimeMs}`;
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
  }
}
