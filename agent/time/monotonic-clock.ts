/**
 * A clock that never goes back and never leaps: pauses, time limits and token buckets run by it, so that setting the
 * machine's time neither stalls the agent's calls nor lets them all loose.
 *
 * https://nodejs.org/docs/latest-v24.x/api/perf_hooks.html#performancenow
 */
import type { Clock } from './clock.ts';

/** setTimeout takes at most 2³¹ − 1 ms. */
const longestTimerMs = 0x7fff_ffff;

/** Counts milliseconds from an arbitrary start. Its timers do not keep the process alive. */
export function createMonotonicClock(): Clock {
  const now = (): number => performance.now();
  return {
    now,
    at(time, callback) {
      let timer: NodeJS.Timeout | undefined;
      // Timers may ring a little early, and at most `longestTimerMs` from now: then the rest is waited for.
      const arm = (): void => {
        const leftMs = Math.min(Math.max(Math.ceil(time - now()), 0), longestTimerMs);
        timer = setTimeout(() => (now() < time ? arm() : callback()), leftMs);
        timer.unref();
      };
      arm();
      return () => clearTimeout(timer);
    },
  };
}
