/**
 * What one call of the kubelet to publish a volume is turned into: the record of the volume, and the wait for its files.
 */

import type { FileOwner, VolumeRecord } from '../../volumes/base/volume.ts';
import type { PublishRequest } from '../../volumes/csi/driver.ts';
import { AgentError } from '../base/errors.ts';
import { whyNotReachable } from './order.ts';
import type { PodIdentity } from './ports.ts';
import type { VolumeRunner } from './volume-runner.ts';
import type { VolumeStatus } from './volume-status.ts';

/**
 * What is noted of a new volume: what the kubelet's call says, and whose the files are.
 * @throws AgentError Rejected when the pod cannot have what the declaration asks for
 */
export function recordOf(request: PublishRequest, identity: PodIdentity): VolumeRecord {
  const { volumeId, targetPath, volumeName, pod, declaration, seLinuxContext } = request;
  const why = whyNotReachable(request, identity.podIPs !== undefined);
  if (why !== undefined) {
    const message = `volume ${volumeName} of pod ${pod.namespace}/${pod.name}: ${why}`;
    throw new AgentError('Rejected', message, { actor: 'pod author' });
  }
  const owner = ownerOf(request, identity);
  const label = seLinuxContext === undefined ? {} : { seLinuxContext };
  return { volumeId, targetPath, volumeName, pod, declaration, owner, ...label };
}

/** The volume's owner is the pod's fsGroup (as the kubelet passes it, else as the pod says), else its one user. */
function ownerOf(request: PublishRequest, identity: PodIdentity): FileOwner {
  const gid = request.mountGroup ?? identity.fsGroup;
  if (gid !== undefined) {
    return { kind: 'group', gid };
  }
  return identity.runAsUser === undefined ? { kind: 'none' } : { kind: 'user', uid: identity.runAsUser };
}

/**
 * Waits until the volume is ready, or refused with no other attempt before `answerAt`, or the signal says to wait no longer;
 * gives the status then. Between two calls the kubelet pauses for up to two minutes, and an attempt may succeed meanwhile.
 */
export function settled(
  runner: Pick<VolumeRunner, 'status' | 'onChange'>,
  answerAt: number,
  signal: AbortSignal,
): Promise<VolumeStatus> {
  const isOpen = (status: VolumeStatus): boolean =>
    status.type === 'waiting' || (status.type === 'refused' && status.retryAt < answerAt);
  return new Promise((resolve) => {
    const finish = (): void => {
      stopListening();
      signal.removeEventListener('abort', finish);
      resolve(runner.status());
    };
    const stopListening = runner.onChange(() => {
      if (!isOpen(runner.status())) {
        finish();
      }
    });
    signal.addEventListener('abort', finish);
    if (!isOpen(runner.status()) || signal.aborted) {
      finish();
    }
  });
}
