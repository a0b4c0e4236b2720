/**
 * All volumes of this driver on this node. The mount table (in directory mode: the kubelet's directory tree) is the only
 * record of them; what belongs to a volume lies in the volume.
 *
 * Two modes: `tmpfs` mounts each volume and needs root; `directory` writes into the target directory itself, needs no
 * rights, and keeps keys on whatever disk that is. It is for trying the agent out.
 */
import fs from 'node:fs';
import path from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { messageOf, toVolumeError, VolumeError } from './base/errors.ts';
import { createWorker, type Steps } from './base/steps.ts';
import { createTurns } from './base/turns.ts';
import type { OpenVolume, UnusableVolume, VolumeRecord, VolumeStore } from './base/volume.ts';
import { makeDirectory } from './files/files.ts';
import { type Identity, lstat } from './files/hold.ts';
import { firstSizeBytes, stateRoomBytes } from './files/layout.ts';
import { removeTreeInSteps } from './files/remove.ts';
import { withoutPasswords } from './keystores/make.ts';
import { createBudget, sharesOf } from './mounts/budget.ts';
import { maxEntryBytes } from './mounts/limits.ts';
import { createMounts, type Mounts } from './mounts/mounts.ts';
import { assertNoSymlink, parseTargetPath } from './mounts/target-path.ts';
import { openVolume } from './open-volume.ts';
import { createRoom } from './room.ts';
import { findUnknownToKubelet, readKubeletNotes, scanTargets } from './search.ts';
import { hasState, readRecord } from './state/state.ts';

export interface VolumeStoreOptions {
  /** The kubelet's root directory, absolute and in normal form; it may itself be a symlink. */
  readonly kubeletRoot: string;
  /** CSI driver name; mounts carry it in the mount table. */
  readonly driverName: string;
  readonly mode: 'tmpfs' | 'directory';
  /**
   * Is told of problems that do not stop the agent but that an operator should know of: unreadable state, memory that
   * may be swapped to disk.
   */
  readonly onProblem?: (targetPath: string, problem: string) => void;
  /** The memory limit of the agent's container, bytes; 0: none. Default: what the kernel says. */
  readonly memoryBytes?: number;
  /** The wall clock, milliseconds since the epoch; it names directories. */
  readonly now?: () => number;
}

export function createVolumeStore(options: VolumeStoreOptions): VolumeStore {
  const kubeletRoot = path.resolve(options.kubeletRoot);
  const onProblem = options.onProblem ?? (() => undefined);
  const worker = createWorker();
  const carryOut = (steps: Steps<void>): Promise<void> => worker.carryOut(steps, () => undefined);
  const mounts = options.mode === 'tmpfs' ? createMounts(options.driverName, undefined, carryOut) : undefined;
  const inTurn = createTurns();
  const keystoreTurns = createTurns();
  const budget = createBudget(sharesOf(options.memoryBytes ?? process.constrainedMemory()));
  const room = createRoom(budget, onProblem);
  let saidSwappable = false;
  let saidHandicap = false;
  /** One mark for all open handles on a volume; its kernel's numbers may be given to the next volume at the same path. */
  const marks = new Map<string, { removed: boolean }>();

  function invalidate(targetPath: string): void {
    const mark = marks.get(targetPath);
    if (mark !== undefined) {
      mark.removed = true;
    }
    marks.delete(targetPath);
    budget.forget(targetPath);
    room.forget(targetPath);
  }

  function open(record: VolumeRecord, identity: Identity, writeRecord: boolean): Promise<OpenVolume> {
    const mark = marks.get(record.targetPath) ?? { removed: false };
    marks.set(record.targetPath, mark);
    const { targetPath, pod, declaration } = record;
    budget.add(targetPath, pod.uid, stateRoomBytes(declaration), firstSizeBytes(declaration));
    return openVolume(record, {
      identity,
      worker,
      withRoom: (bytes, entries, work) => withRoom(record, identity, bytes, entries, work),
      onSpare: (clear) => room.onSpare(record, clear),
      inTurn: (work) => inTurn(record.targetPath, work),
      // One of a pod's stands in the line of all at a time, so that many of one pod's are but one ahead of another's.
      inKeystoreLine: (work) => keystoreTurns(`pod ${record.pod.uid}`, () => keystoreTurns('all', work)),
      isRemoved: () => mark.removed,
      setOwners: mounts !== undefined,
      now: options.now ?? Date.now,
      onProblem: (problem) => onProblem(record.targetPath, problem),
      writeRecord,
    });
  }

  /** Lets a tmpfs grow for what is to be written, as far as its pod and the node have memory for it. A directory has no limits. */
  async function withRoom<Result>(
    record: VolumeRecord,
    identity: Identity,
    bytes: number,
    entries: number,
    work: () => Promise<Result>,
  ): Promise<Result> {
    if (mounts === undefined) {
      return await work();
    }
    const { sizeBytes, haveBytes, release } = await room.reserve(record, bytes + entries * maxEntryBytes);
    try {
      const wantedBytes = sizeBytes + stateRoomBytes(record.declaration);
      if (wantedBytes > haveBytes) {
        await mounts.grow(record.targetPath, identity, wantedBytes);
      }
      return await work();
    } finally {
      release();
    }
  }

  async function create(record: VolumeRecord): Promise<OpenVolume> {
    assertRecordFits(kubeletRoot, record, record.targetPath);
    assertNoSymlink(kubeletRoot, record.targetPath);
    const found = await findVolume(record, mounts, realPath(kubeletRoot, record.targetPath), carryOut);
    if (found !== undefined) {
      return await open(record, found.identity, !isDeepStrictEqual(found.record, withoutPasswords(record)));
    }
    invalidate(record.targetPath);
    try {
      if (lstat(record.targetPath) === undefined) {
        makeDirectory(record.targetPath, { mode: 0o750 });
      }
      if (mounts !== undefined) {
        const size = firstSizeBytes(record.declaration);
        if (mounts.handicap !== undefined && !saidHandicap) {
          saidHandicap = true;
          onProblem(record.targetPath, mounts.handicap);
        }
        const memory = await mounts.mount(record.targetPath, size, record.seLinuxContext);
        if (memory === 'swappable' && !saidSwappable) {
          saidSwappable = true;
          onProblem(record.targetPath, 'this kernel has no noswap for tmpfs: keys may be swapped to disk');
        }
      }
      return await open(record, identityOf(record.targetPath), true);
    } catch (error) {
      await remove(record.targetPath).catch((failed) => onProblem(record.targetPath, String(failed)));
      throw error;
    }
  }

  async function remove(targetPath: string): Promise<void> {
    parseTargetPath(kubeletRoot, targetPath);
    assertNoSymlink(kubeletRoot, targetPath);
    // First, so that nothing is written while the unmount is under way.
    invalidate(targetPath);
    // Nor while files are cleared away, which ends with that: what is held open keeps a mount busy.
    await room.settled(targetPath);
    await mounts?.unmountAll(realPath(kubeletRoot, targetPath));
    await carryOut(removeTreeInSteps(targetPath));
  }

  async function recover() {
    const volumes: OpenVolume[] = [];
    const unusable: UnusableVolume[] = [];
    const targets = scanTargets(kubeletRoot, mounts);
    for (const targetPath of targets) {
      // What is damaged waits for nothing, and there may be hundreds of it.
      await nextTurn();
      try {
        assertNoSymlink(kubeletRoot, targetPath);
        const identity = identityOf(targetPath);
        const record = readRecord(targetPath, identity);
        if (record === undefined) {
          throw new VolumeError('Corrupt', `${targetPath} holds no record of its volume`);
        }
        assertRecordFits(kubeletRoot, record, targetPath);
        volumes.push(await open(record, identity, false));
      } catch (error) {
        unusable.push({
          targetPath,
          ...parseTargetPath(kubeletRoot, targetPath),
          reason: messageOf(error),
        });
      }
    }
    return { volumes, unusable, unknownToKubelet: mounts === undefined ? [] : findUnknownToKubelet(targets) };
  }

  return {
    create: (record) =>
      inTurn(record.targetPath, () => create(record)).catch((error) => {
        throw toVolumeError(error, `making the volume at ${record.targetPath}`);
      }),
    recover: () =>
      recover().catch((error) => {
        throw toVolumeError(error, `searching ${kubeletRoot} for volumes`);
      }),
    kubeletNotes: (targetPath) => readKubeletNotes(targetPath, options.driverName),
    remove(targetPath) {
      // At once, so that a write that is under way ends, for which the removal waits.
      invalidate(targetPath);
      return inTurn(targetPath, () => remove(targetPath)).catch((error) => {
        throw toVolumeError(error, `removing the volume at ${targetPath}`);
      });
    },
  };
}

/** A volume at a target path, with its record if that can be read. */
interface Found {
  readonly record: VolumeRecord | undefined;
  readonly identity: Identity;
}

/**
 * Looks for the volume of this record, and clears away what an earlier volume left at its place. A volume whose record is
 * missing or unreadable is taken over as it is: its files may be in use.
 * @returns undefined where there is nothing but perhaps a directory
 */
async function findVolume(
  record: VolumeRecord,
  mounts: Mounts | undefined,
  mountPoint: string,
  carryOut: (steps: Steps<void>) => Promise<void>,
): Promise<Found | undefined> {
  const target = record.targetPath;
  if (lstat(path.dirname(target)) === undefined) {
    throw new VolumeError(
      'NoParent',
      `${path.dirname(target)} does not exist; the kubelet makes it before it publishes`,
    );
  }
  if (mounts === undefined) {
    if (!hasState(target)) {
      return undefined;
    }
    const identity = identityOf(target);
    const stored = readStored(record, identity);
    if (stored !== 'another') {
      return { record: stored, identity };
    }
    await carryOut(removeTreeInSteps(target));
    return undefined;
  }
  for (;;) {
    const layers = mounts.isMounted(mountPoint) ? mounts.at(mountPoint) : [];
    const visible = layers.at(-1);
    if (visible === undefined) {
      return undefined;
    }
    if (!mounts.isOwn(visible)) {
      throw new VolumeError('Foreign', `${target} has a ${visible.fileSystemType} mounted that is not this driver's`);
    }
    const identity = identityOf(target);
    const stored = readStored(record, identity);
    const isOthers = !hasState(target) || (stored === undefined && mounts.isElsewhere(visible));
    const covers = layers.length > 1 && isOthers;
    if (stored !== 'another' && !covers) {
      return { record: stored, identity };
    }
    await mounts.unmount(mountPoint);
  }
}

/**
 * The directory at a path as it is now. What is found out about it holds for this directory only, and so does what is done to it
 * afterwards. @throws VolumeError Gone
 */
function identityOf(root: string): Identity {
  const stats = lstat(root);
  if (!stats?.isDirectory()) {
    throw new VolumeError('Gone', `${root} is not a directory`);
  }
  return { dev: stats.dev, ino: stats.ino };
}

/** The record stored at the target; its contents may differ from this one's, but not its volume. */
function readStored(record: VolumeRecord, identity: Identity): VolumeRecord | 'another' | undefined {
  try {
    const stored = readRecord(record.targetPath, identity);
    if (stored === undefined) {
      return undefined;
    }
    return stored.volumeId === record.volumeId && stored.pod.uid === record.pod.uid ? stored : 'another';
  } catch (error) {
    if (error instanceof VolumeError && error.code === 'Corrupt') {
      return undefined;
    }
    throw error;
  }
}

function assertRecordFits(kubeletRoot: string, record: VolumeRecord, targetPath: string): void {
  const target = parseTargetPath(kubeletRoot, targetPath);
  if (record.targetPath !== targetPath || record.pod.uid !== target.podUID || record.volumeName !== target.volumeName) {
    throw new VolumeError(
      'InvalidTarget',
      `target path ${targetPath} belongs to another pod or volume than its record`,
    );
  }
}

/** The kernel names mount points by their real path, and the kubelet's root may be a symlink. */
function realPath(kubeletRoot: string, targetPath: string): string {
  return path.join(fs.realpathSync(kubeletRoot), path.relative(kubeletRoot, targetPath));
}
