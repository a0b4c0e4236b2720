/**
 * Archives that are the same, byte for byte, whoever makes them: names in order, one owner, one time, modes without the umask
 * of whoever made the clone.
 *
 * https://reproducible-builds.org/docs/archives/
 */
import { readdirSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { run } from './programs.ts';

/**
 * A tar archive of what is in a directory.
 * @param epoch seconds since 1970 that all entries carry
 */
export function tar(directory: string, epoch: number): Buffer {
  const sameForAll = ['--owner=0', '--group=0', '--numeric-owner', `--mtime=@${epoch}`, '--mode=u=rwX,go=rX'];
  const names = readdirSync(directory).toSorted();
  return run(
    'tar',
    ['--create', '--format=ustar', '--sort=name', ...sameForAll, `--directory=${directory}`, ...names],
    {
      env: { ...process.env, LC_ALL: 'C', TZ: 'UTC' },
    },
  );
}

/** The same, compressed; the header of gzip has neither a time nor a name. */
export function tarGz(directory: string, epoch: number): Buffer {
  return gzipSync(tar(directory, epoch), { level: 9 });
}
