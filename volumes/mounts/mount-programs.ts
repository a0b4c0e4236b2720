/**
 * Mounts and unmounts with the system's own `mount` and `umount`. Starting a program from a process as large as the agent holds up its
 * event loop for milliseconds.
 *
 * https://man7.org/linux/man-pages/man8/mount.8.html
 */
import { execFile } from 'node:child_process';
import { contextOption } from '../base/selinux.ts';
import type { MountMeans, MountResult } from './mount-means.ts';

const commandTimeoutMs = 30_000;
const flags = 'nosuid,nodev,noexec';

/** The programs that mount and unmount, by name or absolute path. */
export interface MountPrograms {
  readonly mount: string;
  readonly umount: string;
}

export const systemPrograms: MountPrograms = { mount: 'mount', umount: 'umount' };

export function withPrograms({ mount, umount }: MountPrograms): MountMeans {
  return {
    mount: (source, target, options, context) =>
      run(mount, ['-t', 'tmpfs', '-o', `${flags},${options}${contextOption(context)}`, source, target]),
    // Not canonical: the path of a directory that is held is what leads to it, and not the name that it had.
    change: (target, options) => run(mount, ['--no-canonicalize', '-o', `remount,${flags},${options}`, target]),
    unmount: (target) => run(umount, [target]),
    detach: (target) => run(umount, ['-l', target]),
  };
}

/** Runs a program without a shell, in the C locale. */
function run(program: string, values: readonly string[]): Promise<MountResult> {
  const options = { timeout: commandTimeoutMs, env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' } };
  return new Promise((resolve) => {
    execFile(program, values, options, (error, _stdout, stderr) => {
      const message = stderr.trim().split('\n', 1)[0];
      resolve(error === null ? { ok: true } : { ok: false, message: message || error.message });
    });
  });
}
