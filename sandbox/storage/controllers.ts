/**
 * What a controller manager does in a real cluster and the sandbox needs: default service accounts, collection of
 * dependents whose owners are gone, and the removal of old PodCertificateRequests and events.
 *
 * https://kubernetes.io/docs/concepts/architecture/garbage-collection/
 */
import { randomUUID } from 'node:crypto';
import type { ApiObject, GroupResource } from '../base/objects.ts';
import type { Api } from './api.ts';
import { timestamp } from './metadata.ts';
import { podCertificateRequests } from './resources.ts';
import type { StoreEvent } from './store.ts';

const minuteMs = 60_000;
/** Ages at which objects are removed, on a real cluster. */
const lifetimesMs: ReadonlyMap<GroupResource, number> = new Map([
  [podCertificateRequests, 15 * minuteMs],
  ['events', 60 * minuteMs],
]);
/** How often that is looked at, on a real cluster. */
const sweepIntervalMs = 5 * minuteMs;

export interface Controllers {
  /** Removes what is older than its lifetime now, without waiting for the next sweep. */
  sweep(): void;
  stop(): void;
}

export function startControllers(api: Api): Controllers {
  const { store } = api;
  const immediates = new Set<NodeJS.Immediate>();
  /** Controllers learn of changes a moment later, through watches. */
  const soon = (work: () => void): void => {
    const immediate = setImmediate(() => {
      immediates.delete(immediate);
      work();
    });
    immediates.add(immediate);
  };
  const sweep = (): void => {
    for (const [resource, lifetimeMs] of lifetimesMs) {
      for (const object of store.list(resource)) {
        const age = api.now() - Date.parse(object.metadata.creationTimestamp ?? '');
        if (age > lifetimeMs / api.timeScale) {
          store.remove(resource, object.metadata.namespace ?? '', object.metadata.name ?? '');
        }
      }
    }
  };
  const unsubscribe = store.subscribe((event) => {
    const owners = event.object.metadata.ownerReferences ?? [];
    if (event.type === 'ADDED' && event.resource === 'namespaces') {
      soon(() => createDefaultServiceAccount(api, event.object.metadata.name ?? ''));
    }
    if (event.type === 'ADDED' && owners.length > 0) {
      soon(() => collectOrphan(api, event));
    }
    if (event.type === 'DELETED') {
      soon(() => collectDependents(api, event.object));
    }
  });
  const interval = setInterval(sweep, Math.max(50, sweepIntervalMs / api.timeScale));
  return {
    sweep,
    stop: () => {
      unsubscribe();
      clearInterval(interval);
      for (const immediate of immediates) {
        clearImmediate(immediate);
      }
    },
  };
}

/** Every namespace has a service account `default`; nothing happens where it is there already. */
export function createDefaultServiceAccount(api: Api, namespace: string): void {
  const isThere = api.store.get('namespaces', '', namespace) !== undefined;
  if (isThere && api.store.get('serviceaccounts', namespace, 'default') === undefined) {
    const metadata = { name: 'default', namespace, uid: randomUUID(), creationTimestamp: timestamp(api.now()) };
    api.store.create('serviceaccounts', { metadata });
  }
}

/** An object whose owners are all gone already goes too. */
function collectOrphan(api: Api, { resource, object }: StoreEvent): void {
  const { namespace = '', name = '', uid, ownerReferences = [] } = object.metadata;
  const stored = api.store.get(resource, namespace, name);
  const hasOwner = ownerReferences.some((owner) => api.store.byUid(owner.uid) !== undefined);
  if (stored?.metadata.uid === uid && !hasOwner) {
    api.store.remove(resource, namespace, name);
  }
}

/** Dependents of the last of their owners go with it. */
function collectDependents(api: Api, owner: ApiObject): void {
  for (const { resource, object } of api.store.dependents(owner.metadata.uid ?? '')) {
    collectOrphan(api, { revision: 0, type: 'ADDED', resource, object });
  }
}
