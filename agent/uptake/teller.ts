/**
 * Tells one program of one volume, in one way, that its files have changed: once a change, tried again with growing pauses where that
 * fails, and given up after some attempts until the next change. Changes that come while it waits are told of together.
 */
import type { Clock } from '../time/clock.ts';
import { attemptSpacingMs, maxAttempts } from './limits.ts';

/** What came of one attempt. */
export type Attempt =
  | { readonly type: 'done'; readonly detail: string }
  | { readonly type: 'failed'; readonly detail: string }
  /** No other attempt would go better. */
  | { readonly type: 'refused'; readonly detail: string }
  /** There is nobody left to be told. */
  | { readonly type: 'gone' };

export interface TellerOptions {
  readonly clock: Clock;
  /** Draws from [0, 1). */
  readonly random: () => number;
  /**
   * Never rejects. @param begin to be called when it is about to ask, after whatever it had to wait for: what changes from then on is told
   * of anew
   */
  readonly attempt: (signal: AbortSignal, begin: () => void) => Promise<Attempt>;
  /** Name of the set of files that is in place. */
  readonly generation: () => string | undefined;
  /** The programs have been told of this generation, or nobody tries any more to tell them. */
  readonly onSettled: (generation: string) => void;
  readonly onDone: (attempts: number, detail: string) => void;
  readonly onFailed: (attempts: number, detail: string, retryAt: number | undefined) => void;
}

export interface Teller {
  /** There is a generation that the programs have not been told of. */
  due(): void;
  stop(): void;
}

const firstPauseMs = 1_000;
const longestPauseMs = 60_000;

export function createTeller(options: TellerOptions): Teller {
  const { clock, random, generation, onSettled } = options;
  let attempts = 0;
  let begunAt = Number.NEGATIVE_INFINITY;
  let cancelWait: (() => void) | undefined;
  let underWay: AbortController | undefined;

  const schedule = (at: number): void => {
    cancelWait = clock.at(at, () => {
      cancelWait = undefined;
      void run();
    });
  };

  const due = (): void => {
    if (underWay === undefined && cancelWait === undefined) {
      attempts = 0;
      // The wall clock may have been set back meanwhile.
      const pauseMs = Math.min(begunAt + attemptSpacingMs - clock.now(), attemptSpacingMs);
      schedule(clock.now() + Math.max(pauseMs, 0));
    }
  };

  const run = async (): Promise<void> => {
    const controller = new AbortController();
    underWay = controller;
    attempts += 1;
    let told = generation();
    const result = await options.attempt(controller.signal, () => {
      begunAt = clock.now();
      told = generation();
    });
    if (controller.signal.aborted) {
      return;
    }
    underWay = undefined;
    conclude(result, told);
  };

  const conclude = (result: Attempt, told: string | undefined): void => {
    if (result.type === 'gone') {
      return;
    }
    if (result.type === 'failed' && attempts < maxAttempts) {
      const pauseMs = Math.min(firstPauseMs * 2 ** (attempts - 1), longestPauseMs) * (0.8 + 0.4 * random());
      const retryAt = clock.now() + pauseMs;
      options.onFailed(attempts, result.detail, retryAt);
      schedule(retryAt);
      return;
    }
    if (result.type === 'done') {
      options.onDone(attempts, result.detail);
    } else {
      options.onFailed(attempts, result.detail, undefined);
    }
    if (told !== undefined) {
      onSettled(told);
    }
    const present = generation();
    if (present !== undefined && present !== told) {
      due();
    }
  };

  return {
    due,
    stop() {
      cancelWait?.();
      cancelWait = undefined;
      underWay?.abort();
      underWay = undefined;
    },
  };
}
