/**
 * The scheduler of a cluster with one node: every pod that may run there is bound to it.
 *
 * It looks at what keeps a pod from a node in its own spec (another scheduler, scheduling gates, a nodeSelector), and not at resources,
 * taints or affinity: the sandbox's containers need none of the node.
 * https://kubernetes.io/docs/concepts/scheduling-eviction/kube-scheduler/
 */
import { objectAt, objectsAt, stringAt, stringEntriesAt } from '../base/fields.ts';
import type { ApiObject } from '../base/objects.ts';
import type { Store } from '../storage/store.ts';

/** Binds pods to the node, those that are there and those to come. @returns ends that */
export function startScheduler(store: Store, nodeName: string): () => void {
  const bind = ({ metadata }: ApiObject): void => {
    const pod = store.get('pods', metadata.namespace ?? '', metadata.name ?? '');
    const node = store.get('nodes', '', nodeName);
    if (pod !== undefined && node !== undefined && pod.metadata.uid === metadata.uid && mayRunOn(pod, node)) {
      store.update('pods', { ...pod, spec: { ...objectAt(pod, 'spec'), nodeName } });
    }
  };
  const unsubscribe = store.subscribe(({ resource, type, object }) => {
    if (resource === 'pods' && type !== 'DELETED') {
      // After the write that is under way: its author reads the pod as it was written.
      setImmediate(bind, object);
    }
  });
  for (const pod of store.listAt('pods', undefined, store.revision()) ?? []) {
    bind(pod);
  }
  return unsubscribe;
}

function mayRunOn(pod: ApiObject, node: ApiObject): boolean {
  const spec = objectAt(pod, 'spec');
  const labels = new Map(stringEntriesAt(node.metadata, 'labels'));
  const scheduler = stringAt(spec, 'schedulerName');
  return (
    stringAt(spec, 'nodeName') === '' &&
    pod.metadata['deletionTimestamp'] === undefined &&
    (scheduler === '' || scheduler === 'default-scheduler') &&
    objectsAt(spec, 'schedulingGates').length === 0 &&
    stringEntriesAt(spec, 'nodeSelector').every(([key, value]) => labels.get(key) === value)
  );
}
