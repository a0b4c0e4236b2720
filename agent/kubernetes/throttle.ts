/**
 * Spares the API server: a token bucket, a bound on calls under way, an order of importance, and one pause for all when
 * the server asks for it (Retry-After). Watches take a token and keep the pause; being long they take no place.
 */
import { AgentError } from '../base/errors.ts';
import type { Clock } from '../time/clock.ts';

/** Who goes first: first issuances, then refreshes, then what nobody waits for. */
export type CallPriority = 'first' | 'refresh' | 'background';

const order = ['first', 'refresh', 'background'] as const;

export interface CallRate {
  /** Calls a second in the long run. */
  readonly requestsPerSecond: number;
  /** Calls that may start at once after a quiet time. */
  readonly burst: number;
}

export interface ThrottleOptions extends CallRate {
  /** Must not go back (`createMonotonicClock`). */
  readonly clock: Clock;
  /** Calls under way at the same time. */
  readonly concurrency: number;
  /** Calls that may wait; beyond it the least important one is turned away. */
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
  enter(priority: CallPriority, kind: 'call' | 'watch', signal: AbortSignal | undefined): Promise<() => void>;
  /** Starts no call for this long; a longer pause that runs already stays. */
  pause(durationMs: number): void;
  setRate(rate: CallRate): void;
  load(): ThrottleLoad;
  /** Turns away whoever waits and whoever comes. */
  close(): void;
}

interface Waiter {
  readonly kind: 'call' | 'watch';
  admit(): void;
  refuse(error: AgentError): void;
}

export function createThrottle(options: ThrottleOptions): Throttle {
  const { clock, concurrency, queueLimit } = options;
  let { requestsPerSecond, burst } = options;
  const queues: Readonly<Record<CallPriority, Waiter[]>> = { first: [], refresh: [], background: [] };
  let active = 0;
  let tokens = burst;
  let refilledAt = clock.now();
  let pausedUntil = refilledAt;
  let cancelTimer: (() => void) | undefined;
  let closed = false;

  const waiting = (): number => order.reduce((sum, priority) => sum + queues[priority].length, 0);

  function refill(now: number): void {
    tokens = Math.min(burst, tokens + (Math.max(0, now - refilledAt) * requestsPerSecond) / 1000);
    refilledAt = now;
  }

  /** Takes the most important waiter that may start now out of its queue. */
  function next(): Waiter | undefined {
    for (const priority of order) {
      const queue = queues[priority];
      const index = active < concurrency ? 0 : queue.findIndex((waiter) => waiter.kind === 'watch');
      const [waiter] = index < 0 ? [] : queue.splice(index, 1);
      if (waiter !== undefined) {
        return waiter;
      }
    }
    return undefined;
  }

  function wakeAt(time: number): void {
    cancelTimer?.();
    cancelTimer = clock.at(time, () => {
      cancelTimer = undefined;
      drain();
    });
  }

  function drain(): void {
    while (waiting() > 0) {
      const now = clock.now();
      refill(now);
      if (now < pausedUntil) {
        wakeAt(pausedUntil);
        return;
      }
      if (tokens < 1) {
        wakeAt(now + Math.ceil(((1 - tokens) * 1000) / requestsPerSecond));
        return;
      }
      const waiter = next();
      if (waiter === undefined) {
        return;
      }
      tokens -= 1;
      active += waiter.kind === 'call' ? 1 : 0;
      waiter.admit();
    }
  }

  /** Makes room in a full queue at the cost of somebody less important, if there is such a one. */
  function makeRoom(priority: CallPriority): boolean {
    for (const lower of order.slice(order.indexOf(priority) + 1).reverse()) {
      const victim = queues[lower].pop();
      if (victim !== undefined) {
        victim.refuse(tooMany());
        return true;
      }
    }
    return false;
  }

  return {
    enter: (priority, kind, signal) =>
      new Promise((resolve, reject) => {
        if (closed || signal?.aborted) {
          reject(aborted());
          return;
        }
        if (waiting() >= queueLimit && !makeRoom(priority)) {
          reject(tooMany());
          return;
        }
        const onAbort = (): void => {
          const index = queues[priority].indexOf(waiter);
          if (index >= 0) {
            queues[priority].splice(index, 1);
          }
          reject(aborted());
        };
        const waiter: Waiter = {
          kind,
          admit() {
            signal?.removeEventListener('abort', onAbort);
            resolve(leaveOnce(kind));
          },
          refuse(error) {
            signal?.removeEventListener('abort', onAbort);
            reject(error);
          },
        };
        signal?.addEventListener('abort', onAbort, { once: true });
        queues[priority].push(waiter);
        drain();
      }),
    pause(durationMs) {
      pausedUntil = Math.max(pausedUntil, clock.now() + durationMs);
    },
    setRate(rate) {
      refill(clock.now());
      ({ requestsPerSecond, burst } = rate);
      drain();
    },
    load: () => ({ waiting: waiting(), active, pausedForMs: Math.max(0, pausedUntil - clock.now()) }),
    close() {
      closed = true;
      cancelTimer?.();
      for (const waiter of order.flatMap((priority) => queues[priority].splice(0))) {
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
