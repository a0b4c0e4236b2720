/** The store as it was at a revision, to read from: what a replica of the API server that has fallen behind knows. */
import { keyOf, type Store } from './store.ts';

/** A revision that is compacted away shows nothing. */
export function asOf(store: Store, revision: number): Store {
  const list: Store['list'] = (resource, namespace) => store.listAt(resource, namespace, revision) ?? [];
  return {
    ...store,
    list,
    revision: () => revision,
    get: (resource, namespace, name) =>
      list(resource, undefined).find((object) => keyOf(object) === `${namespace}/${name}`),
  };
}
