/**
 * What comes after a change of a volume's files, as an interface: the pod's programs are told of it. `agent/uptake/` does so, for volumes
 * that ask for it.
 */
import type { OpenVolume } from '../../volumes/base/volume.ts';

/** How a program is told. */
export type Way = 'touch' | 'http';

/** What came of telling the programs of a volume's pod. */
export type UptakeNotice =
  | { readonly type: 'reloaded'; readonly way: Way; readonly attempts: number; readonly detail: string }
  | {
      readonly type: 'notReloaded';
      readonly way: Way;
      readonly attempts: number;
      /** Why, in the agent's own words. */
      readonly detail: string;
      /** Absent: it is not tried again before the next change. */
      readonly retryAt?: number;
    };

/** Looks after one volume. */
export interface VolumeUptake {
  /** All files of the volume are in place, and may have changed. Never throws and never waits. */
  settled(): void;
  /** Does nothing more until `settled` is called again. */
  stop(): void;
}

/** @returns undefined for a volume that asks for nothing of the kind */
export type Uptake = (volume: OpenVolume, report: (notice: UptakeNotice) => void) => VolumeUptake | undefined;
