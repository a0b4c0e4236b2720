/**
 * Requests that are of no more use although nobody has removed them: a source of a volume has one request at a time, so
 * when one has served, every other of that source is left over from a removal that failed, from an agent that ended before
 * it, or from a request that was given up.
 */
import type { KubernetesObject } from '../kubernetes/objects.ts';

/** Label that names the pod of a request, by its UID. */
export const podLabel = 'podcert.io/pod-uid';

/** The part of a name that is the same for all requests of one source of a pod: `<volume>-<source>`. */
const ofOneSource = /^(.+)-[0-9a-f]{40}\.[a-z]+$/;

/** The other requests of the same source, among those of the node. */
export function leftovers<T extends KubernetesObject>(served: T, requests: readonly T[]): readonly T[] {
  const { name, namespace, labels } = served.metadata;
  const [, source] = ofOneSource.exec(name) ?? [];
  const pod = labels?.[podLabel];
  if (source === undefined || pod === undefined) {
    return [];
  }
  return requests.filter(
    ({ metadata }) =>
      metadata.name !== name &&
      metadata.namespace === namespace &&
      metadata.labels?.[podLabel] === pod &&
      ofOneSource.exec(metadata.name)?.[1] === source,
  );
}
