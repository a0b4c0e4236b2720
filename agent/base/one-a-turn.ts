/**
 * Many small pieces of work, one a turn of the event loop: together they hold up nothing, however many they are.
 */

/** Takes work for a later turn. Work that throws ends nothing but itself. */
export type OneATurn = (work: () => void) => void;

/** @param onFault takes what work threw. */
export function createOneATurn(onFault: (fault: unknown) => void): OneATurn {
  const waiting: (() => void)[] = [];

  const next = (): void => {
    const work = waiting.shift();
    if (waiting.length > 0) {
      setImmediate(next);
    }
    try {
      work?.();
    } catch (fault) {
      onFault(fault);
    }
  };

  return (work) => {
    waiting.push(work);
    if (waiting.length === 1) {
      setImmediate(next);
    }
  };
}
