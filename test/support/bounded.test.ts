import assert from 'node:assert/strict';
import { getActiveResourcesInfo } from 'node:process';
import { test } from 'node:test';
import { withinBound } from './bounded.ts';

const timers = (): number => getActiveResourcesInfo().filter((name) => name === 'Timeout').length;

test('a wait for what never comes ends at its bound and says what did not come', async () => {
  const { promise: never } = Promise.withResolvers<void>();
  await assert.rejects(withinBound(never, 'the third line', 1), /^Error: waited 1 ms in vain for the third line$/);
  await assert.rejects(
    withinBound(never, () => 'a line after [b]', 1),
    /in vain for a line after \[b\]$/,
  );
});

test('a wait that is answered passes the answer or the fault on and leaves no timer behind', async () => {
  const before = timers();
  const fault = new Error('broken');
  assert.equal(await withinBound(Promise.resolve(7), 'seven'), 7);
  await assert.rejects(withinBound(Promise.reject(fault), 'seven'), fault);
  assert.equal(timers(), before);
});
