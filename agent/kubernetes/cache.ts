/**
 * Remembers answers for a little while, so that a burst of questions about one object costs one call. Callers who ask
 * the same question share its call: the call is as urgent as the most urgent of them, and its answer is new to all of
 * them however long it waited for its turn.
 */

import { type BoundedMap, createBoundedMap } from '../../volumes/base/bounded-map.ts';
import type { CallOptions, Rank, SharedRank } from '../base/call.ts';
import { AgentError } from '../base/errors.ts';
import type { Clock } from '../time/clock.ts';

export interface CacheOptions<T> {
  /** Must not go back. */
  readonly clock: Clock;
  /** How long an answer is good for, milliseconds, from when it came. */
  readonly keepMs: number;
  /** Answers remembered; the oldest is forgotten first. */
  readonly size: number;
  /** Whether an answer may be remembered once it has come. Default: any. */
  readonly mayKeep?: (answer: T) => boolean;
  /** @param rank of whoever asks first, and of those who join while it waits */
  readonly read: (key: string, rank: SharedRank) => Promise<T>;
}

export interface Cache<T> {
  /**
   * The remembered answer, or a new one. A question asked already is not asked again; faults are not remembered.
   * @param isGood judges a remembered answer; one that it does not like is asked for anew.
   * @throws what `read` throws, or AgentError Aborted when the signal fires first.
   */
  get(key: string, call: CallOptions, isGood?: (answer: T) => boolean): Promise<T>;
}

interface Entry<T> {
  readonly answer: Promise<T>;
  /** Those who joined while the question waits, one for each owner and priority. */
  readonly alsoFor: Rank[];
  /** Undefined while the answer is under way. */
  answeredAt: number | undefined;
}

export function createCache<T>({ clock, keepMs, size, mayKeep = () => true, read }: CacheOptions<T>): Cache<T> {
  const entries: BoundedMap<string, Entry<T>> = createBoundedMap(size);

  function ask(key: string, rank: Rank): Promise<T> {
    const alsoFor: Rank[] = [];
    const entry: Entry<T> = { answer: read(key, { ...rank, alsoFor }), alsoFor, answeredAt: undefined };
    entries.set(key, entry);
    const forget = (): void => {
      if (entries.get(key) === entry) {
        entries.delete(key);
      }
    };
    entry.answer.then((answer) => {
      entry.answeredAt = clock.now();
      if (!mayKeep(answer)) {
        forget();
      }
    }, forget);
    return entry.answer;
  }

  function join({ answer, answeredAt, alsoFor }: Entry<T>, rank: Rank): Promise<T> {
    const isKnown = alsoFor.some(({ owner, priority }) => owner === rank.owner && priority === rank.priority);
    if (answeredAt === undefined && !isKnown) {
      alsoFor.push(rank);
    }
    return answer;
  }

  async function find(key: string, rank: Rank, isGood: (answer: T) => boolean): Promise<T> {
    const known = entries.get(key);
    if (known === undefined || (known.answeredAt !== undefined && clock.now() - known.answeredAt >= keepMs)) {
      return ask(key, rank);
    }
    const answer = await join(known, rank);
    if (isGood(answer)) {
      return answer;
    }
    const newer = entries.get(key);
    return newer === undefined || newer === known ? ask(key, rank) : join(newer, rank);
  }

  return {
    get: (key, { signal, ...rank }, isGood = () => true) => unlessAborted(find(key, rank, isGood), signal),
  };
}

/** The call goes on for the others who wait for it when one of them leaves. */
function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const leave = (): void =>
      reject(new AgentError('Aborted', 'the call was ended by its caller', { actor: 'nobody' }));
    if (signal.aborted) {
      leave();
    }
    signal.addEventListener('abort', leave, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', leave));
  });
}
