/**
 * Tells whether a pod is being deleted while somebody waits for it. One list and watch of this node's pods serves all
 * who ask, and runs only while somebody asks. The node authorizer allows a node just this: to list its own pods, by
 * this selector. An agent that may not list pods does without.
 *
 * https://kubernetes.io/docs/reference/access-authn-authz/node/
 */
import type { PodReference } from '../../volumes/base/volume.ts';
import type { AgentError } from '../base/errors.ts';
import type { NodePods } from '../lifecycle/ports.ts';
import type { Clock } from '../time/clock.ts';
import type { ApiClient } from './client.ts';
import { createListWatch, type ListWatch } from './list-watch.ts';
import type { Pod } from './objects.ts';
import { corePrefix, resourcePath } from './paths.ts';
import { decodePod } from './schemas.ts';

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
      decode: decodePod,
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
    if (found?.metadata.uid === uid && found.metadata.deletionTimestamp === undefined) {
      return;
    }
    followers.delete(follower);
    if (followers.size === 0) {
      close();
    }
    follower.listener();
  };

  return {
    onEnding(pod, listener) {
      const follower = { pod, listener };
      followers.add(follower);
      open();
      // What a watch of others has shown already is told after this call has returned.
      queueMicrotask(() => look(follower));
      return () => {
        if (followers.delete(follower) && followers.size === 0) {
          close();
        }
      };
    },
    stop() {
      followers.clear();
      close();
    },
  };
}
