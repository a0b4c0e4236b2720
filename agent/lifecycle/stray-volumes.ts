/**
 * Volumes of this node with which something is wrong, looked after until they are right again or gone:
 *
 * - those that cannot be taken up, since what they know about themselves is damaged. It is made anew from what the tenant has no
 *   hand in: the kubelet's notes beside the volume, and the pod as the API server has it;
 * - those whose files somebody damaged while the pod could not be looked up;
 * - those that the kubelet keeps no notes on, which it will never take away.
 *
 * A volume is removed when its pod is gone, which no single look says: the pod is absent from complete lists of the node's pods some
 * time apart, and so are the kubelet's notes; where there are notes it takes longer, since taking the volume away is the
 * kubelet's to do. One list a look, however many volumes.
 */

import { messageOf } from '../../volumes/base/errors.ts';
import { createWorker } from '../../volumes/base/steps.ts';
import type { KubeletNotes, PodReference, UnusableVolume, VolumeStore } from '../../volumes/base/volume.ts';
import type { PublishRequest } from '../../volumes/csi/driver.ts';
import { describeFaults, parseDeclarationInSteps, type Verdict } from '../../volumes/declaration/sources.ts';
import { AgentError } from '../base/errors.ts';
import type { Clock } from '../time/clock.ts';
import type { Reporter } from './notices.ts';
import type { ListedPod, NodePods } from './ports.ts';

/** A volume with which something is wrong. */
export interface Stray extends Pick<UnusableVolume, 'targetPath' | 'podUID' | 'volumeName'> {
  /** What is wrong; undefined where nothing is but that the kubelet has no notes. */
  readonly reason?: string;
  /** How the kubelet asked for the volume, where that is known. */
  readonly request?: PublishRequest;
  /** The pod, where the volume's own record is sound. */
  readonly pod?: PodReference;
}

export interface StrayOptions {
  readonly clock: Clock;
  readonly nodePods: Pick<NodePods, 'list'>;
  readonly store: Pick<VolumeStore, 'kubeletNotes'>;
  readonly report: Reporter;
  readonly onFault: (error: unknown, what: string) => void;
  /** Whether the pod, asked for by its name, is known not to exist. */
  readonly isPodGone: (pod: PodReference, signal: AbortSignal) => Promise<boolean>;
  /** Makes the volume anew, its files in place, and looks after it from then on. @throws when that cannot be */
  readonly heal: (request: PublishRequest, reason: string, signal: AbortSignal) => Promise<void>;
  /** Takes the volume away for good. */
  readonly remove: (stray: Stray) => Promise<void>;
}

export interface StrayVolumes {
  /** Of a volume that is known already only what was not wrong before is news. */
  add(stray: Stray): void;
  /** The kubelet has called for it, or it is looked after again. */
  forget(targetPath: string): void;
  has(targetPath: string): boolean;
  all(): readonly Stray[];
  /** Looks now. */
  look(): void;
  stop(): void;
}

/** Between the first looks; later ones are further apart. */
const lookAgainMs = 60_000;
const longestPauseMs = 600_000;
/** For how long a pod must have been gone. */
const goneForMs = 60_000;
const goneDespiteNotesForMs = 600_000;

interface Attended {
  readonly stray: Stray;
  goneSince?: number | undefined;
  /** The last reason that the pod was told. */
  told?: string;
}

export function createStrayVolumes(options: StrayOptions): StrayVolumes {
  const { clock, nodePods, store, report, onFault } = options;
  const strays = new Map<string, Attended>();
  const worker = createWorker();
  const read = (attributes: Readonly<Record<string, string>>): Promise<Verdict> =>
    worker.carryOut(parseDeclarationInSteps(attributes), () => undefined);
  const stopping = new AbortController();
  const { signal } = stopping;
  let looks = 0;
  let looking = false;
  let cancel = (): void => {};

  const look = async (): Promise<void> => {
    cancel();
    if (looking || strays.size === 0 || signal.aborted) {
      return;
    }
    looking = true;
    try {
      const listed = await list();
      for (const attended of [...strays.values()]) {
        await attend(attended, listed);
      }
    } catch (error) {
      onFault(error, 'a fault while looking after volumes that cannot be taken up');
    }
    looking = false;
    looks += 1;
    lookIn(Math.min(lookAgainMs * 2 ** Math.max(0, looks - 2), longestPauseMs));
  };

  const lookIn = (pauseMs: number): void => {
    cancel();
    if (strays.size > 0 && !signal.aborted) {
      cancel = clock.at(clock.now() + pauseMs, () => void look());
    }
  };

  /** The node's pods, or nothing while they cannot be listed. */
  const list = async (): Promise<ReadonlyMap<string, ListedPod> | undefined> => {
    try {
      return await nodePods.list({ priority: 'refresh', signal });
    } catch (error) {
      if (error instanceof AgentError) {
        return undefined;
      }
      throw error;
    }
  };

  const attend = async (attended: Attended, listed: ReadonlyMap<string, ListedPod> | undefined): Promise<void> => {
    const { stray } = attended;
    if (!isAttended(attended)) {
      return;
    }
    const notes = store.kubeletNotes(stray.targetPath);
    const pod = listed?.get(stray.podUID);
    if (listed !== undefined && pod === undefined && (await isGone(stray))) {
      await removeOnceGoneLong(attended, notes === 'none' ? goneForMs : goneDespiteNotesForMs);
      return;
    }
    if (pod !== undefined) {
      attended.goneSince = undefined;
    }
    if (stray.reason !== undefined) {
      const { request } = stray;
      await heal(attended, stray.reason, request ? { request } : await requestFrom(stray, notes, pod, read));
    } else if (notes !== 'none' && isAttended(attended)) {
      // The kubelet knows it again, and takes it away in its own time.
      strays.delete(stray.targetPath);
    }
  };

  /** False when the volume was taken away, or came right, while something was waited for. */
  const isAttended = (attended: Attended): boolean =>
    strays.get(attended.stray.targetPath) === attended && !signal.aborted;

  const removeOnceGoneLong = async (attended: Attended, forMs: number): Promise<void> => {
    attended.goneSince ??= clock.now();
    if (isAttended(attended) && clock.now() - attended.goneSince >= forMs) {
      await options.remove(attended.stray);
    }
  };

  /** What a list says is confirmed by asking for the pod itself, where its name is known. */
  const isGone = async ({ pod }: Stray): Promise<boolean> =>
    pod === undefined || (await options.isPodGone(pod, signal));

  const heal = async (attended: Attended, reason: string, found: Found | undefined): Promise<void> => {
    if (found === undefined || !isAttended(attended)) {
      return;
    }
    const { request, fault } = found;
    if (fault !== undefined) {
      tell(attended, request, `${reason}; ${fault}`);
      return;
    }
    try {
      await options.heal(request, reason, signal);
    } catch (error) {
      // What passes by itself is not worth telling.
      if (!(error instanceof AgentError && error.actor === 'nobody')) {
        tell(attended, request, `${reason}; ${messageOf(error)}`);
      }
    }
  };

  const tell = (attended: Attended, request: PublishRequest, why: string): void => {
    if (!signal.aborted && attended.told !== why) {
      attended.told = why;
      report({ volume: { ...request, owner: { kind: 'none' } }, type: 'unusable', reason: why });
    }
  };

  return {
    add(stray) {
      const known = strays.get(stray.targetPath)?.stray;
      if (known?.reason === undefined) {
        strays.set(stray.targetPath, { stray: { ...known, ...stray } });
        looks = 0;
        lookIn(lookAgainMs);
      }
    },
    forget: (targetPath) => void strays.delete(targetPath),
    has: (targetPath) => strays.has(targetPath),
    all: () => [...strays.values()].map(({ stray }) => stray),
    look: () => void look(),
    stop() {
      stopping.abort();
      cancel();
      strays.clear();
    },
  };
}

/** How the kubelet asks for a volume, and what is wrong with that. */
interface Found {
  readonly request: PublishRequest;
  readonly fault?: string;
}

/**
 * How the kubelet would ask for the volume: by its own notes and the pod's spec, both out of reach of the pod's containers.
 * @param read reads a declaration, which the pod's author may have made as long as may be
 */
async function requestFrom(
  stray: Stray,
  notes: KubeletNotes | 'none' | 'unreadable',
  listed: ListedPod | undefined,
  read: (attributes: Readonly<Record<string, string>>) => Promise<Verdict>,
): Promise<Found | undefined> {
  const volume = listed?.csiVolumes.get(stray.volumeName);
  if (listed === undefined || volume === undefined || typeof notes === 'string') {
    return undefined;
  }
  if (notes.volumeName !== stray.volumeName || notes.driverName !== volume.driver) {
    return undefined;
  }
  const { targetPath, volumeName } = stray;
  const verdict = await read(volume.attributes);
  const declaration = verdict.ok ? verdict.declaration : { sources: [] };
  const request = { volumeId: notes.volumeId, targetPath, volumeName, pod: listed.pod, declaration };
  return verdict.ok ? { request } : { request, fault: describeFaults(verdict.faults) };
}
