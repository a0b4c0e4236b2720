/**
 * Follows requests until they are answered, over a live copy of them. Written once for every certificate API: what an
 * answer looks like is all that differs.
 */
import { createBoundedMap } from '../base/bounded-map.ts';
import { type KubernetesObject, keyOf } from '../kubernetes/objects.ts';
import type { Outcome } from '../lifecycle/ports.ts';
import type { RequestCache, RequestEvent } from './request-calls.ts';

/** Submitted requests whose list number is remembered; beyond that the oldest is forgotten. */
const rememberedSubmissions = 1024;

export interface Following {
  /** Notes that the request exists from now on. @param key `namespace/name`, of a cluster-scoped request its name */
  submitted(key: string): void;
  /** Tells the outcome once, never before this call has returned. @returns ends the following */
  follow(key: string, listener: (outcome: Outcome) => void): () => void;
}

/** @param outcomeOf the answer in a request, or undefined while there is none */
export function createFollowing<T extends KubernetesObject>(
  cache: RequestCache<T>,
  outcomeOf: (request: T) => Outcome | undefined,
): Following {
  /** By key: the list that had begun when the request was known to exist. */
  const submittedAt = createBoundedMap<string, number>(rememberedSubmissions);

  return {
    submitted(key) {
      submittedAt.set(key, cache.lists().begun);
    },
    follow(key, listener) {
      // A request of an earlier run of the agent is older than every list of this one.
      const existsSince = submittedAt.get(key) ?? 0;
      let ended = false;

      function end(): void {
        ended = true;
        unsubscribe();
      }

      function settle(outcome: Outcome | undefined): void {
        if (outcome === undefined || ended) {
          return;
        }
        end();
        listener(outcome);
      }

      function look(): void {
        const request = cache.get(key);
        if (request !== undefined) {
          settle(outcomeOf(request));
        } else if (cache.lists().taken > existsSince) {
          settle({ type: 'gone' });
        }
      }

      const unsubscribe = cache.subscribe((event: RequestEvent<T>) => {
        if (event.type === 'synced') {
          look();
        } else if (keyOf(event.object) === key) {
          settle(outcomeOf(event.object) ?? (event.type === 'deleted' ? { type: 'gone' } : undefined));
        }
      });
      queueMicrotask(look);
      return end;
    },
  };
}
