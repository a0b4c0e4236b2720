/**
 * The pods of this node. Whether one is being deleted, or has its addresses, while somebody waits for that is learnt from
 * one list and watch of them, however many ask, and only while somebody asks. The node authorizer allows a node just this:
 * to list its own pods, by this selector. An agent that may not list pods does without.
 *
 * https://kubernetes.io/docs/reference/access-authn-authz/node/
 */
import type { PodReference } from '../../volumes/base/volume.ts';
import type { CallOptions } from '../base/call.ts';
import { AgentError } from '../base/errors.ts';
import type { ListedPod, NodePods } from '../lifecycle/ports.ts';
import type { Clock } from '../time/clock.ts';
import type { ApiClient } from './client.ts';
import { pageDecoder } from './envelopes.ts';
import { createListWatch, type ListWatch } from './list-watch.ts';
import type { Pod } from './objects.ts';
import { corePrefix, resourcePath } from './paths.ts';
import { addressesOf, mirrorAnnotation } from './pod-objects.ts';
import { decodeNodePod, decodePodVolumes } from './schemas.ts';

export interface NodePodsOptions {
  readonly client: ApiClient;
  readonly nodeName: string;
  /** Must not go back. */
  readonly clock: Clock;
  /** Each failure of the watch. */
  readonly onError: (error: AgentError) => void;
}

export interface NodePodWatch extends NodePods {
  /** Ends the watch; nobody is told anything afterwards. */
  stop(): void;
}

interface Follower {
  readonly pod: PodReference;
  /** Judges the pod as it is now; undefined: the node has none of its name and UID. */
  readonly hasHappened: (pod: Pod | undefined) => boolean;
  readonly listener: () => void;
}

/** How long a refusal is believed before the API server is asked again. */
const refusedForMs = 600_000;

const resource = 'pods';

export function createNodePods({ client, nodeName, clock, onError }: NodePodsOptions): NodePodWatch {
  const followers = new Set<Follower>();
  let copy: ListWatch<Pod> | undefined;
  let refusedUntil = Number.NEGATIVE_INFINITY;

  const close = (): void => {
    copy?.stop();
    copy = undefined;
  };

  const open = (): void => {
    if (copy !== undefined || clock.now() < refusedUntil) {
      return;
    }
    copy = createListWatch<Pod>({
      client,
      clock,
      decode: decodeNodePod,
      as: 'node',
      path: async () => resourcePath(corePrefix, { resource }),
      query: { fieldSelector: `spec.nodeName=${nodeName}` },
      onError(error) {
        onError(error);
        if (error.code !== 'Forbidden') {
          return;
        }
        refusedUntil = clock.now() + refusedForMs;
        close();
      },
    });
    copy.subscribe((event) => {
      for (const follower of [...followers]) {
        if (event.type === 'synced' || event.object.metadata.name === follower.pod.name) {
          look(follower);
        }
      }
    });
  };

  const look = (follower: Follower): void => {
    if (copy === undefined || !copy.health().synced || !followers.has(follower)) {
      return;
    }
    const { namespace, name, uid } = follower.pod;
    const found = copy.get(`${namespace}/${name}`);
    if (!follower.hasHappened(found?.metadata.uid === uid ? found : undefined)) {
      return;
    }
    followers.delete(follower);
    if (followers.size === 0) {
      close();
    }
    follower.listener();
  };

  /** Let in by its selector; what is cut off, or no list of pods, may lack any of them. */
  const list = async (call: CallOptions): Promise<ReadonlyMap<string, ListedPod>> => {
    const path = resourcePath(corePrefix, { resource });
    const query = { fieldSelector: `spec.nodeName=${nodeName}` };
    const pods = new Map<string, ListedPod>();
    const page = await client.request({
      method: 'GET',
      path,
      query,
      as: 'node',
      ...call,
      decode: pageDecoder(decodePodVolumes),
      // As they come: hundreds of large ones in one turn of the event loop would hold it up.
      onItem(item) {
        const { uids, listed } = listedPod(item);
        for (const uid of uids) {
          pods.set(uid, listed);
        }
      },
    });
    if (page.kind !== 'PodList' || page.items === undefined || page.metadata?.continue) {
      throw new AgentError('Unavailable', 'the list of the pods of this node is incomplete', { actor: 'nobody' });
    }
    return pods;
  };

  const follow = (follower: Follower): (() => void) => {
    followers.add(follower);
    open();
    // What a watch of others has shown already is told after this call has returned.
    queueMicrotask(() => look(follower));
    return () => {
      if (followers.delete(follower) && followers.size === 0) {
        close();
      }
    };
  };

  return {
    list,
    onEnding: (pod, listener) =>
      follow({
        pod,
        listener,
        hasHappened: (found) => found === undefined || found.metadata.deletionTimestamp !== undefined,
      }),
    onAddresses: (pod, listener) =>
      follow({ pod, listener, hasHappened: (found) => found !== undefined && (addressesOf(found) ?? []).length > 0 }),
    stop() {
      followers.clear();
      close();
    },
  };
}

/** A pod of the list, and the UIDs by which the kubelet may know it. */
function listedPod(item: unknown): { readonly uids: readonly string[]; readonly listed: ListedPod } {
  const { metadata, spec } = decodePodVolumes(item);
  const { name, namespace, uid } = metadata;
  if (uid === undefined || namespace === undefined) {
    throw new AgentError('Unavailable', 'a pod in the list of this node has no UID', { actor: 'nobody' });
  }
  const csiVolumes = (spec?.volumes ?? []).flatMap(({ name: volume, csi }) =>
    csi === undefined ? [] : [[volume, { driver: csi.driver, attributes: csi.volumeAttributes ?? {} }] as const],
  );
  const pod = { namespace, name, uid, serviceAccountName: spec?.serviceAccountName ?? 'default' };
  const mirrored = metadata.annotations?.[mirrorAnnotation];
  return {
    uids: mirrored === undefined ? [uid] : [uid, mirrored],
    listed: { pod, csiVolumes: new Map(csiVolumes) },
  };
}
