/**
 * The objects of a collection as they were last seen, and the subscribers who are told of changes. Of a new list they
 * are told the differences only. An object that was deleted and created again under its name is told as a deletion and
 * an addition.
 */
import type { Steps } from '../../volumes/base/steps.ts';
import { type KubernetesObject, keyOf } from './objects.ts';

export type ListWatchEvent<T> =
  | { readonly type: 'added' | 'modified' | 'deleted'; readonly object: T }
  /** A complete list has been taken over; every difference it made has been told before. */
  | { readonly type: 'synced' };

export interface LiveCopy<T> {
  /** @param key `namespace/name`, of a cluster-scoped object its name. */
  get(key: string): T | undefined;
  list(): T[];
  size(): number;
  /** Tells what happens from now on; what is there already is in `list()`. @returns ends the subscription. */
  subscribe(listener: (event: ListWatchEvent<T>) => void): () => void;
  /** @returns whether it differs from what is known */
  put(object: T): boolean;
  remove(object: T): void;
  /** Takes over a complete list, in steps: each difference is told of. @param found its objects by key @returns how many differ */
  replace(found: ReadonlyMap<string, T>): Steps<number>;
  /** Tells that a complete list has been taken over. */
  synced(): void;
  /** Ends all subscriptions. */
  close(): void;
}

/** @param onListenerFault takes what a listener throws; the other listeners and the copy go on */
export function createLiveCopy<T extends KubernetesObject>(onListenerFault: (cause: unknown) => void): LiveCopy<T> {
  const listeners = new Set<(event: ListWatchEvent<T>) => void>();
  const objects = new Map<string, T>();

  function emit(event: ListWatchEvent<T>): void {
    for (const listener of [...listeners]) {
      try {
        if (listeners.has(listener)) {
          listener(event);
        }
      } catch (cause) {
        onListenerFault(cause);
      }
    }
  }

  function put(object: T): boolean {
    const key = keyOf(object);
    const known = objects.get(key);
    if (known !== undefined && known.metadata.uid !== object.metadata.uid) {
      remove(known);
    } else if (known !== undefined && isSameVersion(known, object)) {
      return false;
    }
    const type = objects.has(key) ? 'modified' : 'added';
    objects.set(key, object);
    emit({ type, object });
    return true;
  }

  function remove(object: T): void {
    if (objects.delete(keyOf(object))) {
      emit({ type: 'deleted', object });
    }
  }

  return {
    get: (key) => objects.get(key),
    list: () => [...objects.values()],
    size: () => objects.size,
    subscribe(listener) {
      const own = (event: ListWatchEvent<T>): void => listener(event);
      listeners.add(own);
      return () => listeners.delete(own);
    },
    put,
    remove,
    *replace(found) {
      let differences = 0;
      for (const [key, object] of objects) {
        if (!found.has(key)) {
          remove(object);
          differences += 1;
        }
        yield;
      }
      for (const object of found.values()) {
        if (put(object)) {
          differences += 1;
        }
        yield;
      }
      return differences;
    },
    synced: () => emit({ type: 'synced' }),
    close: () => listeners.clear(),
  };
}

/** Without a version each counts as a change. */
function isSameVersion(known: KubernetesObject, object: KubernetesObject): boolean {
  const { resourceVersion } = object.metadata;
  return resourceVersion !== undefined && known.metadata.resourceVersion === resourceVersion;
}
