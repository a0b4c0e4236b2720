/**
 * Follows requests until they are answered, over a live copy of them. Written once for every certificate API: what an
 * answer looks like is all that differs.
 */
import { isDeepStrictEqual } from 'node:util';
import { createBoundedMap } from '../base/bounded-map.ts';
import { AgentError } from '../base/errors.ts';
import { type KubernetesObject, keyOf } from '../kubernetes/objects.ts';
import type { Hurdle, Outcome } from '../lifecycle/ports.ts';
import type { RequestCache, RequestEvent } from './request-calls.ts';

/** Submitted requests whose list number is remembered; beyond that the oldest is forgotten. */
const rememberedSubmissions = 1024;

export interface Following<T> {
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

  return {
    submitted(key) {
      submittedAt.set(key, cache.lists().begun);
    },
    follow(key, listener, onHurdle = () => undefined, readMissed = undefined) {
      // A request of an earlier run of the agent is older than every list of this one; a list may not have kept it.
      const existsSince = readMissed === undefined ? (submittedAt.get(key) ?? 0) : cache.lists().begun;
      let ended = false;
      let told: Hurdle | undefined;

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

      function tell(request: T): void {
        const hurdle = ended ? undefined : hurdleOf(request);
        if (hurdle === undefined || isDeepStrictEqual(hurdle, told)) {
          return;
        }
        told = hurdle;
        onHurdle(hurdle);
      }

      function read(request: T): void {
        settle(outcomeOf(request));
        tell(request);
      }

      function look(): void {
        const request = cache.get(key);
        if (request !== undefined) {
          read(request);
        } else if (cache.lists().taken > existsSince) {
          settle({ type: 'gone' });
        }
      }

      const unsubscribe = cache.subscribe((event: RequestEvent<T>) => {
        if (event.type === 'synced') {
          look();
        } else if (keyOf(event.object) === key && event.type === 'deleted') {
          settle(outcomeOf(event.object) ?? { type: 'gone' });
        } else if (keyOf(event.object) === key) {
          read(event.object);
        }
      });
      if (readMissed === undefined) {
        queueMicrotask(look);
      } else {
        // What cannot be read now, the next list shows.
        readMissed().then(read, (error) => {
          if (error instanceof AgentError && error.code === 'NotFound') {
            settle({ type: 'gone' });
          }
        });
      }
      return end;
    },
  };
}
