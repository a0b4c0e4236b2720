/**
 * Keeps an error that comes back with every retry from filling the log.
 */

import type { Logger } from './log.ts';

/** How long the same error is a repetition. */
const repetitionMs = 600_000;

/**
 * Tells whether an error says what the one before it said less than ten minutes ago.
 * @param now milliseconds on a clock that does not go back; default `performance.now`
 */
export function onceAWhile<E extends Error>(
  tell: (error: E, repeated: boolean) => void,
  now: () => number = () => performance.now(),
): (error: E) => void {
  let last = { message: '', at: Number.NEGATIVE_INFINITY };
  return (error) => {
    const repeated = error.message === last.message && now() - last.at < repetitionMs;
    if (!repeated) {
      last = { message: error.message, at: now() };
    }
    tell(error, repeated);
  };
}

/** Warns of errors under one message; a repetition is a line for debugging. */
export function warnOnce(log: Logger, message: string): (error: Error) => void {
  return onceAWhile((error, repeated) => log[repeated ? 'debug' : 'warn'](message, { error }));
}
