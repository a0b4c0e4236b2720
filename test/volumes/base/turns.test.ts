/** Work at one path waits for the work before it, however that ended, and work at another path does not. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createTurns } from '../../../volumes/base/turns.ts';

test('work on one key is done in the order of the calls, work on another beside it, and a failure holds up nobody', async () => {
  const inTurn = createTurns();
  const log: string[] = [];
  const gate = Promise.withResolvers<void>();
  const first = inTurn('a', async () => {
    log.push('a1 begins');
    await gate.promise;
    log.push('a1 ends');
    throw new Error('a1 failed');
  });
  const failed = assert.rejects(first, /a1 failed/);
  const second = inTurn('a', async () => {
    log.push('a2');
    return 2;
  });
  assert.equal(
    await inTurn('b', async () => {
      log.push('b');
      return 'b';
    }),
    'b',
  );
  assert.deepEqual(log, ['a1 begins', 'b']);
  gate.resolve();
  await failed;
  // While the second is under way the third still waits for it.
  const third = inTurn('a', async () => {
    log.push('a3');
  });
  assert.equal(await second, 2);
  await third;
  assert.deepEqual(log, ['a1 begins', 'b', 'a1 ends', 'a2', 'a3']);
});
