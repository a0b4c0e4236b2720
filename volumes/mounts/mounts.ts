/**
 * Mounts and unmounts the tmpfs of a volume.
 *
 * https://www.kernel.org/doc/html/latest/filesystems/tmpfs.html
 */
import fs from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { messageOf, VolumeError } from '../base/errors.ts';
import { atOnce, type Steps } from '../base/steps.ts';
import { holdVolumeFor, type Identity, lstat } from '../files/hold.ts';
import { removeContents } from '../files/remove.ts';
import { withSystemCalls } from './mount-calls.ts';
import type { MountMeans } from './mount-means.ts';
import { lookAtMountPoint } from './mount-point.ts';
import { type MountPrograms, systemPrograms, withPrograms } from './mount-programs.ts';
import { deviceOf, isMountedElsewhere, type MountEntry, mountsAt, readMountTable } from './mount-table.ts';

const tmpfsMagic = 0x0102_1994;
const busyRetries = 3;
const busyPauseMs = 100;
/** More mounts than this on one path are no accident, and unmounting them is no cure. */
const maxLayers = 32;
/** Room beyond what is asked for, so that a volume does not grow at each of its changes. */
const slackBytes = 256 * 1024;

export interface Mounts {
  /** Why mounting takes longer than it need, where it does. */
  readonly handicap: string | undefined;
  /** True when something is mounted at this path. */
  isMounted(target: string): boolean;
  /** The mounts at this path, the visible one last. */
  at(target: string): readonly MountEntry[];
  /** All mounts that carry this driver's name. */
  own(): readonly MountEntry[];
  isOwn(entry: MountEntry): boolean;
  /** True when the same file system is also mounted at a path outside of this one. */
  isElsewhere(entry: MountEntry): boolean;
  /**
   * Mounts a tmpfs that only the agent can enter. @param context the SELinux context of all its files. @returns 'swappable' when the kernel knows no `noswap` (before 6.4).
   * @throws VolumeError MountFailed
   */
  mount(target: string, sizeBytes: number, context?: string): Promise<'noswap' | 'swappable'>;
  /**
   * Lets a volume's tmpfs hold so many bytes; one that may hold more stays as it is. No other file system, whatever is mounted at its
   * path meanwhile. @throws VolumeError MountFailed, Gone
   */
  grow(target: string, volume: Identity, sizeBytes: number): Promise<void>;
  /** Takes off the visible mount. @throws VolumeError UnmountFailed */
  unmount(target: string): Promise<void>;
  /** Takes off every mount at this path. @throws VolumeError UnmountFailed */
  unmountAll(target: string): Promise<void>;
}

/**
 * @param source the name that the mounts carry in the mount table: the driver's.
 * @param carryOut takes the steps in which files are removed. Default: all at once
 * @param programs what mounts and unmounts; absent: system calls, and the system's programs only where there is nothing to make them with
 */
export function createMounts(
  source: string,
  programs?: MountPrograms,
  carryOut: (steps: Steps<void>) => Promise<void> = async (steps) => atOnce(steps),
): Mounts {
  const { means, handicap } =
    programs === undefined ? usualMeans() : { means: withPrograms(programs), handicap: undefined };
  const isOwn = (entry: MountEntry) => entry.fileSystemType === 'tmpfs' && entry.source === source;
  const at = (target: string) => mountsAt(readMountTable(), target);
  const isMounted = (target: string): boolean => {
    const found = lookAtMountPoint(target);
    return found === 'unclear' ? at(target).length > 0 : found === 'mounted';
  };

  async function mount(target: string, sizeBytes: number, context?: string): Promise<'noswap' | 'swappable'> {
    const options = `size=${kibibytes(sizeBytes)},mode=0700`;
    const first = await means.mount(source, target, `${options},noswap`, context);
    const last = first.ok ? first : await means.mount(source, target, options, context);
    if (!last.ok) {
      throw new VolumeError('MountFailed', `mounting a tmpfs at ${target}: ${last.message}`);
    }
    if (fs.statfsSync(target).type !== tmpfsMagic) {
      throw new VolumeError('MountFailed', `a tmpfs was mounted at ${target} and cannot be seen there`);
    }
    return first.ok ? 'noswap' : 'swappable';
  }

  async function grow(target: string, volume: Identity, sizeBytes: number): Promise<void> {
    await holdVolumeFor(target, volume, async (held) => {
      const { blocks, bsize } = fs.statfsSync(held);
      if (blocks * bsize >= sizeBytes) {
        return;
      }
      const options = `size=${kibibytes(sizeBytes + slackBytes)}`;
      // Kernels that know `noswap` want to be told of it again.
      const first = await means.change(held, `${options},noswap`);
      const result = first.ok ? first : await means.change(held, options);
      if (!result.ok) {
        throw new VolumeError('MountFailed', `making the tmpfs at ${target} larger: ${result.message}`);
      }
    });
  }

  async function unmount(target: string): Promise<void> {
    // Mounts have real paths: what is none of them may be a link, which `umount` would follow.
    if (isMounted(target)) {
      await takeOff(target);
    }
  }

  /** @param target was seen to be a mount just now */
  async function takeOff(target: string): Promise<void> {
    let result = await means.unmount(target);
    for (let attempt = 1; !result.ok && attempt < busyRetries && isMounted(target); attempt += 1) {
      await delay(busyPauseMs);
      result = await means.unmount(target);
    }
    if (result.ok || !isMounted(target)) {
      return;
    }
    await detach(target, result.message);
  }

  /**
   * The last resort, for a mount that a process on the node keeps busy. The pod is gone, so the files are cleared first: keys
   * must not live on in a file system that nobody can name any more. Unless it can be named: a container that may mount may
   * have put another pod's volume here, and what belongs to nobody else is mounted nowhere else. Then the mount leaves the tree, and the kernel frees it
   * when that process lets go. Refusing instead would keep the kubelet from ever finishing the pod.
   */
  async function detach(target: string, reason: string): Promise<void> {
    const table = readMountTable();
    const visible = mountsAt(table, target).at(-1);
    const isWhole = visible?.root === '/' && isOwn(visible) && !isMountedElsewhere(table, visible);
    const root = lstat(target);
    // What was mounted over it since the table was read is not what the table speaks of.
    if (isWhole && root !== undefined && deviceOf(root) === visible.device) {
      await carryOut(removeContents(target, root.dev));
    }
    const result = await means.detach(target);
    if (!result.ok && isMounted(target)) {
      throw new VolumeError('UnmountFailed', `unmounting ${target}: ${reason}; detaching it: ${result.message}`);
    }
  }

  async function unmountAll(target: string): Promise<void> {
    for (let layer = 0; isMounted(target); layer += 1) {
      if (layer === maxLayers) {
        throw new VolumeError('UnmountFailed', `${target} is mounted again and again`);
      }
      await takeOff(target);
    }
  }

  const isElsewhere = (entry: MountEntry) => isMountedElsewhere(readMountTable(), entry);
  const own = () => readMountTable().filter(isOwn);
  return {
    handicap,
    isMounted,
    at,
    own,
    isOwn,
    isElsewhere,
    mount,
    grow,
    unmount,
    unmountAll,
  };
}

/** As mount(8) takes sizes. */
function kibibytes(bytes: number): string {
  return `${Math.ceil(bytes / 1024)}k`;
}

function usualMeans(): { readonly means: MountMeans; readonly handicap: string | undefined } {
  try {
    return { means: withSystemCalls(), handicap: undefined };
  } catch (error) {
    const handicap = `what calls mount(2) cannot be loaded, so that a program is started for every mount: ${messageOf(error)}`;
    return { means: withPrograms(systemPrograms), handicap };
  }
}
