/**
 * Spares the API server: a token bucket, a bound on calls under way, a fair order (`fair-line.ts`), and one pause for
 * all when the server asks for it (Retry-After). Watches take a token and obey the pause; they last long, so they do
 * not count as calls under way.
 */
import type { SharedRank } from '../base/call.ts';
import { AgentError } from '../base/errors.ts';
import { createFairLine } from '../base/fair-line.ts';
import type { Clock } from '../time/clock.ts';

export interface CallRate {
  /** Calls a second in the long run. */
  readonly requestsPerSecond: number;
  /** Calls that may start at once after a quiet time. */
  readonly burst: number;
}

export interface ThrottleOptions extends CallRate {
  /** Must not go back (`createMonotonicClock`). */
  readonly clock: Clock;
  /** Milliseconds since the epoch. */
  readonly wallClock: () => number;
  /** Calls under way at the same time. */
  readonly concurrency: number;
  /** Calls that may wait; beyond it the one that would have to wait longest is turned away. */
  readonly queueLimit: number;
}

export interface ThrottleLoad {
  readonly waiting: number;
  readonly active: number;
  /** How much longer the server wants to be left alone, in milliseconds. */
  readonly pausedForMs: number;
}

export interface Throttle {
  /**
   * Waits for this call's turn.
   * @param kind 'call' takes one of the places until the returned function is called; 'watch' takes none.
   * @throws AgentError Aborted when the signal fires, Unavailable when too many wait.
   */
  enter(rank: SharedRank, kind: 'call' | 'watch', signal: AbortSignal | undefined): Promise<() => void>;
  /**
   * Starts no call for this long, `longestPauseMs` at most; a longer pause that runs already stays. A refresh whose
   * certificate is about to end does not sit it out: one such call in `probeEveryMs` is let through.
   */
  pause(durationMs: number): void;
  setRate(rate: CallRate): void;
  load(): ThrottleLoad;
  /** Turns away whoever waits and whoever comes. */
  close(): void;
}

/**
 * Longest pause that a server may ask of all calls at once: a mistake of its operator must not silence the agent for a
 * day.
 */
export const longestPauseMs = 60_000;
/** Shortest time between two urgent calls during a pause. */
const probeEveryMs = 10_000;
/**
 * Calls of one pod that may go one after the other: what a certificate takes at most (its pod, twice, its service account,
 * its node, the request) and a second one.
 */
const callsPerTurn = 8;

interface Waiter {
  readonly kind: 'call' | 'watch';
  admit(): void;
  refuse(error: AgentError): void;
}

export function createThrottle(options: ThrottleOptions): Throttle {
  const { clock, wallClock, concurrency, queueLimit } = options;
  let { requestsPerSecond, burst } = options;
  const line = createFairLine<Waiter>({ now: clock.now, wallNow: wallClock, turn: callsPerTurn });
  let active = 0;
  let watchesWaiting = 0;
  let tokens = burst;
  let refilledAt = clock.now();
  let pausedUntil = refilledAt;
  let probedAt = Number.NEGATIVE_INFINITY;
  let cancelTimer: (() => void) | undefined;
  let closed = false;

  function refill(now: number): void {
    tokens = Math.min(burst, tokens + (Math.max(0, now - refilledAt) * requestsPerSecond) / 1000);
    refilledAt = now;
  }

  function wakeAt(time: number): void {
    cancelTimer?.();
    cancelTimer = clock.at(time, () => {
      cancelTimer = undefined;
      drain();
    });
  }

  const fits = (waiter: Waiter): boolean => waiter.kind === 'watch' || active < concurrency;

  function nextDuringPause(now: number): Waiter | undefined {
    const probeAt = probedAt + probeEveryMs;
    const waiter = now < probeAt ? undefined : line.take((candidate, isUrgent) => isUrgent && fits(candidate));
    if (waiter !== undefined) {
      probedAt = now;
    } else {
      wakeAt(now < probeAt ? Math.min(probeAt, pausedUntil) : pausedUntil);
    }
    return waiter;
  }

  function drain(): void {
    // While no call may start, none is looked for: the line may be long, and this runs for each call that joins it.
    while (active < concurrency ? line.size > 0 : watchesWaiting > 0) {
      const now = clock.now();
      refill(now);
      if (tokens < 1) {
        wakeAt(now + Math.ceil(((1 - tokens) * 1000) / requestsPerSecond));
        return;
      }
      const waiter = now < pausedUntil ? nextDuringPause(now) : line.take(fits);
      if (waiter === undefined) {
        return;
      }
      tokens -= 1;
      active += waiter.kind === 'call' ? 1 : 0;
      waiter.admit();
    }
  }

  return {
    enter: (rank, kind, signal) =>
      new Promise((resolve, reject) => {
        if (closed || signal?.aborted) {
          reject(aborted());
          return;
        }
        const leaveLine = (): void => {
          signal?.removeEventListener('abort', onAbort);
          watchesWaiting -= kind === 'watch' ? 1 : 0;
        };
        const onAbort = (): void => {
          line.remove(waiter);
          waiter.refuse(aborted());
        };
        const waiter: Waiter = {
          kind,
          admit() {
            leaveLine();
            resolve(leaveOnce(kind));
          },
          refuse(error) {
            leaveLine();
            reject(error);
          },
        };
        signal?.addEventListener('abort', onAbort, { once: true });
        watchesWaiting += kind === 'watch' ? 1 : 0;
        line.add(waiter, rank);
        if (line.size > queueLimit) {
          line.takeLast()?.refuse(tooMany());
        }
        drain();
      }),
    pause(durationMs) {
      pausedUntil = Math.max(pausedUntil, clock.now() + Math.min(durationMs, longestPauseMs));
    },
    setRate(rate) {
      refill(clock.now());
      ({ requestsPerSecond, burst } = rate);
      drain();
    },
    load: () => ({ waiting: line.size, active, pausedForMs: Math.max(0, pausedUntil - clock.now()) }),
    close() {
      closed = true;
      cancelTimer?.();
      for (let waiter = line.take(); waiter !== undefined; waiter = line.take()) {
        waiter.refuse(aborted());
      }
    },
  };

  function leaveOnce(kind: 'call' | 'watch'): () => void {
    let inside = kind === 'call';
    return () => {
      if (inside) {
        inside = false;
        active -= 1;
        drain();
      }
    };
  }
}

function aborted(): AgentError {
  return new AgentError('Aborted', 'the call was ended while it waited for its turn', { actor: 'nobody' });
}

function tooMany(): AgentError {
  return new AgentError('Unavailable', 'too many calls wait for the API server', {
    actor: 'nobody',
    retryAfterMs: 1000,
  });
}
