/**
 * All volumes of this node: what the kubelet's publish and unpublish calls do, and what an earlier run of the agent left.
 *
 * No list of volumes is kept beside the volumes themselves: a map in memory holds those that are looked after, and the
 * store finds them again after a restart.
 */

import { messageOf } from '../../volumes/base/errors.ts';
import { createTurns } from '../../volumes/base/turns.ts';
import type { OpenVolume, PodReference, UnusableVolume, VolumeRecord, VolumeStore } from '../../volumes/base/volume.ts';
import type { PublishOutcome, PublishRequest, VolumeDriver } from '../../volumes/csi/driver.ts';
import { AgentError } from '../base/errors.ts';
import { createOneATurn } from '../base/one-a-turn.ts';
import type { Ahead } from './ahead.ts';
import type { CredentialSnapshot, Notice } from './notices.ts';
import type { NodePods, PodDirectory, TokenDesk } from './ports.ts';
import { recordOf, settled } from './publish-call.ts';
import type { Relief } from './relief.ts';
import { createStrayVolumes } from './stray-volumes.ts';
import type { Served } from './uptake.ts';
import { findingsOf, unusable } from './volume-health.ts';
import { runVolume, type VolumeDependencies, type VolumeRunner } from './volume-runner.ts';
import type { VolumeSnapshot } from './volume-status.ts';

/** How long before its deadline a publish call answers, so that the answer arrives in time. */
const answerMarginMs = 2_000;

/** A publish call that takes longer than this asks whether its pod is still wanted. */
const momentMs = 1_000;

export interface VolumeManagerOptions extends VolumeDependencies {
  readonly store: VolumeStore;
  readonly pods: PodDirectory;
  readonly nodePods: NodePods;
  /** Issuance ahead of publish calls; absent: there is none. */
  readonly ahead?: Ahead;
  /** Where tokens go that the kubelet hands over; absent: nobody wants them. */
  readonly tokens?: TokenDesk;
  /** Whether the agent can serve: its watches are synced. */
  readonly ready: () => boolean;
  /** Why answers to these requests cannot arrive, where something keeps them away; told to pods that wait. */
  readonly hindrance?: (requestNames: readonly string[]) => string | undefined;
}

export interface VolumeManager extends VolumeDriver {
  /** Takes up the volumes that an earlier run left; to be called once, before the first publish. */
  recover(): Promise<{ readonly adopted: number; readonly unusable: readonly UnusableVolume[] }>;
  /** Number of volumes. */
  count(): number;
  /** Number of volumes of an earlier run that could not be taken up, and that the kubelet has not called for since. */
  unusable(): number;
  /** Every credential as it stands. */
  credentials(): readonly CredentialSnapshot[];
  /** Since when each volume waits that waits for trust anchors only. */
  anchorWaits(): readonly number[];
  /** What is known of each volume whose program is looked at. */
  served(): readonly Served['state'][];
  /** Every volume as it stands. */
  describe(): readonly VolumeSnapshot[];
  /**
   * Something has changed for the better: whoever pauses after a failure that it may help tries again.
   * @param pod absent: those of every pod
   * @returns whom it helps, as they stand now
   */
  relieve(relief: Relief, pod?: PodName): readonly CredentialSnapshot[];
  /** Stops all work and leaves every volume as it is. */
  stop(): void;
}

/** A pod as people name it. */
export type PodName = Pick<PodReference, 'namespace' | 'name'>;

interface Running {
  readonly runner: VolumeRunner;
  /** Aborted when the volume is unpublished or the agent stops: whoever waits for the volume waits no longer. */
  readonly over: AbortController;
}

export function createVolumeManager(options: VolumeManagerOptions): VolumeManager {
  const { store, pods, nodePods, clock, ready, hindrance, onFault } = options;
  const running = new Map<string, Running>();
  /** By target path: volumes that are looked after no more, until they are removed, which may take more than one call. */
  const leaving = new Map<string, VolumeRecord>();
  let stopped = false;
  const oneATurn = createOneATurn((fault) => onFault(fault, 'a fault while looking after volumes'));
  /** By target path: mounting and unmounting there. */
  const inTurn = createTurns();

  const relieve = (relief: Relief, pod?: PodName): readonly CredentialSnapshot[] => {
    if (relief.type === 'apiServerHeard' || relief.type === 'operatorAsks') {
      strays.look();
    }
    return [...running.values()].flatMap(({ runner }) => {
      const { namespace, name } = runner.record.pod;
      const isConcerned = pod === undefined || (pod.namespace === namespace && pod.name === name);
      return isConcerned ? runner.relieve(relief) : [];
    });
  };

  const report = (notice: Notice): void => {
    options.report(notice);
    if (notice.type === 'answered') {
      relieve({ type: 'signerAnswered', signerName: notice.signerName });
    }
  };

  const run = (volume: OpenVolume): Running => {
    const entry = { runner: runVolume(volume, { ...options, report }, oneATurn), over: new AbortController() };
    running.set(volume.record.targetPath, entry);
    options.ahead?.called(volume.record.pod);
    strays.forget(volume.record.targetPath);
    return entry;
  };

  /** A volume that fails keeps no other from being taken up. */
  const takeUp = (volume: OpenVolume): UnusableVolume | undefined => {
    try {
      run(volume);
      return undefined;
    } catch (error) {
      const { targetPath, volumeName, pod } = volume.record;
      return { targetPath, podUID: pod.uid, volumeName, reason: messageOf(error) };
    }
  };

  const halt = ({ runner, over }: Running, isRemoved = false): void => {
    runner.stop(isRemoved);
    over.abort();
  };

  /** The running volume, or a new one for a pod that exists. */
  const open = async (request: PublishRequest, signal: AbortSignal): Promise<Running> => {
    const present = running.get(request.targetPath);
    if (present?.runner.isIntact()) {
      present.runner.relieve({ type: 'podWanted' });
      if (options.tokens !== undefined) {
        present.runner.relieve({ type: 'tokensHandedOver' });
      }
      return present;
    }
    if (present === undefined) {
      return create(request, signal);
    }
    // Somebody unmounted it or removed its files behind the agent's back: it is made anew.
    try {
      return await create(request, signal);
    } catch (error) {
      const { targetPath, volumeName, pod } = request;
      strays.add({ targetPath, podUID: pod.uid, volumeName, reason: 'its files are damaged', request, pod });
      throw error;
    }
  };

  /** Makes the volume anew where it is damaged. What there is stays in use until the pod is known. */
  const create = async (request: PublishRequest, signal: AbortSignal): Promise<Running> => {
    const identity = await pods.identify(request.pod, { priority: 'first', signal });
    const damaged = running.get(request.targetPath);
    if (damaged !== undefined) {
      halt(damaged);
      running.delete(request.targetPath);
    }
    const volume = await store.create(recordOf(request, identity));
    // The next agent finds what has just been made.
    if (stopped) {
      throw new AgentError('Unavailable', 'the agent is shutting down', { actor: 'nobody' });
    }
    const entry = run(volume);
    report({ volume: volume.record, type: 'publishing' });
    const containers = identity.subPathMounts?.get(request.volumeName);
    if (containers !== undefined) {
      report({ volume: volume.record, type: 'mountedBySubPath', containers });
    }
    return entry;
  };

  const publish = async (request: PublishRequest, deadline: number, signal: AbortSignal): Promise<PublishOutcome> => {
    const startedAt = clock.now();
    const timeUp = new AbortController();
    options.ahead?.called(request.pod);
    options.tokens?.take(request.pod, signersOf(request), request.tokens);
    const answerAt = deadline - answerMarginMs;
    const cancelAlarm = clock.at(answerAt, () => timeUp.abort());
    const patience = AbortSignal.any([signal, timeUp.signal]);
    // The kubelet does not unmount while its publish call is under way, so a pod that was deleted would stay.
    let unfollow = (): void => {};
    const cancelMoment = clock.at(startedAt + momentMs, () => {
      unfollow = nodePods.onEnding(request.pod, () => timeUp.abort());
    });
    try {
      const { runner, over } = await inTurn(request.targetPath, () => open(request, patience));
      return await outcome(runner, request, { startedAt, answerAt }, AbortSignal.any([patience, over.signal]));
    } catch (error) {
      if (error instanceof AgentError) {
        return { type: 'unavailable', message: error.message };
      }
      throw error;
    } finally {
      cancelAlarm();
      cancelMoment();
      unfollow();
    }
  };

  const outcome = async (
    runner: VolumeRunner,
    request: PublishRequest,
    { startedAt, answerAt }: { readonly startedAt: number; readonly answerAt: number },
    signal: AbortSignal,
  ): Promise<PublishOutcome> => {
    const { volumeId, pod } = runner.record;
    if (volumeId !== request.volumeId || pod.uid !== request.pod.uid) {
      const owner = `volume ${volumeId} of pod ${pod.namespace}/${pod.name} (${pod.uid})`;
      return { type: 'invalid', message: `target_path ${request.targetPath} is in use by ${owner}` };
    }
    const wasReady = runner.status().type === 'ready';
    const status = await settled(runner, answerAt, signal);
    if (status.type === 'ready' && !wasReady) {
      report({ volume: runner.record, type: 'published', tookMs: Math.max(0, clock.now() - startedAt) });
    }
    if (status.type === 'ready') {
      return status;
    }
    const { type, message } = status;
    const requests = runner.snapshot().flatMap(({ requestName }) => requestName ?? []);
    const why = type === 'waiting' ? hindrance?.(requests) : undefined;
    return { type, message: why === undefined ? message : `${message}; ${why}` };
  };

  const forgetTokens = (pod: PodReference): void => {
    if (![...running.values()].some(({ runner }) => runner.record.pod.uid === pod.uid)) {
      options.tokens?.forget(pod);
    }
  };

  const unpublish = async (targetPath: string): Promise<void> => {
    const entry = running.get(targetPath);
    if (entry !== undefined) {
      halt(entry, true);
      running.delete(targetPath);
      leaving.set(targetPath, entry.runner.record);
    }
    await store.remove(targetPath);
    strays.forget(targetPath);
    const record = leaving.get(targetPath);
    if (record !== undefined) {
      leaving.delete(targetPath);
      forgetTokens(record.pod);
      report({ volume: record, type: 'unpublished' });
    }
  };

  const strays = createStrayVolumes({
    clock,
    nodePods,
    store,
    report,
    onFault,
    isPodGone: (pod, signal) => isGone(pods, pod, signal),
    heal: (request, reason, signal) =>
      inTurn(request.targetPath, async () => {
        if (running.get(request.targetPath)?.runner.isIntact()) {
          strays.forget(request.targetPath);
          return;
        }
        const { runner } = await open(request, signal);
        report({ volume: runner.record, type: 'healed', reason });
      }),
    remove: ({ targetPath }) =>
      inTurn(targetPath, () => unpublish(targetPath)).catch((error: unknown) =>
        onFault(error, `the volume at ${targetPath}, which no pod has any more, could not be removed`),
      ),
  });

  return {
    publish,
    holds: (targetPath) => running.has(targetPath) || strays.has(targetPath),
    health(volumeId, targetPath) {
      const entry =
        targetPath === undefined
          ? [...running.values()].find(({ runner }) => runner.record.volumeId === volumeId)
          : running.get(targetPath);
      if (entry !== undefined) {
        return entry.runner.record.volumeId === volumeId ? findingsOf(entry.runner.snapshot()) : undefined;
      }
      return targetPath !== undefined && strays.has(targetPath) ? unusable : undefined;
    },
    unpublish: (_volumeId, targetPath) => inTurn(targetPath, () => unpublish(targetPath)),
    ready,
    async recover() {
      const { volumes, unusable, unknownToKubelet = [] } = await store.recover();
      const broken = volumes.flatMap((volume) => takeUp(volume) ?? []);
      const left = [...unusable, ...broken];
      for (const stray of left) {
        strays.add(stray);
      }
      for (const targetPath of unknownToKubelet) {
        const record = running.get(targetPath)?.runner.record;
        if (record !== undefined) {
          strays.add({ targetPath, podUID: record.pod.uid, volumeName: record.volumeName, pod: record.pod });
        }
      }
      strays.look();
      options.ahead?.start();
      return { adopted: volumes.length - broken.length, unusable: left };
    },
    count: () => running.size,
    unusable: () => strays.all().filter(({ targetPath }) => !running.has(targetPath)).length,
    credentials: () => [...running.values()].flatMap(({ runner }) => runner.snapshot()),
    anchorWaits: () => [...running.values()].flatMap(({ runner }) => runner.waitsForAnchorsSince() ?? []),
    served: () => [...running.values()].flatMap(({ runner }) => runner.served()?.state ?? []),
    describe: () =>
      [...running.values()].map(({ runner }) => {
        const waitsForAnchorsSince = runner.waitsForAnchorsSince();
        const served = runner.served();
        return {
          volume: runner.record,
          status: runner.status(),
          credentials: runner.snapshot(),
          expiredAnchors: runner.expiredAnchors(),
          trustDomains: runner.trustDomains(),
          ...(waitsForAnchorsSince === undefined ? {} : { waitsForAnchorsSince }),
          ...(served === undefined ? {} : { served }),
        };
      }),
    relieve,
    stop() {
      stopped = true;
      options.ahead?.stop();
      strays.stop();
      for (const entry of running.values()) {
        halt(entry);
      }
      running.clear();
    },
  };
}

/** Whether the pod is known not to exist. */
async function isGone(pods: PodDirectory, pod: PodReference, signal: AbortSignal): Promise<boolean> {
  try {
    await pods.identify(pod, { priority: 'refresh', signal });
    return false;
  } catch (error) {
    return error instanceof AgentError && error.code === 'PodGone';
  }
}

function signersOf({ declaration }: PublishRequest): readonly string[] {
  const { sources } = declaration;
  return sources.flatMap((source) => (source.kind === 'podCertificate' ? [source.signerName] : []));
}
