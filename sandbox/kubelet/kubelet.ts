/**
 * A kubelet's share in the life of a pod certificate: for the pods bound to its node it publishes the inline volumes of
 * one CSI driver, says that the pods run, and takes volumes and pods down again. Containers are started by a hook.
 *
 * It can be stopped and started again over the same root like a real one: volumes stay where they are, are published
 * again, and those whose pod is gone are unpublished.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { BoundPod } from './pod.ts';
import { type PodWorker, startPodWorker } from './pod-worker.ts';
import { type Backoff, kubeletBackoff } from './retry.ts';
import type { CsiDriver, KubeletApi, KubeletNotice, StartContainers } from './surroundings.ts';
import { findVolumes } from './volume-directory.ts';
import { createVolumeWorker } from './volume-worker.ts';

export interface KubeletOptions {
  readonly nodeName: string;
  /** The kubelet's root directory, absolute. */
  readonly root: string;
  readonly driverName: string;
  readonly driver: CsiDriver;
  readonly api: KubeletApi;
  /** Default: a real kubelet's. */
  readonly backoff?: Backoff | undefined;
  /** How often a pod that runs is looked at, milliseconds. Default: a real kubelet's. */
  readonly syncMs?: number | undefined;
  /** Default: containers are nothing and start at once. */
  readonly startContainers?: StartContainers | undefined;
  readonly onNotice?: ((notice: KubeletNotice) => void) | undefined;
}

/** The kubelet's minute, spread by a half. */
const kubeletSyncMs = 75_000;

export interface Kubelet {
  /** Stops the kubelet: containers are stopped, calls under way are ended, volumes and pods stay. */
  close(): Promise<void>;
}

export function startKubelet(options: KubeletOptions): Kubelet {
  const { nodeName, root, driverName, driver, api } = options;
  const { backoff = kubeletBackoff, syncMs = kubeletSyncMs, onNotice = () => {} } = options;
  const startContainers = options.startContainers ?? (async () => ({ stop: async () => {} }));
  const closing = new AbortController();
  const workers = new Map<string, PodWorker>();
  let cleaning = Promise.resolve();
  const volumeOptions = { driverName, nodeName, driver, api, backoff, closing: closing.signal, onNotice };

  const changed = (pod: BoundPod) => {
    const uid = pod.metadata.uid ?? '';
    const known = workers.get(uid);
    if (known !== undefined) {
      return known.update(pod);
    }
    const worker = startPodWorker(pod, {
      root,
      driverName,
      api,
      backoff,
      untilSync: (signal) => sleep(syncMs, undefined, { signal }),
      startContainers,
      volumeWorker: (volume) => createVolumeWorker(volume, volumeOptions),
      closing: closing.signal,
      onNotice,
    });
    workers.set(uid, worker);
    void worker.finished.finally(() => workers.delete(uid));
  };

  /** Unpublishes what earlier runs left of pods that are no more. */
  const cleanUp = async () => {
    const found = await findVolumes(root, driverName);
    const orphans = [...found].filter(([uid]) => !workers.has(uid)).flatMap(([, volumes]) => volumes);
    await Promise.all(orphans.map((volume) => createVolumeWorker(volume, volumeOptions).unpublish(undefined)));
  };

  let synced = false;
  const unfollow = api.follow(nodeName, {
    changed,
    deleted: (pod) => workers.get(pod.metadata.uid ?? '')?.gone(),
    synced: () => {
      if (synced) {
        return;
      }
      synced = true;
      cleaning = cleanUp().catch((error: unknown) => onNotice({ type: 'problem', message: String(error) }));
    },
  });

  return {
    close: async () => {
      unfollow();
      closing.abort();
      await Promise.allSettled([...workers.values()].map((worker) => worker.finished));
      await cleaning;
    },
  };
}
