/**
 * A live copy of a collection that is open while somebody follows it, or while it is held open, and closed otherwise:
 * the cluster may not serve the collection, and nobody may need it.
 */
import type { ListWatch, ListWatchHealth } from './list-watch.ts';
import type { ListWatchEvent } from './live-copy.ts';
import type { KubernetesObject } from './objects.ts';

export interface FollowedWatch<T extends KubernetesObject> {
  /** @param key `namespace/name`, of a cluster-scoped object its name */
  get(key: string): T | undefined;
  /** All that is known; nothing while it is closed. */
  list(): readonly T[];
  /** Tells what happens from now on. @returns ends the subscription */
  subscribe(listener: (event: ListWatchEvent<T>) => void): () => void;
  /** Numbers of the list that began last and of the last one that was taken over; they never go back. */
  lists(): { readonly begun: number; readonly taken: number };
  /** Whether it stays open although nobody follows it. */
  hold(held: boolean): void;
  /** Undefined while it is closed. */
  health(): ListWatchHealth | undefined;
  stop(): void;
}

/** How long a watch that nobody follows any more is kept, since the next certificate may be near. */
const keptMs = 60_000;

/** @param create begins to list and watch */
export function createFollowedWatch<T extends KubernetesObject>(create: () => ListWatch<T>): FollowedWatch<T> {
  let open: ListWatch<T> | undefined;
  let closing: NodeJS.Timeout | undefined;
  let isHeld = false;
  let isStopped = false;
  let followers = 0;
  /** Lists of watches that were closed: the numbers go on, so that what was submitted before is not taken for gone. */
  let earlierLists = 0;

  function watch(): ListWatch<T> {
    clearTimeout(closing);
    open ??= create();
    return open;
  }

  function close(): void {
    clearTimeout(closing);
    earlierLists += open?.lists().begun ?? 0;
    open?.stop();
    open = undefined;
  }

  function closeUnlessNeeded(): void {
    clearTimeout(closing);
    if (followers === 0 && !isHeld && open !== undefined) {
      closing = setTimeout(close, keptMs).unref();
    }
  }

  return {
    get: (key) => open?.get(key),
    list: () => open?.list() ?? [],
    lists() {
      const { begun = 0, taken = 0 } = open?.lists() ?? {};
      return { begun: earlierLists + begun, taken: taken === 0 ? 0 : earlierLists + taken };
    },
    subscribe(listener) {
      if (isStopped) {
        return () => undefined;
      }
      const unsubscribe = watch().subscribe(listener);
      followers += 1;
      let ended = false;
      return () => {
        if (ended) {
          return;
        }
        ended = true;
        unsubscribe();
        followers -= 1;
        closeUnlessNeeded();
      };
    },
    hold(held) {
      isHeld = held && !isStopped;
      if (isHeld) {
        watch();
      } else if (followers === 0) {
        close();
      }
    },
    health: () => open?.health(),
    stop() {
      isStopped = true;
      close();
    },
  };
}
