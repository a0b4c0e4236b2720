/**
 * Keeps work on what comes from outside short in each turn of the event loop, however many connections bring it: what exceeds a few
 * milliseconds waits for the next turn, in order.
 */

/**
 * Does work now, or in a later turn. Work that comes in pieces returns true while there is more of it; no other is begun before it is
 * done. Work that may throw deals with that itself.
 */
export type TurnBudget = (work: () => boolean) => void;

/** What all work together may take of a turn, milliseconds; the last piece may exceed it. */
const turnMs = 4;

export function createTurnBudget(): TurnBudget {
  const waiting: (() => boolean)[] = [];
  let spentMs = 0;
  let isTurnKnown = false;

  /** @returns true when there is more of it than the turn has time for */
  function perform(work: () => boolean): boolean {
    for (;;) {
      const startedAt = performance.now();
      const isMore = work();
      spentMs += performance.now() - startedAt;
      if (!isTurnKnown) {
        isTurnKnown = true;
        setImmediate(beginTurn);
      }
      if (!isMore || spentMs >= turnMs) {
        return isMore;
      }
    }
  }

  function beginTurn(): void {
    isTurnKnown = false;
    spentMs = 0;
    while (spentMs < turnMs) {
      const [work] = waiting;
      if (work === undefined) {
        return;
      }
      if (!perform(work)) {
        waiting.shift();
      }
    }
  }

  return (work) => {
    if (spentMs >= turnMs || waiting.length > 0 || perform(work)) {
      waiting.push(work);
    }
  };
}
