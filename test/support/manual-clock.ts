/** A clock that a test sets: alarms ring, in order, when it passes their time. */
import type { Clock } from '../../agent/time/clock.ts';

export interface ManualClock extends Clock {
  advance(durationMs: number): void;
  /** Alarms that are set. */
  alarms(): number;
}

export function createManualClock(start = 0): ManualClock {
  let now = start;
  const alarms = new Set<{ readonly time: number; readonly callback: () => void }>();
  return {
    now: () => now,
    at(time, callback) {
      const alarm = { time, callback };
      alarms.add(alarm);
      return () => alarms.delete(alarm);
    },
    advance(durationMs) {
      const end = now + durationMs;
      for (;;) {
        const [next] = [...alarms].filter(({ time }) => time <= end).sort((one, other) => one.time - other.time);
        if (next === undefined) {
          break;
        }
        now = Math.max(now, next.time);
        alarms.delete(next);
        next.callback();
      }
      now = end;
    },
    alarms: () => alarms.size,
  };
}
