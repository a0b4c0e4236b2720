/**
 * Pods that have just been bound to this node and have volumes of this driver, told of before the kubelet publishes these.
 *
 * They are learnt from a list and watch of the node's own pods, made as the node, which is just what the node authorizer
 * allows a node. Pods that were there when the watch began are not told of: how far they have come, nobody knows. Of a pod
 * that has nothing to do with this driver, or has started, nothing is kept.
 *
 * https://kubernetes.io/docs/reference/access-authn-authz/node/
 */
import type { AgentError } from '../base/errors.ts';
import type { BoundPod, BoundPods, InlineVolume } from '../lifecycle/ports.ts';
import type { Clock } from '../time/clock.ts';
import type { ApiClient } from './client.ts';
import { decodedThen } from './decoding.ts';
import { createListWatch, type ListWatch, type ListWatchHealth } from './list-watch.ts';
import type { KubernetesObject } from './objects.ts';
import { corePrefix, resourcePath } from './paths.ts';
import { mirrorAnnotation } from './pod-objects.ts';
import { decodeBoundPod } from './schemas.ts';

export interface BoundPodsOptions {
  readonly client: ApiClient;
  readonly nodeName: string;
  readonly driverName: string;
  /** Must not go back. */
  readonly clock: Clock;
  /** Each failure of the watch. */
  readonly onError: (error: AgentError) => void;
}

export interface BoundPodWatch extends BoundPods {
  /** Undefined while nobody follows, and after a refusal. */
  health(): ListWatchHealth | undefined;
  /** Ends the watch; nobody is told anything afterwards. */
  stop(): void;
}

/** A pod as far as it is kept. */
interface KeptPod extends KubernetesObject {
  /** Undefined where there is nothing to begin for it. */
  readonly bound: BoundPod | undefined;
}

/** How long a refusal is believed before the API server is asked again. */
const refusedForMs = 600_000;
/**
 * Characters of all attributes of a pod's volumes that are kept: more than the checks let pass of one volume, so that what is left
 * out would be refused.
 */
const mostCharacters = 256 * 1024;

export function createBoundPods(options: BoundPodsOptions): BoundPodWatch {
  const { client, nodeName, driverName, clock, onError } = options;
  let copy: ListWatch<KeptPod> | undefined;
  let cancelRetry = (): void => {};

  const close = (): void => {
    cancelRetry();
    copy?.stop();
    copy = undefined;
  };

  return {
    follow(listener) {
      const open = (): void => {
        let isCurrent = false;
        copy = createListWatch<KeptPod>({
          client,
          clock,
          decode: decodedThen(decodeBoundPod, (pod) => keptOf(pod, nodeName, driverName)),
          as: 'node',
          path: async () => resourcePath(corePrefix, { resource: 'pods' }),
          query: { fieldSelector: `spec.nodeName=${nodeName}` },
          keep: (pod) => (pod.bound === undefined ? undefined : pod),
          onError(error) {
            onError(error);
            if (error.code === 'Forbidden') {
              close();
              cancelRetry = clock.at(clock.now() + refusedForMs, open);
            }
          },
        });
        copy.subscribe((event) => {
          if (event.type === 'synced') {
            isCurrent = true;
          } else if (event.type === 'deleted') {
            listener.over(event.object.metadata.uid ?? '');
          } else if (event.type === 'added' && event.object.bound !== undefined && isCurrent) {
            listener.bound(event.object.bound);
          }
        });
      };
      close();
      open();
      return close;
    },
    health: () => copy?.health(),
    stop: close,
  };
}

function keptOf(object: ReturnType<typeof decodeBoundPod>, nodeName: string, driverName: string): KeptPod {
  const { metadata, spec = {}, status } = object;
  const { name, namespace = '', uid = '', resourceVersion } = metadata;
  const kept = { name, namespace, uid, ...(resourceVersion === undefined ? {} : { resourceVersion }) };
  const waits =
    (status?.phase ?? 'Pending') === 'Pending' &&
    metadata.deletionTimestamp === undefined &&
    metadata.annotations?.[mirrorAnnotation] === undefined &&
    spec.nodeName === nodeName &&
    uid !== '' &&
    namespace !== '';
  const volumes = new Map<string, InlineVolume>();
  let characters = 0;
  for (const { name: volumeName, csi } of waits ? (spec.volumes ?? []) : []) {
    if (csi?.driver !== driverName || csi.nodePublishSecretRef !== undefined) {
      continue;
    }
    const attributes = csi.volumeAttributes ?? {};
    characters += Object.entries(attributes).reduce((sum, [key, value]) => sum + key.length + value.length, 0);
    if (characters <= mostCharacters) {
      volumes.set(volumeName, { readOnly: csi.readOnly === true, attributes });
    }
  }
  if (volumes.size === 0) {
    return { metadata: kept, bound: undefined };
  }
  const pod = { namespace, name, uid, serviceAccountName: spec.serviceAccountName ?? 'default' };
  return { metadata: kept, bound: { pod, hostNetwork: spec.hostNetwork === true, volumes } };
}
