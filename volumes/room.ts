/**
 * Finds memory for what is to be written into a volume. The sets of files before the present ones are a courtesy to readers that have
 * not finished: they count like everything else, and where they leave no room for what is new they go, those of the same pod first.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { toVolumeError, VolumeError } from './base/errors.ts';
import type { VolumeRecord } from './base/volume.ts';
import type { Budget, Reservation } from './mounts/budget.ts';

export interface Room {
  /** Sets memory aside. @throws VolumeError OverShare or NoSpace that names the limit */
  reserve(record: VolumeRecord, bytes: number): Promise<Reservation>;
  /** Takes note of what clears away the volume's set of files before the present one; undefined: there is none. */
  onSpare(record: VolumeRecord, clear: (() => void) | undefined): void;
  /** The volume is not there any more. */
  forget(targetPath: string): void;
}

interface Spare {
  readonly podUID: string;
  readonly clear: () => void;
}

/** @param onProblem hears of a set that could not be cleared away; it goes with the volume's next change */
export function createRoom(budget: Budget, onProblem: (targetPath: string, problem: string) => void): Room {
  const spares = new Map<string, Spare>();

  /** Clears one set away. @returns false when there is none that may help */
  function giveUpOne(podUID: string, ofAnyPod: boolean): boolean {
    const all = [...spares];
    const found = all.find(([, spare]) => spare.podUID === podUID) ?? (ofAnyPod ? all[0] : undefined);
    if (found === undefined) {
      return false;
    }
    const [targetPath, spare] = found;
    spares.delete(targetPath);
    try {
      spare.clear();
    } catch (error) {
      onProblem(targetPath, toVolumeError(error, 'clearing files that were replaced').message);
    }
    return true;
  }

  return {
    async reserve({ targetPath, pod }, bytes) {
      for (;;) {
        try {
          return budget.reserve(targetPath, bytes);
        } catch (error) {
          const code = error instanceof VolumeError ? error.code : undefined;
          const isFull = code === 'OverShare' || code === 'NoSpace';
          if (!isFull || !giveUpOne(pod.uid, code === 'NoSpace')) {
            throw error;
          }
        }
        await nextTurn();
      }
    },
    onSpare({ targetPath, pod }, clear) {
      spares.delete(targetPath);
      if (clear !== undefined) {
        spares.set(targetPath, { podUID: pod.uid, clear });
      }
    },
    forget: (targetPath) => void spares.delete(targetPath),
  };
}
