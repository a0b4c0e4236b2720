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

/** Resolves when a condition holds, which is looked at after each pause. @throws when it does not come to hold in time */
export async function until(
  condition: () => boolean | Promise<boolean>,
  what: string | (() => string),
  pause: () => Promise<unknown> = nextTurn,
): Promise<void> {
  const giveUpAt = performance.now() + boundMs;
  while (!(await condition())) {
    if (performance.now() > giveUpAt) {
      throw new Error(`waited ${boundMs} ms in vain for ${typeof what === 'string' ? what : what()}`);
    }
    await pause();
  }
}
