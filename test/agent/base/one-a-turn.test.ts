import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { createOneATurn } from '../../../agent/base/one-a-turn.ts';

test('work is done one piece a turn, in its order, and what one throws ends no other', async () => {
  const faults: unknown[] = [];
  const oneATurn = createOneATurn((fault) => faults.push(fault));
  const done: number[] = [];
  const broken = new Error('broken');
  for (const piece of [1, 2, 3]) {
    oneATurn(() => {
      done.push(piece);
      if (piece === 2) {
        throw broken;
      }
    });
  }
  // Taken while other work is done.
  oneATurn(() => oneATurn(() => done.push(5)));
  const counts: number[] = [];
  for (let turns = 0; turns < 6; turns += 1) {
    counts.push(done.length);
    await nextTurn();
  }
  assert.deepEqual(done, [1, 2, 3, 5]);
  assert.deepEqual(faults, [broken]);
  assert.ok(
    counts.every((count, turn) => turn === 0 || count - (counts[turn - 1] ?? 0) <= 1),
    `more than one piece in a turn: ${counts.join()}`,
  );
});
