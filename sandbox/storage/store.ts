/**
 * The store behind the API server: every object of every resource, one revision counter over all of them, and a bounded
 * history of changes from which watches start and consistent pages are read.
 *
 * Objects go in without a resourceVersion and come out with one. What is handed in is frozen with all it holds: stored
 * objects are replaced, never changed.
 * https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions
 */
import { isDeepStrictEqual } from 'node:util';
import type { ApiObject, GroupResource, Json, ObjectReader } from '../base/objects.ts';

/** A change. The object carries the change's revision as its resourceVersion, also when it was removed. */
export interface StoreEvent {
  readonly revision: number;
  readonly resource: GroupResource;
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly object: ApiObject;
  /** The object before the change; absent when it was added. */
  readonly previous?: ApiObject;
}

export interface Store extends ObjectReader {
  /** The revision of the newest change. */
  revision(): number;
  /** Changes up to and including this revision are forgotten. */
  compactedRevision(): number;
  /** @throws RangeError when an object of that name exists */
  create(resource: GroupResource, object: ApiObject): ApiObject;
  /** Replaces an object. An object equal to the stored one is returned as stored and nothing happens. */
  update(resource: GroupResource, object: ApiObject): ApiObject;
  /**
   * @param last the object's last state, where it is not the stored one
   * @returns the removed object, with the revision of its removal
   */
  remove(resource: GroupResource, namespace: string, name: string, last?: ApiObject): ApiObject | undefined;
  byUid(uid: string): { readonly resource: GroupResource; readonly object: ApiObject } | undefined;
  /** The objects that name an owner of this UID. */
  dependents(ownerUid: string): readonly { readonly resource: GroupResource; readonly object: ApiObject }[];
  /**
   * The objects as they were at a revision, in order of namespace and name.
   * @returns `undefined` when that revision is compacted away
   */
  listAt(resource: GroupResource, namespace: string | undefined, revision: number): readonly ApiObject[] | undefined;
  /** The changes after a revision, oldest first. @returns `undefined` when some of them are compacted away */
  eventsAfter(resource: GroupResource, revision: number): readonly StoreEvent[] | undefined;
  /** Calls back with every change, after it happened. @returns ends that */
  subscribe(listener: (event: StoreEvent) => void): () => void;
  /** Forgets the history so far: older watches and pages are answered 410. */
  compact(): void;
}

export interface StoreOptions {
  /** How many changes are remembered before the oldest half is compacted away. Default 20000. */
  readonly historyLimit?: number;
}

export function createStore(options: StoreOptions = {}): Store {
  const historyLimit = options.historyLimit ?? 20_000;
  const resources = new Map<GroupResource, Map<string, ApiObject>>();
  const uids = new Map<string, { readonly resource: GroupResource; readonly key: string }>();
  const dependents = new Map<string, Map<string, { readonly resource: GroupResource; readonly key: string }>>();
  const listeners = new Set<(event: StoreEvent) => void>();
  let history: StoreEvent[] = [];
  let revision = 1;
  let compacted = 1;

  const objectsOf = (resource: GroupResource): Map<string, ApiObject> => {
    const known = resources.get(resource) ?? new Map<string, ApiObject>();
    resources.set(resource, known);
    return known;
  };

  const record = (event: StoreEvent): void => {
    history.push(event);
    if (history.length > historyLimit) {
      const kept = history.slice(history.length >> 1);
      compacted = (kept[0]?.revision ?? revision + 1) - 1;
      history = kept;
    }
    for (const listener of [...listeners]) {
      listener(event);
    }
  };

  /** Keeps the index of owners in step with an object that was added, changed or removed. */
  const index = (resource: GroupResource, object: ApiObject, isThere: boolean): void => {
    const place = { resource, key: keyOf(object) };
    const { uid = '', ownerReferences = [] } = object.metadata;
    if (isThere) {
      uids.set(uid, place);
    } else {
      uids.delete(uid);
    }
    for (const owner of ownerReferences) {
      const owned = dependents.get(owner.uid) ?? new Map();
      if (isThere) {
        dependents.set(owner.uid, owned.set(uid, place));
      } else if (owned.delete(uid) && owned.size === 0) {
        dependents.delete(owner.uid);
      }
    }
  };

  const write = (resource: GroupResource, object: ApiObject, previous: ApiObject | undefined): ApiObject => {
    revision += 1;
    const stored = frozen({ ...object, metadata: { ...object.metadata, resourceVersion: String(revision) } });
    const key = keyOf(stored);
    objectsOf(resource).set(key, stored);
    if (previous !== undefined) {
      index(resource, previous, false);
    }
    index(resource, stored, true);
    record({
      revision,
      resource,
      type: previous === undefined ? 'ADDED' : 'MODIFIED',
      object: stored,
      ...(previous === undefined ? {} : { previous }),
    });
    return stored;
  };

  const current = (resource: GroupResource, namespace: string | undefined): readonly ApiObject[] =>
    sorted(inNamespace(objectsOf(resource).values(), namespace));

  return {
    revision: () => revision,
    compactedRevision: () => compacted,
    get: (resource, namespace, name) => objectsOf(resource).get(`${namespace}/${name}`),
    list: current,
    byUid: (uid) => {
      const place = uids.get(uid);
      const object = place === undefined ? undefined : objectsOf(place.resource).get(place.key);
      return place === undefined || object === undefined ? undefined : { resource: place.resource, object };
    },
    dependents: (ownerUid) =>
      [...(dependents.get(ownerUid)?.values() ?? [])].flatMap(({ resource, key }) => {
        const object = objectsOf(resource).get(key);
        return object === undefined ? [] : [{ resource, object }];
      }),
    create: (resource, object) => {
      const key = keyOf(object);
      if (objectsOf(resource).has(key)) {
        throw new RangeError(`${resource} ${key} exists`);
      }
      return write(resource, object, undefined);
    },
    update: (resource, object) => {
      const previous = objectsOf(resource).get(keyOf(object));
      if (previous !== undefined && sameApartFromRevision(previous, object)) {
        return previous;
      }
      return write(resource, object, previous);
    },
    remove: (resource, namespace, name, last) => {
      const key = `${namespace}/${name}`;
      const previous = objectsOf(resource).get(key);
      if (previous === undefined) {
        return undefined;
      }
      revision += 1;
      objectsOf(resource).delete(key);
      index(resource, previous, false);
      const final = last ?? previous;
      const removed = frozen({ ...final, metadata: { ...final.metadata, resourceVersion: String(revision) } });
      record({ revision, resource, type: 'DELETED', object: removed, previous });
      return removed;
    },
    listAt: (resource, namespace, at) => {
      if (at < compacted) {
        return undefined;
      }
      if (at >= revision) {
        return current(resource, namespace);
      }
      const then = new Map(objectsOf(resource));
      for (const event of history.toReversed()) {
        if (event.revision <= at) {
          break;
        }
        if (event.resource !== resource) {
          continue;
        }
        if (event.previous === undefined) {
          then.delete(keyOf(event.object));
        } else {
          then.set(keyOf(event.previous), event.previous);
        }
      }
      return sorted(inNamespace(then.values(), namespace));
    },
    eventsAfter: (resource, after) =>
      after < compacted ? undefined : history.filter((event) => event.revision > after && event.resource === resource),
    subscribe: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    compact: () => {
      history = [];
      compacted = revision;
    },
  };
}

/** Where an object lies within its resource. */
export function keyOf(object: ApiObject): string {
  return `${object.metadata.namespace ?? ''}/${object.metadata.name ?? ''}`;
}

function inNamespace(objects: Iterable<ApiObject>, namespace: string | undefined): ApiObject[] {
  return [...objects].filter((object) => namespace === undefined || (object.metadata.namespace ?? '') === namespace);
}

function sorted(objects: ApiObject[]): ApiObject[] {
  const keyed = objects.map((object) => ({ key: keyOf(object), object }));
  keyed.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
  return keyed.map((entry) => entry.object);
}

function sameApartFromRevision(stored: ApiObject, object: ApiObject): boolean {
  const { resourceVersion: _, ...metadata } = stored.metadata;
  const { resourceVersion: __, ...given } = object.metadata;
  return isDeepStrictEqual({ ...stored, metadata }, { ...object, metadata: given });
}

/** A deeply frozen object: whoever reads the store cannot change it by accident. */
function frozen(object: ApiObject): ApiObject {
  const freeze = (value: Json | undefined): void => {
    if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
      Object.freeze(value);
      for (const part of Object.values(value)) {
        freeze(part);
      }
    }
  };
  freeze(object);
  return object;
}
