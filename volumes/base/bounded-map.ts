/**
 * A map for entries whose keys come from outside (pods, time series, paths). It holds a fixed number of entries and
 * forgets the one that was set longest ago, so that no flood of names can fill the memory.
 */

export interface BoundedMap<K, V> {
  get(key: K): V | undefined;
  /** Sets the entry and makes it the newest. */
  set(key: K, value: V): void;
  delete(key: K): void;
  /** As they are now, the oldest first. */
  keys(): readonly K[];
  readonly size: number;
}

/** @param most entries kept, 1 or more */
export function createBoundedMap<K, V>(most: number): BoundedMap<K, V> {
  // A Map keeps the order in which keys were first set.
  const entries = new Map<K, V>();
  return {
    get: (key) => entries.get(key),
    set(key, value) {
      entries.delete(key);
      entries.set(key, value);
      for (const oldest of entries.keys()) {
        if (entries.size <= most) {
          break;
        }
        entries.delete(oldest);
      }
    },
    delete(key) {
      entries.delete(key);
    },
    keys: () => [...entries.keys()],
    get size() {
      return entries.size;
    },
  };
}
