/** A map that holds so many entries and no more: the one that was set longest ago makes room. */

export interface Recent<K, V> {
  get(key: K): V | undefined;
  /** Also makes it the last to make room. */
  set(key: K, value: V): void;
  delete(key: K): void;
}

export function createRecent<K, V>(limit: number): Recent<K, V> {
  const entries = new Map<K, V>();
  return {
    get: (key) => entries.get(key),
    set(key, value) {
      entries.delete(key);
      entries.set(key, value);
      const [oldest] = entries.keys();
      if (entries.size > limit && oldest !== undefined) entries.delete(oldest);
    },
    delete: (key) => void entries.delete(key),
  };
}
