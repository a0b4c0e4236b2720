/**
 * One CSI volume of one pod: published until that succeeds, unpublished until that succeeds, with a kubelet's view of
 * what may be at the target in between.
 *
 *     absent ──── publish: may have happened ──► uncertain
 *     absent, uncertain ──── publish: done ────► mounted
 *     absent, uncertain ──── publish: final error ──► absent, the kubelet's files removed
 *     recovered ──── publish: done ────► mounted; any error ──► recovered
 *     any ──── unpublish: done ────► absent
 */

import { messageOf } from '../base/errors.ts';
import type { BoundPod, PodVolume } from './pod.ts';
import { type Backoff, retry } from './retry.ts';
import type { CsiDriver, CsiResult, HandOver, KubeletApi, KubeletNotice, PublishRequest } from './surroundings.ts';
import { isPrepared, prepareVolume, removeVolume } from './volume-directory.ts';

export interface VolumeWorkerOptions {
  readonly driverName: string;
  readonly nodeName: string;
  readonly driver: CsiDriver;
  readonly api: KubeletApi;
  readonly backoff: Backoff;
  /** Ends calls that are under way: the kubelet stops. */
  readonly closing: AbortSignal;
  readonly onNotice: (notice: KubeletNotice) => void;
}

/**
 * - `absent`: nothing is at the target.
 * - `uncertain`: a publish may have had an effect.
 * - `mounted`: a publish succeeded.
 * - `recovered`: an earlier run of the kubelet began or finished a publish.
 */
type VolumeState = 'absent' | 'uncertain' | 'mounted' | 'recovered';

export interface VolumeWorker {
  /** Publishes until it succeeds. @returns false when `wanted` was aborted before that. */
  publish(pod: BoundPod, wanted: AbortSignal): Promise<boolean>;
  /** Publishes once more while the pod runs, where the driver wants that. @returns false when it does not */
  republish(pod: BoundPod): Promise<boolean>;
  /** Unpublishes until it succeeds and removes the kubelet's own files. @returns false when the kubelet stops. */
  unpublish(pod: BoundPod | undefined): Promise<boolean>;
}

export function createVolumeWorker(volume: PodVolume, options: VolumeWorkerOptions): VolumeWorker {
  const { driverName, nodeName, driver, api, backoff, closing, onNotice } = options;
  let state: VolumeState | undefined;

  const publishOnce = async (pod: BoundPod): Promise<CsiResult> => {
    state ??= (await isPrepared(volume)) ? 'recovered' : 'absent';
    await prepareVolume(volume, driverName, nodeName);
    const result = await driver.publish(publishRequest(pod, volume, await api.handOver(pod, driverName)), closing);
    if (result.type === 'done') {
      state = 'mounted';
    } else if (state === 'absent' || state === 'uncertain') {
      // Where something is still mounted the directory stays, and with it the need to unpublish.
      const removed = result.final && (await removeVolume(volume).then(yes, no));
      state = removed ? 'absent' : 'uncertain';
    }
    return result;
  };

  const unpublishOnce = async (): Promise<CsiResult> => {
    const result = await driver.unpublish(volume.volumeId, volume.targetPath, closing);
    if (result.type === 'error') {
      return result;
    }
    await removeVolume(volume);
    state = 'absent';
    return result;
  };

  /** Runs one attempt; an error of the file system counts like one of the driver. */
  const attempt = async (operation: () => Promise<CsiResult>, onError: (message: string) => Promise<void>) => {
    const result = await operation().catch(
      (error: unknown): CsiResult => ({
        type: 'error',
        final: false,
        message: messageOf(error),
      }),
    );
    if (result.type === 'done') {
      return 'done';
    }
    if (!closing.aborted) {
      await onError(result.message);
    }
    return 'again';
  };

  const attemptPublish = (pod: BoundPod) =>
    attempt(
      () => publishOnce(pod),
      async (message) => {
        onNotice({ type: 'mountFailed', pod, volume: volume.name, message });
        await api.warn(pod, 'FailedMount', `MountVolume.SetUp failed for volume "${volume.name}" : ${message}`);
      },
    );

  return {
    republish: async (pod) => {
      const { isRepeated } = await api.handOver(pod, driverName);
      if (isRepeated) {
        await attemptPublish(pod);
      }
      return isRepeated;
    },
    publish: async (pod, wanted) => {
      const started = performance.now();
      const published = await retry(() => attemptPublish(pod), backoff, wanted);
      const tookMs = performance.now() - started;
      if (published) {
        onNotice({ type: 'mounted', pod, volume: volume.name, tookMs });
      }
      return published;
    },
    unpublish: async (pod) => {
      if (!(await isPrepared(volume))) {
        return true;
      }
      return await retry(
        () =>
          attempt(unpublishOnce, async (message) => {
            const text = `UnmountVolume.TearDown failed for volume "${volume.name}" : ${message}`;
            if (pod !== undefined) {
              await api.warn(pod, 'FailedUnMount', text);
            }
          }),
        backoff,
        closing,
      );
    },
  };
}

const yes = () => true;
const no = () => false;

const handedTokens = 'csi.storage.k8s.io/serviceAccount.tokens';

/** NodePublishVolume's arguments for an inline volume of a driver with `podInfoOnMount`. */
function publishRequest(pod: BoundPod, volume: PodVolume, { tokens }: HandOver): PublishRequest {
  const source = pod.spec?.volumes?.find((each) => each.name === volume.name)?.csi;
  const fsGroup = pod.spec?.securityContext?.fsGroup;
  return {
    volumeId: volume.volumeId,
    targetPath: volume.targetPath,
    readOnly: source?.readOnly ?? false,
    volumeContext: {
      ...source?.volumeAttributes,
      'csi.storage.k8s.io/pod.name': pod.metadata.name,
      'csi.storage.k8s.io/pod.namespace': pod.metadata.namespace ?? 'default',
      'csi.storage.k8s.io/pod.uid': pod.metadata.uid ?? '',
      'csi.storage.k8s.io/serviceAccount.name': pod.spec?.serviceAccountName ?? 'default',
      'csi.storage.k8s.io/ephemeral': 'true',
      ...(tokens?.inSecrets === false ? { [handedTokens]: tokens.text } : {}),
    },
    ...(tokens?.inSecrets === true ? { secrets: { [handedTokens]: tokens.text } } : {}),
    ...(fsGroup === undefined ? {} : { fsGroup }),
  };
}
