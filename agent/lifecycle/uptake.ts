/**
 * What comes after a change of a volume's files, as an interface: the pod's programs are told of it, and it is looked whether they
 * took it up. `agent/uptake/` does so, for volumes that ask for it.
 */
import type { OpenVolume } from '../../volumes/base/volume.ts';

/** How a program is told. */
export type Way = 'touch' | 'http' | 'signal';

/** How the certificate that a program serves stands to the one in its files. */
export interface Served {
  /**
   * - `looking`: the files have changed less than five minutes ago, and the program has not been seen with them.
   * - `current`: it serves the certificate in the files.
   * - `other`: it serves another one, more than five minutes after the change.
   * - `unknown`: for as long it could not be seen what it serves.
   */
  readonly state: 'looking' | 'current' | 'other' | 'unknown';
  /** Milliseconds since the epoch: of the change that it has not been seen with, or, if `current`, when it was seen. */
  readonly since: number;
}

/** What came of telling the programs of a volume's pod, and what they were seen to serve. Times are milliseconds since the epoch. */
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
    }
  /** The program serves a certificate of the files. `wasTold`: something else was said before. */
  | { readonly type: 'servesCurrent'; readonly afterMs: number; readonly wasTold: boolean }
  /** Since the change at `since` it has been seen with no certificate of the files; this one it served last. Said once. */
  | {
      readonly type: 'servesOther';
      readonly since: number;
      readonly serialNumber: string;
      readonly notAfter: number;
      readonly hasExpired: boolean;
    }
  /** It could not be seen what it serves. Said once; `isFinal`: it is not tried again before the next change. */
  | { readonly type: 'notSeen'; readonly since: number; readonly detail: string; readonly isFinal?: true };

/** Looks after one volume. */
export interface VolumeUptake {
  /** All files of the volume are in place, and may have changed. Never throws and never waits. */
  settled(): void;
  /** How the certificate that the program serves stands to the files; undefined where nobody looks, or no change has come yet. */
  served(): Served | undefined;
  /** Does nothing more until `settled` is called again. */
  stop(): void;
}

/** @returns undefined for a volume that asks for nothing of the kind */
export type Uptake = (volume: OpenVolume, report: (notice: UptakeNotice) => void) => VolumeUptake | undefined;
