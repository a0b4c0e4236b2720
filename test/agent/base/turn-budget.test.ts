import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { createTurnBudget } from '../../../agent/base/turn-budget.ts';

/** Uses up what a turn has, by the only clock that the budget knows. */
function spend(ms: number): void {
  const until = performance.now() + ms;
  while (performance.now() < until) {
    // Nothing but time.
  }
}

test('work in pieces is done over several turns, in order, and what comes later waits for it', async () => {
  const budget = createTurnBudget();
  const done: string[] = [];
  const inPieces = (name: string, pieces: number): void => {
    let left = pieces;
    budget(() => {
      spend(5);
      left -= 1;
      done.push(`${name}${left}`);
      return left > 0;
    });
  };
  inPieces('a', 3);
  inPieces('b', 2);
  budget(() => {
    done.push('end');
    return false;
  });
  const turns: number[] = [];
  while (!done.includes('end')) {
    turns.push(done.length);
    await nextTurn();
  }
  assert.deepEqual(done, ['a2', 'a1', 'a0', 'b1', 'b0', 'end']);
  assert.deepEqual(turns, [1, 2, 3, 4, 5], 'a piece a turn, since each takes more than a turn has');
});
