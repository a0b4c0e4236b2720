/**
 * Keeps work on what comes from outside short in each turn of the event loop, however many connections bring it: what exceeds a few
 * milliseconds waits for the next turn, in order.
 */

/** Does work now, or in a later turn. Work that may throw deals with that itself. */
export type TurnBudget = (work: () => void) => void;

/** What all work together may take of a turn, milliseconds; the last piece may exceed it. */
const turnMs = 4;

export function createTurnBudget(): TurnBudget {
  const waiting: (() => void)[] = [];
  let spentMs = 0;
  let isTurnKnown = false;

  function perform(work: () => void): void {
    const startedAt = performance.now();
    work();
    spentMs += performance.now() - startedAt;
    if (!isTurnKnown) {
      isTurnKnown = true;
      setImmediate(beginTurn);
    }
  }

  function beginTurn(): void {
    isTurnKnown = false;
    spentMs = 0;
    while (spentMs < turnMs) {
      const work = waiting.shift();
      if (work === undefined) {
        return;
      }
      perform(work);
    }
  }

  return (work) => {
    if (spentMs < turnMs && waiting.length === 0) {
      perform(work);
    } else {
      waiting.push(work);
    }
  };
}
