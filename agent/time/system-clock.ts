/**
 * The wall clock as the lifecycle needs it: alarms at absolute times, weeks away if need be.
 *
 * Two things make `setTimeout` alone unfit: it overflows after 24.8 days while certificates live up to 91, and it counts
 * elapsed time while certificates expire by the wall clock, which may be set. So one timer waits at most `maxWaitMs` and
 * then looks at the wall clock again.
 */
import type { Clock } from './clock.ts';

export interface SystemClockOptions {
  /** Longest single wait, and so the longest time a clock change goes unnoticed. Default 30 seconds. */
  readonly maxWaitMs?: number;
  /** Milliseconds since the epoch. Default `Date.now`. */
  readonly wallClock?: () => number;
}

interface Alarm {
  readonly time: number;
  readonly setAt: number;
  readonly callback: () => void;
}

/**
 * A clock over the system's. Alarms are due when the wall clock has reached their time, and also when it has been set
 * back to before the alarm was set: whoever set it then looks at the time anew. A pending alarm does not keep the
 * process alive.
 */
export function createSystemClock(options: SystemClockOptions = {}): Clock {
  const maxWaitMs = options.maxWaitMs ?? 30_000;
  const wallClock = options.wallClock ?? Date.now;
  const alarms = new Set<Alarm>();
  let timer: NodeJS.Timeout | undefined;
  let timerDue = Number.POSITIVE_INFINITY;

  const arm = (): void => {
    clearTimeout(timer);
    timer = undefined;
    timerDue = Number.POSITIVE_INFINITY;
    if (alarms.size === 0) {
      return;
    }
    const now = wallClock();
    let next = now + maxWaitMs;
    for (const alarm of alarms) {
      next = Math.min(next, alarm.time);
    }
    timerDue = next;
    timer = setTimeout(ring, Math.max(0, next - now));
    timer.unref();
  };

  const ring = (): void => {
    const now = wallClock();
    const due = [...alarms].filter((alarm) => alarm.time <= now || now < alarm.setAt);
    // A callback may cancel another alarm that is due in the same round.
    for (const alarm of due) {
      if (alarms.delete(alarm)) {
        alarm.callback();
      }
    }
    arm();
  };

  return {
    now: wallClock,
    at(time, callback) {
      const alarm = { time, setAt: wallClock(), callback };
      alarms.add(alarm);
      if (time < timerDue) {
        arm();
      }
      return () => {
        alarms.delete(alarm);
        if (alarms.size === 0) {
          arm();
        }
      };
    },
  };
}
