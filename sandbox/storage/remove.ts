/** Takes an object out of the store, at once or when its last finalizer is off. */
import type { ApiObject } from '../base/objects.ts';
import { type Api, storedAs, type Target } from './api.ts';
import { timestamp } from './metadata.ts';

export function removeObject(api: Api, target: Target, stored: ApiObject): ApiObject {
  const { namespace = '', name = '' } = stored.metadata;
  if (storedAs(target) === 'namespaces') {
    for (const { type } of api.served()) {
      const contents = type.namespaced ? api.store.list(type.storedAs, name) : [];
      for (const object of contents) {
        api.store.remove(type.storedAs, name, object.metadata.name ?? '');
      }
    }
  }
  // Watchers of a pod see with its last state that, and when, it was deleted.
  const ended = { deletionTimestamp: timestamp(api.now()), deletionGracePeriodSeconds: 0 };
  const metadata = storedAs(target) === 'pods' ? { ...stored.metadata, ...ended } : stored.metadata;
  return api.store.remove(storedAs(target), namespace, name, { ...stored, metadata }) ?? stored;
}

/** After an update: an object that waited for its finalizers goes when the last one is off. */
export function removeWhenFinalized(api: Api, target: Target, stored: ApiObject): ApiObject {
  const { deletionTimestamp, deletionGracePeriodSeconds = 0, finalizers = [] } = stored.metadata;
  return deletionTimestamp !== undefined && deletionGracePeriodSeconds === 0 && finalizers.length === 0
    ? removeObject(api, target, stored)
    : stored;
}
