/** Work at one path waits for the work before it, however that ended, and work at another path does not. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createTurns } from '../../../volumes/base/turns.ts';

test('work on one key is done in the order of the calls, work on another beside it, and a failure holds up nobody', async () => {
  const inTurn = createTurns();
  const log: string[] = [];
  const gates = [Promise.withResolvers<void>(), Promise.withResolvers<void>()] as const;
  const first = inTurn('a', async () => {
    log.push('a1 begins');
    await gates[0].promise;
    log.push('a1 ends');
    throw new Error('a1 failed');
  });
  const failed = assert.rejects(first, /a1 failed/);
  const second = inTurn('a', async () => {
    log.push('a2 begins');
    await gates[1].promise;
    log.push('a2 ends');
    return 2;
  });
  const work = async () => {
    log.push('b');
    return 'b';
  };
  assert.equal(await inTurn('b', work), 'b');
  assert.deepEqual(log, ['a1 begins', 'b']);
  gates[0].resolve();
  await failed;
  // The first is over, the second under way: the third waits for that one.
  const third = inTurn('a', async () => {
    log.push('a3');
  });
  await inTurn('b', work);
  gates[1].resolve();
  assert.equal(await second, 2);
  await third;
  assert.deepEqual(log, ['a1 begins', 'b', 'a1 ends', 'a2 begins', 'b', 'a2 ends', 'a3']);
});

test('nothing is kept of a key once its work is done', async (t) => {
  const keys = ['one key of this test', 'another'];
  const { set } = Map.prototype;
  const keptIn = new Set<Map<unknown, unknown>>();
  t.mock.method(Map.prototype, 'set', function note(this: Map<unknown, unknown>, key: unknown, value: unknown) {
    if (keys.some((each) => each === key)) {
      keptIn.add(this);
    }
    return set.call(this, key, value);
  });
  const inTurn = createTurns();
  await Promise.all([...keys, ...keys].map((key) => inTurn(key, async () => undefined)));
  assert.deepEqual(
    [...keptIn].map(({ size }) => size),
    [0],
  );
});
