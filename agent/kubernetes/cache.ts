/**
 * Remembers answers for a little while, so that a burst of questions about one object costs one call.
 */

import type { CallOptions, Priority } from '../base/call.ts';
import { AgentError } from '../base/errors.ts';
import type { Clock } from '../time/clock.ts';

export interface CacheOptions<T> {
  /** Must not go back. */
  readonly clock: Clock;
  /** How long an answer is good for, milliseconds, from when it was asked for. */
  readonly keepMs: number;
  /** Answers remembered; the oldest is forgotten first. */
  readonly size: number;
  /** @param priority of whoever asks first */
  readonly read: (key: string, priority: Priority) => Promise<T>;
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
  readonly askedAt: number;
}

export function createCache<T>({ clock, keepMs, size, read }: CacheOptions<T>): Cache<T> {
  /** In the order of asking. */
  const entries = new Map<string, Entry<T>>();

  function ask(key: string, priority: Priority): Promise<T> {
    const entry = { answer: read(key, priority), askedAt: clock.now() };
    entries.delete(key);
    entries.set(key, entry);
    entry.answer.catch(() => {
      if (entries.get(key) === entry) {
        entries.delete(key);
      }
    });
    for (const oldest of [...entries.keys()].slice(0, Math.max(0, entries.size - size))) {
      entries.delete(oldest);
    }
    return entry.answer;
  }

  async function find(key: string, priority: Priority, isGood: (answer: T) => boolean): Promise<T> {
    const known = entries.get(key);
    if (known === undefined || clock.now() - known.askedAt >= keepMs) {
      return ask(key, priority);
    }
    const answer = await known.answer;
    if (isGood(answer)) {
      return answer;
    }
    const newer = entries.get(key);
    return newer === undefined || newer === known ? ask(key, priority) : newer.answer;
  }

  return {
    get: (key, { priority, signal }, isGood = () => true) => unlessAborted(find(key, priority, isGood), signal),
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
