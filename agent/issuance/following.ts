/**
 * Follows requests until they are answered, over a live copy of them. Written once for every certificate API: what an
 * answer looks like is all that differs.
 */
import { isDeepStrictEqual } from 'node:util';
import { createBoundedMap } from '../../volumes/base/bounded-map.ts';
import { isNotFound } from '../base/errors.ts';
import { type KubernetesObject, keyOf } from '../kubernetes/objects.ts';
import type { Hurdle, Outcome } from '../lifecycle/ports.ts';
import type { RequestCache, RequestEvent } from './request-calls.ts';

/** Submitted requests whose list number is remembered; beyond that the oldest is forgotten. */
const rememberedSubmissions = 1024;

type ObjectEvent<T> = Exclude<RequestEvent<T>, { readonly type: 'synced' }>;

/** Somebody who waits for a request. */
interface Follower<T> {
  /** Takes the request as it is known now. */
  look(): void;
  changed(event: ObjectEvent<T>): void;
}

export interface Following<T> {
  /** Before a request is made: when it goes, that is noted until it is followed. @param key as below */
  expect(key: string): void;
  /** Notes that the request exists from now on. @param key `namespace/name`, of a cluster-scoped request its name */
  submitted(key: string): void;
  /**
   * Tells the outcome once, and before it what the request waits for, whenever that changes; never before this call has
   * returned.
   * @param readMissed reads a request that exists and that the live copy may not hold
   * @returns ends the following
   */
  follow(
    key: string,
    listener: (outcome: Outcome) => void,
    onHurdle?: (hurdle: Hurdle) => void,
    readMissed?: () => Promise<T>,
  ): () => void;
}

/**
 * @param outcomeOf the answer in a request, or undefined while there is none
 * @param hurdleOf what a request without an answer waits for, where that can be seen
 */
export function createFollowing<T extends KubernetesObject>(
  cache: RequestCache<T>,
  outcomeOf: (request: T) => Outcome | undefined,
  hurdleOf: (request: T) => Hurdle | undefined = () => undefined,
): Following<T> {
  /** By key: the list that had begun when the request was known to exist. */
  const submittedAt = createBoundedMap<string, number>(rememberedSubmissions);
  /**
   * By key. One subscription for all of them: a list may bring thousands of requests that nobody follows, and each costs a look into
   * this map.
   */
  const followers = new Map<string, Set<Follower<T>>>();
  /** By key: those that are not followed yet, such as one that was made ahead of the publish call, and whether they have gone. */
  const expected = createBoundedMap<string, boolean>(rememberedSubmissions);
  let unsubscribe = (): void => undefined;

  function tell(event: RequestEvent<T>): void {
    if (event.type !== 'synced') {
      const key = keyOf(event.object);
      if (expected.get(key) !== undefined) {
        expected.set(key, event.type === 'deleted');
      }
      for (const follower of [...(followers.get(key) ?? [])]) {
        follower.changed(event);
      }
      return;
    }
    for (const follower of [...followers.values()].flatMap((set) => [...set])) {
      follower.look();
    }
  }

  const isUnused = (): boolean => followers.size === 0 && expected.size === 0;

  function subscribe(): void {
    if (isUnused()) {
      unsubscribe = cache.subscribe(tell);
    }
  }

  function join(key: string, follower: Follower<T>): void {
    subscribe();
    expected.delete(key);
    followers.set(key, (followers.get(key) ?? new Set()).add(follower));
  }

  function leave(key: string, follower: Follower<T>): void {
    const others = followers.get(key);
    if (others?.delete(follower) && others.size === 0) {
      followers.delete(key);
      if (isUnused()) {
        unsubscribe();
      }
    }
  }

  return {
    expect(key) {
      subscribe();
      expected.set(key, false);
    },
    submitted(key) {
      submittedAt.set(key, cache.lists().begun);
    },
    follow(key, listener, onHurdle = () => undefined, readMissed = undefined) {
      // A request of an earlier run of the agent is older than every list of this one; a list may not have kept it.
      const existsSince = readMissed === undefined ? (submittedAt.get(key) ?? 0) : cache.lists().begun;
      const isGone = expected.get(key);
      let ended = false;
      let told: Hurdle | undefined;

      function end(): void {
        ended = true;
        leave(key, follower);
      }

      function settle(outcome: Outcome | undefined): void {
        if (outcome === undefined || ended) {
          return;
        }
        end();
        listener(outcome);
      }

      function tellHurdle(request: T): void {
        const hurdle = ended ? undefined : hurdleOf(request);
        if (hurdle === undefined || isDeepStrictEqual(hurdle, told)) {
          return;
        }
        told = hurdle;
        onHurdle(hurdle);
      }

      function read(request: T): void {
        settle(outcomeOf(request));
        tellHurdle(request);
      }

      function look(): void {
        const request = cache.get(key);
        if (request !== undefined) {
          read(request);
        } else if (cache.lists().taken > existsSince) {
          settle({ type: 'gone' });
        }
      }

      function changed({ type, object }: ObjectEvent<T>): void {
        if (type === 'deleted') {
          settle(outcomeOf(object) ?? { type: 'gone' });
        } else {
          read(object);
        }
      }

      const follower: Follower<T> = { look, changed };
      join(key, follower);
      if (isGone) {
        queueMicrotask(() => settle({ type: 'gone' }));
      } else if (readMissed === undefined) {
        queueMicrotask(look);
      } else {
        // What cannot be read now, the next list shows.
        readMissed().then(read, (error) => {
          if (isNotFound(error)) {
            settle({ type: 'gone' });
          }
        });
      }
      return end;
    },
  };
}
