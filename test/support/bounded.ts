/** A wait that ends: what a test waits for comes within a bound, or the test fails and says what did not come. */

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
