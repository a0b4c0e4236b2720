/**
 * Mounts and unmounts with mount(2) and umount2(2), which koffi calls in the C library on a thread of its own. A program that is started
 * for it costs a hundred times as much, for the copy of the agent's page tables that it begins with.
 *
 * https://man7.org/linux/man-pages/man2/mount.2.html https://koffi.dev
 */
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { getSystemErrorMessage, getSystemErrorName } from 'node:util';
import { contextOption } from '../base/selinux.ts';
import type { MountMeans, MountResult } from './mount-means.ts';

/** Numbers of linux/mount.h. */
const MS_NOSUID = 2;
const MS_NODEV = 4;
const MS_NOEXEC = 8;
const MS_REMOUNT = 32;
const MNT_DETACH = 2;
const UMOUNT_NOFOLLOW = 8;
const flags = MS_NOSUID | MS_NODEV | MS_NOEXEC;

type Value = string | number;
type Done = (error: Error | null, result: number) => void;

/** A function of the C library. */
interface ForeignFunction {
  async(...values: readonly (Value | Done)[]): void;
}

/** What is used of koffi. */
interface Koffi {
  /** @param file null: what the process has loaded anyway, the C library among it */
  load(file: null): { func(declaration: string): ForeignFunction };
  /** Of the call whose result is being handed over. */
  errno(): number;
}

/** @throws Error where koffi is not there for this processor and C library. */
export function withSystemCalls(): MountMeans {
  const { load, errno } = loadKoffi();
  const libc = load(null);
  const mount = libc.func(
    'int mount(const char *source, const char *target, const char *type, unsigned long flags, const char *options)',
  );
  const umount2 = libc.func('int umount2(const char *target, int flags)');
  let last: Promise<unknown> = Promise.resolve();

  const make = (call: ForeignFunction, values: readonly Value[]): Promise<MountResult> =>
    new Promise((resolve, reject) => {
      call.async(...values, (error, result) => {
        if (error !== null) {
          reject(error);
          return;
        }
        resolve(result === 0 ? { ok: true } : { ok: false, message: describe(errno()) });
      });
    });

  /** One call at a time: the kernel makes no two at once, and the threads are there for other work too. */
  const inTurn = (call: ForeignFunction, ...values: readonly Value[]): Promise<MountResult> => {
    // The C library would take such a text for one that ends there.
    if (values.some((value) => typeof value === 'string' && value.includes('\0'))) {
      return Promise.resolve({ ok: false, message: 'a path or option with a NUL in it' });
    }
    const made = last.then(() => make(call, values));
    last = made.catch(() => undefined);
    return made;
  };

  return {
    mount(source, target, options, context) {
      const label = context !== undefined && hasSELinux() ? contextOption(context) : '';
      return inTurn(mount, source, target, 'tmpfs', flags, `${options}${label}`);
    },
    change: (target, options) => inTurn(mount, 'none', target, 'tmpfs', flags | MS_REMOUNT, options),
    unmount: (target) => inTurn(umount2, target, UMOUNT_NOFOLLOW),
    detach: (target) => inTurn(umount2, target, UMOUNT_NOFOLLOW | MNT_DETACH),
  };
}

function describe(errno: number): string {
  return `${getSystemErrorName(-errno)}: ${getSystemErrorMessage(-errno)}`;
}

/** A kernel without SELinux refuses the option. */
function hasSELinux(): boolean {
  return fs.readFileSync('/proc/filesystems', 'latin1').split('\n').includes('nodev\tselinuxfs');
}

function loadKoffi(): Koffi {
  const library = { exports: {} };
  process.dlopen(library, koffiFile());
  return library.exports as Koffi;
}

/** Beside the agent in the image; else in the package for this processor. */
function koffiFile(): string {
  const beside = path.join(import.meta.dirname, 'koffi.node');
  if (fs.existsSync(beside)) {
    return beside;
  }
  const { arch } = process;
  return fileURLToPath(import.meta.resolve(`@koromix/koffi-linux-${arch}/linux_${arch}/koffi.node`));
}
