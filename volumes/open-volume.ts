/**
 * One volume, open for work: its state, and its files by layout and atomic writer. The volume is looked at anew before
 * every change, so that nothing is written where a volume used to be: below an unmounted tmpfs lies a disk.
 */

import { toVolumeError } from './base/errors.ts';
import type { OpenVolume, SourceContent, VolumeRecord } from './base/volume.ts';
import type { Source } from './declaration/types.ts';
import { isComplete, repair, writeAtomically } from './files/atomic-writer.ts';
import { setAccess } from './files/files.ts';
import { holdVolume, type Identity, isSame, lstat, volumeGone } from './files/hold.ts';
import { layOut, type ProjectedFile, sourcePaths, volumeAccess, zeroFiles } from './files/layout.ts';
import { openState } from './state/state.ts';

export interface OpenOptions {
  /** The directory that was found, or made, at the target path; whatever else lies there by now is not the volume. */
  readonly identity: Identity;
  /** False where the agent has no right to give files away; modes are set all the same. */
  readonly setOwners: boolean;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Is told of state that cannot be understood; such state counts as absent. */
  readonly onProblem: (problem: string) => void;
  /** True once the volume was removed by this agent. */
  readonly isRemoved: () => boolean;
  /** Store the record, also where one is stored already. */
  readonly writeRecord: boolean;
}

/**
 * Opens the volume whose root directory is `record.targetPath`, finishes what an interrupted run left half done, and
 * sets the root's mode and owner. @throws VolumeError
 */
export function openVolume(record: VolumeRecord, options: OpenOptions): OpenVolume {
  const root = record.targetPath;
  const access = volumeAccess(record.declaration, record.owner, options.setOwners);
  const { identity } = options;
  const state = prepare(record, access.directory, options);

  /** Every mounted tmpfs has its own device number, so a path that was unmounted or mounted over is another directory. */
  function isInPlace(): boolean {
    return !options.isRemoved() && isSame(lstat(root), identity);
  }

  function assertStillThere(): void {
    if (!isInPlace()) {
      throw volumeGone(root);
    }
  }

  function source(index: number): Source {
    const found = record.declaration.sources[index];
    if (found === undefined) {
      throw new RangeError(`volume ${record.volumeId} has no source ${index}`);
    }
    return found;
  }

  function project(contents: ReadonlyMap<number, SourceContent>): 'written' | 'unchanged' {
    assertStillThere();
    const files: ProjectedFile[] = [];
    try {
      for (const [index, content] of contents) {
        files.push(...layOut(source(index), content, access));
      }
      const others = record.declaration.sources.filter((other) => !contents.has(other.index));
      const keep = others.flatMap((other) => sourcePaths(other));
      const change = { files, keep, directory: access.directory, now: options.now() };
      return holdVolume(root, identity, (held) => writeAtomically(held, change));
    } finally {
      zeroFiles(files);
    }
  }

  const ifThere =
    <Arguments extends unknown[], Result>(method: (...values: Arguments) => Result) =>
    (...values: Arguments): Result => {
      assertStillThere();
      return method(...values);
    };
  return {
    record,
    pending: ifThere(state.pending),
    savePending: ifThere(state.savePending),
    saveAnswer: ifThere(state.saveAnswer),
    readPendingKey: ifThere(state.readPendingKey),
    discardPending: ifThere(state.discardPending),
    current: ifThere(state.current),
    saveCurrent: ifThere(state.saveCurrent),
    currentChain: ifThere(state.currentChain),
    trust: ifThere(state.trust),
    saveTrust: ifThere(state.saveTrust),
    isInPlace,
    isProjected: (index) => {
      const paths = sourcePaths(source(index));
      return isInPlace() && holdVolume(root, identity, (held) => isComplete(held, paths));
    },
    project,
  };
}

function prepare(record: VolumeRecord, directory: Parameters<typeof setAccess>[1], options: OpenOptions) {
  const root = record.targetPath;
  const { identity } = options;
  try {
    const state = openState(root, identity, options.onProblem);
    if (options.writeRecord) {
      state.writeRecord(record);
    }
    state.repair();
    holdVolume(root, identity, (held) => {
      repair(held);
      // Last: until here only the agent can enter a fresh volume.
      setAccess(`${held}/.`, directory);
    });
    return state;
  } catch (error) {
    throw toVolumeError(error, `opening the volume at ${root}`);
  }
}
