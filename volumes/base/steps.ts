/**
 * Work on files in small steps, so that however much of it a pod's author can ask for, the event loop is never held up for long.
 *
 * A step is what lies between two `yield`s: one file or directory. Steps are taken for a few milliseconds in each turn of the event
 * loop, by whoever has work to do in turn, so that a volume with thousands of files delays one with two files by little.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';

/** Work that may pause wherever it yields. */
export type Steps<Result> = Generator<void, Result, void>;

/** Carries work out. */
export interface Worker {
  /**
   * @param goOn asked at the beginning of each turn; what it throws ends the work where it stands
   */
  carryOut<Result>(steps: Steps<Result>, goOn: () => void): Promise<Result>;
}

/** All steps of all work together hold a turn up for as long as this, and one step more. */
const turnMs = 4;

export function createWorker(): Worker {
  /** Each takes steps until the time given, and tells whether there are more. */
  const waiting: ((until: number) => boolean)[] = [];
  let isWorking = false;

  async function work(): Promise<void> {
    isWorking = true;
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      await nextTurn();
      const until = performance.now() + turnMs;
      // Short work shares a turn.
      for (; next !== undefined; next = performance.now() < until ? waiting.shift() : undefined) {
        if (next(until)) {
          waiting.push(next);
        }
      }
    }
    isWorking = false;
  }

  return {
    carryOut(steps, goOn) {
      return new Promise((resolve, reject) => {
        waiting.push((until) => {
          try {
            const last = takeSteps(steps, goOn, until);
            if (last.done !== true) {
              return true;
            }
            resolve(last.value);
          } catch (error) {
            reject(error);
          }
          return false;
        });
        if (!isWorking) {
          void work();
        }
      });
    },
  };
}

function takeSteps<Result>(steps: Steps<Result>, goOn: () => void, until: number): IteratorResult<void, Result> {
  try {
    goOn();
  } catch (error) {
    closeSteps(steps);
    throw error;
  }
  return stepsUntil(steps, until);
}

/** Takes steps until the time given, as `performance.now()` has it, and one in any case. @returns the last of them */
export function stepsUntil<Result>(steps: Steps<Result>, until: number): IteratorResult<void, Result> {
  let last = steps.next();
  while (last.done !== true && performance.now() < until) {
    last = steps.next();
  }
  return last;
}

/** So many of the steps at most: after them the work ends where it stands. */
export function* mostSteps(steps: Steps<void>, most: number): Steps<void> {
  let left = most;
  for (const step of steps) {
    left -= 1;
    if (left < 0) {
      return;
    }
    yield step;
  }
}

/** Ends work where it stands: it lets go of what it holds, and does nothing more. */
function closeSteps(steps: Generator<void, unknown, void>): void {
  steps.return(undefined);
}

/** Takes all steps at once, for work that is known to be short. */
export function atOnce<Result>(steps: Steps<Result>): Result {
  for (let last = steps.next(); ; last = steps.next()) {
    if (last.done === true) {
      return last.value;
    }
  }
}
