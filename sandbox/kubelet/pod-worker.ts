/**
 * One pod on the node, from its volumes to its end: volumes, containers, status Running; then containers stopped, volumes
 * unpublished, and the object removed when it was deleted.
 */

import { messageOf } from '../base/errors.ts';
import type { BoundPod } from './pod.ts';
import { type PodVolume, podVolume, wishFor } from './pod.ts';
import { type Backoff, retry } from './retry.ts';
import type { KubeletApi, KubeletNotice, RunningContainers, StartContainers, StatusPatch } from './surroundings.ts';
import type { VolumeWorker } from './volume-worker.ts';

export interface PodWorkerOptions {
  readonly root: string;
  readonly driverName: string;
  readonly api: KubeletApi;
  readonly backoff: Backoff;
  /** Resolves when the pod is looked at again. @throws when the signal is aborted */
  readonly untilSync: (signal: AbortSignal) => Promise<void>;
  readonly startContainers: StartContainers;
  readonly volumeWorker: (volume: PodVolume) => VolumeWorker;
  /** The kubelet stops: nothing new is begun, and volumes stay as they are. */
  readonly closing: AbortSignal;
  readonly onNotice: (notice: KubeletNotice) => void;
}

export interface PodWorker {
  /** The pod as the API server shows it now. */
  update(pod: BoundPod): void;
  /** The object is gone. */
  gone(): void;
  /** Resolves when nothing of the pod is left, or the kubelet has stopped. */
  readonly finished: Promise<void>;
}

export function startPodWorker(first: BoundPod, options: PodWorkerOptions): PodWorker {
  const { root, driverName, api, backoff, closing, onNotice } = options;
  let pod = first;
  let exists = true;
  const ending = new AbortController();
  const deleted = Promise.withResolvers<void>();
  closing.addEventListener('abort', () => deleted.resolve(), { once: true });
  const wanted = AbortSignal.any([ending.signal, closing]);

  const volumes = (first.spec?.volumes ?? [])
    .filter((volume) => volume.csi?.driver === driverName)
    .map((volume) => podVolume(root, first.metadata.uid ?? '', volume.name))
    .map((volume) => ({ volume, worker: options.volumeWorker(volume) }));

  const start = async (): Promise<RunningContainers | undefined> => {
    const published = await Promise.all(volumes.map(({ worker }) => worker.publish(first, wanted)));
    if (published.includes(false)) {
      return undefined;
    }
    const mounts = new Map(volumes.map(({ volume }) => [volume.name, volume.targetPath]));
    let running: RunningContainers | undefined;
    const attempt = async () => {
      try {
        running ??= await options.startContainers(first, mounts);
        await api.patchStatus(first, runningStatus(first));
        return 'done' as const;
      } catch (error) {
        await api.warn(first, 'Failed', `Error: ${messageOf(error)}`);
        return 'again' as const;
      }
    };
    if (await retry(attempt, backoff, wanted)) {
      onNotice({ type: 'running', pod: first });
    }
    return running;
  };

  /** Publishes again and again while the pod runs, at each of its syncs, where the driver wants that. */
  const republish = async () => {
    for (;;) {
      await options.untilSync(wanted).catch(() => undefined);
      if (wanted.aborted) {
        return;
      }
      await Promise.all(volumes.map(({ worker }) => worker.republish(pod).catch(() => false)));
    }
  };

  const run = async () => {
    const running = await start();
    await republish();
    await running?.stop().catch((error: unknown) => api.warn(pod, 'FailedKillPod', String(error)));
    if (closing.aborted) {
      return;
    }
    await Promise.all(volumes.map(({ worker }) => worker.unpublish(exists ? pod : undefined)));
    onNotice({ type: 'stopped', pod });
    await deleted.promise;
    const remove = async () => {
      if (!exists) {
        return 'done' as const;
      }
      return await api.remove(pod).then(
        () => 'done' as const,
        () => 'again' as const,
      );
    };
    await retry(remove, backoff, closing);
  };

  const follow = (changed: BoundPod) => {
    pod = changed;
    const wish = wishFor(changed);
    if (wish.type === 'run') {
      return;
    }
    ending.abort();
    if (wish.deleted) {
      deleted.resolve();
    }
  };
  follow(first);
  return {
    update: follow,
    gone: () => {
      exists = false;
      ending.abort();
      deleted.resolve();
    },
    finished: run().catch((error: unknown) => onNotice({ type: 'problem', message: String(error) })),
  };
}

/** Status of a pod whose containers all run. */
function runningStatus(pod: BoundPod): StatusPatch {
  const now = `${new Date().toISOString().slice(0, 19)}Z`;
  const condition = (type: string) => ({ type, status: 'True', lastTransitionTime: now });
  return {
    phase: 'Running',
    startTime: now,
    conditions: ['Initialized', 'Ready', 'ContainersReady', 'PodScheduled'].map(condition),
    containerStatuses: (pod.spec?.containers ?? []).map((container) => ({
      name: container.name,
      ready: true,
      started: true,
      restartCount: 0,
      image: container.image ?? '',
      imageID: '',
      state: { running: { startedAt: now } },
    })),
  };
}
