/** A wait that ends: what a test waits for comes within a bound, or the test fails and says what did not come. */
import { type EventEmitter, once } from 'node:events';
import { setImmediate as nextTurn } from 'node:timers/promises';

/** The bound is for what never comes, not a measure of speed: a loaded machine does not reach it. */
export const boundMs = 60_000;

/** @throws when the promise is not settled within the bound, with `what` was waited for. */
export async function withinBound<T>(promise: Promise<T>, what: string | (() => string), ms = boundMs): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    reject(new Error(`waited ${ms} ms in vain for ${typeof what === 'string' ? what : what()}`));
  }, ms);
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** The next event of that name, within the bound: for what comes soon after. A long life's end is bounded where it is awaited. */
export function eventOf(emitter: EventEmitter | EventTarget, event: string, what: string): ReturnType<typeof once> {
  return withinBound(emitter instanceof EventTarget ? once(emitter, event) : once(emitter, event), what);
}

/**
 * For what waits for other code of this process alone, and for what the kernel has done already: it is no matter of time, and what does not
 * come within so many turns of the event loop never comes.
 */
export async function soon<T>(promise: Promise<T>, what: string): Promise<T> {
  const turns = async (): Promise<never> => {
    for (let turn = 0; turn < 1000; turn += 1) {
      await nextTurn();
    }
    throw new Error(`${what} did not come`);
  };
  return await Promise.race([promise, turns()]);
}

/** What does not hold after so many milliseconds is worth leaving the processor to those who bring it about. */
const eagerMs = 20;
const restMs = 5;
/** As it is before any test puts its own in its place. */
const systemTimer = setTimeout;

/**
 * Resolves when a condition holds, which is looked at after each pause: after each turn of the event loop at first, then every few
 * milliseconds. @throws when it does not come to hold in time
 */
export async function until(
  condition: () => boolean | Promise<boolean>,
  what: string | (() => string),
  pause?: () => Promise<unknown>,
): Promise<void> {
  const beganAt = performance.now();
  const rest = (): Promise<unknown> =>
    performance.now() - beganAt < eagerMs ? nextTurn() : new Promise((resolve) => systemTimer(resolve, restMs));
  while (!(await condition())) {
    if (performance.now() - beganAt > boundMs) {
      throw new Error(`waited ${boundMs} ms in vain for ${typeof what === 'string' ? what : what()}`);
    }
    await (pause ?? rest)();
  }
}
