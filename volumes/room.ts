/**
 * Finds memory for what is to be written into a volume. The sets of files before the present ones are a courtesy to readers that have
 * not finished: they count like everything else, and where they leave no room for what is new they go, those of the same pod first.
 *
 * Clearing takes many turns of the event loop, and does not wait for other work on its volume, which may be waiting for room itself.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { toVolumeError, VolumeError } from './base/errors.ts';
import type { VolumeRecord } from './base/volume.ts';
import type { Budget, Reservation } from './mounts/budget.ts';

export interface Room {
  /** Sets memory aside. @throws VolumeError OverShare or NoSpace that names the limit */
  reserve(record: VolumeRecord, bytes: number): Promise<Reservation>;
  /** Takes note of what clears away the volume's set of files before the present one; undefined: there is none. */
  onSpare(record: VolumeRecord, clear: Clear | undefined): void;
  /** The volume is not there any more. */
  forget(targetPath: string): void;
  /** Ends once nothing of the volume is being cleared away for room. */
  settled(targetPath: string): Promise<void>;
}

/** Takes the set, so that nobody else clears it, and clears it away in steps. */
export type Clear = () => Promise<void>;

interface Spare {
  readonly podUID: string;
  readonly clear: Clear;
}

/** A set that is being cleared away. */
interface Clearing {
  readonly podUID: string;
  readonly ended: Promise<void>;
}

/** @param onProblem hears of a set that could not be cleared away; it goes with the volume's next change */
export function createRoom(budget: Budget, onProblem: (targetPath: string, problem: string) => void): Room {
  const spares = new Map<string, Spare>();

  /** Those that are being cleared away, which are no spares any more. */
  const clearings = new Map<string, Clearing>();

  async function clearAway(targetPath: string, { clear }: Spare): Promise<void> {
    try {
      await clear();
    } catch (error) {
      onProblem(targetPath, toVolumeError(error, 'clearing files that were replaced').message);
    }
  }

  /** One set at a time: what goes for somebody else may be enough. @returns the end of its clearing; undefined where none may help */
  function giveUpOne(podUID: string, ofAnyPod: boolean): Promise<void> | undefined {
    const begun = [...clearings.values()].find((clearing) => ofAnyPod || clearing.podUID === podUID);
    if (begun !== undefined) {
      return begun.ended;
    }
    const all = [...spares];
    const found = all.find(([, spare]) => spare.podUID === podUID) ?? (ofAnyPod ? all[0] : undefined);
    if (found === undefined) {
      return undefined;
    }
    const [targetPath, spare] = found;
    spares.delete(targetPath);
    const ended = clearAway(targetPath, spare).finally(() => clearings.delete(targetPath));
    clearings.set(targetPath, { podUID: spare.podUID, ended });
    return ended;
  }

  return {
    async reserve({ targetPath, pod }, bytes) {
      for (;;) {
        try {
          return budget.reserve(targetPath, bytes);
        } catch (error) {
          const code = error instanceof VolumeError ? error.code : undefined;
          const isFull = code === 'OverShare' || code === 'NoSpace';
          const cleared = isFull ? giveUpOne(pod.uid, code === 'NoSpace') : undefined;
          if (cleared === undefined) {
            throw error;
          }
          await cleared;
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
    settled: async (targetPath) => await clearings.get(targetPath)?.ended,
  };
}
