/**
 * What a controller manager does in a real cluster and the sandbox needs: default service accounts, collection of
 * dependents whose owners are gone, and the removal of what is old (`cleaning.ts`).
 *
 * https://kubernetes.io/docs/concepts/architecture/garbage-collection/
 */
import { randomUUID } from 'node:crypto';
import type { ApiObject } from '../base/objects.ts';
import type { Api } from './api.ts';
import { type Ages, type Cleaning, cleanings } from './cleaning.ts';
import { timestamp } from './metadata.ts';
import type { StoreEvent } from './store.ts';

/** Between two looks, however fast time runs. */
const shortestIntervalMs = 50;

export interface Controllers {
  /** Removes now whatever has had its time, without waiting for the next sweep. */
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
  const ages: Ages = {
    isOlder: (time, ageMs) => api.now() - Date.parse(time ?? '') > ageMs / api.timeScale,
    hasPassed: (time) => time < api.now(),
  };
  const clean = ({ resource, isOver }: Cleaning): void => {
    for (const object of store.list(resource)) {
      if (isOver(object, ages)) {
        store.remove(resource, object.metadata.namespace ?? '', object.metadata.name ?? '');
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
  const intervals = cleanings.map((cleaning) =>
    setInterval(() => clean(cleaning), Math.max(shortestIntervalMs, cleaning.intervalMs / api.timeScale)),
  );
  return {
    sweep: () => cleanings.forEach(clean),
    stop: () => {
      unsubscribe();
      for (const interval of intervals) {
        clearInterval(interval);
      }
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
