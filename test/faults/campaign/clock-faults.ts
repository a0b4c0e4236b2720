/** What goes wrong with time: clocks that are set, wrong or leap, and a process or a machine that stands still. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Fault } from './endure.ts';

const minuteMs = 60_000;
/** A clock that is set is noticed within half a minute, and what is due then is renewed within its pace. */
const noticedMs = 60_000;

/** What was issued while a clock was ahead is due by that clock: as much later, and before it expires at any rate. */
function clockSet(title: string, byMs: number, dueLaterMs = 0): Fault {
  return {
    ...{ title, lastsMs: 25_000, recoversWithinMs: noticedMs + dueLaterMs },
    begin(stage) {
      stage.shiftClock(byMs);
      return () => stage.shiftClock(0);
    },
  };
}

const leapMs = 20_000;

/** The clock is set again and again, forth and back. */
const leaps: Fault = {
  ...{ title: 'the clock of the node leaps to and fro', lastsMs: 20_000, recoversWithinMs: noticedMs + 2 * leapMs },
  begin(stage) {
    const over = new AbortController();
    const { signal } = over;
    const leap = async (): Promise<void> => {
      for (let turn = 0; !signal.aborted; turn += 1) {
        stage.shiftClock(((turn % 5) - 2) * leapMs);
        await delay(500, undefined, { signal }).catch(() => undefined);
      }
      stage.shiftClock(0);
    };
    const ended = leap();
    return async () => {
      over.abort();
      await ended;
    };
  },
};

function stopped(title: string, lastsMs: number, recoversWithinMs = noticedMs): Fault {
  return {
    ...{ title, lastsMs, recoversWithinMs },
    begin({ agent }) {
      process.kill(agent.pid, 'SIGSTOP');
      return () => process.kill(agent.pid, 'SIGCONT');
    },
  };
}

export const clockFaults: readonly Fault[] = [
  clockSet('the clock of the node is a minute ahead', minuteMs, minuteMs),
  clockSet('the clock of the node is ten minutes behind', -10 * minuteMs),
  clockSet('the clock of the node is a day ahead', 24 * 60 * minuteMs),
  clockSet('the clock of the node is a year behind', -365 * 24 * 60 * minuteMs),
  leaps,
  {
    ...{ title: 'the machine is suspended for an hour', lastsMs: 5_000, recoversWithinMs: noticedMs },
    begin(stage) {
      const { agent } = stage;
      process.kill(agent.pid, 'SIGSTOP');
      stage.shiftClock(60 * minuteMs);
      stage.gate.cut();
      return async () => {
        process.kill(agent.pid, 'SIGCONT');
        await delay(10_000);
        stage.shiftClock(0);
      };
    },
  },
];

/** @param lifetimeMs of certificates */
export function stoppedFaults(lifetimeMs: number): readonly Fault[] {
  return [
    stopped('the agent stands still for a few seconds', 5_000),
    stopped('the agent stands still until after certificates have expired', lifetimeMs * 1.3),
  ];
}
