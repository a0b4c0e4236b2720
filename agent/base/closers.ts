/**
 * Collects what must be released when the agent stops, and releases it in the reverse order of its making.
 */

export interface Closers {
  /** Adds a release; it runs before those that were added earlier. */
  add(close: () => void | Promise<void>): void;
  /** Runs all of them once, one after the other; one that fails is reported and keeps no other from running. */
  close(): Promise<void>;
}

export function createClosers(onFault: (error: unknown) => void): Closers {
  const closers: (() => void | Promise<void>)[] = [];
  let closed: Promise<void> | undefined;

  const closeAll = async (): Promise<void> => {
    for (const close of closers.toReversed()) {
      try {
        await close();
      } catch (error) {
        onFault(error);
      }
    }
  };

  return {
    add: (close) => void closers.push(close),
    close() {
      closed ??= closeAll();
      return closed;
    },
  };
}
