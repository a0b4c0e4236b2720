/** What the Date headers of replies tell of the API server's clock. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createServerClock } from '../../../agent/time/server-clock.ts';

const minute = 60_000;

test('the clock of the API server goes on from the last reply, in the middle of which it was read, whatever happens to the own one', () => {
  const own = { wall: 10_000, monotonic: 500 };
  const clock = createServerClock(
    () => own.wall,
    () => own.monotonic,
  );
  assert.deepEqual([clock.now(), clock.skewSeconds()], [undefined, undefined], 'nothing was heard');
  clock.observe(7_000, 200);
  assert.deepEqual([clock.now(), clock.skewSeconds()], [7_600, 2.4]);
  own.wall -= 3 * 60 * minute;
  own.monotonic += 1_000;
  assert.deepEqual([clock.now(), clock.skewSeconds()], [8_600, 2.4]);
  clock.observe(9_000, 0);
  assert.equal(clock.now(), 9_500);
});

test('a reply that took more than a second tells nothing, and one of a quarter of an hour ago nothing any more', () => {
  let monotonic = 0;
  const clock = createServerClock(
    () => 3_500,
    () => monotonic,
  );
  clock.observe(0, 1_000);
  clock.observe(9_000, 1_001);
  assert.deepEqual([clock.now(), clock.skewSeconds()], [1_000, 2.5]);
  monotonic = 15 * minute - 1;
  assert.deepEqual([clock.now(), clock.skewSeconds()], [15 * minute + 999, 2.5]);
  monotonic += 1;
  assert.deepEqual([clock.now(), clock.skewSeconds()], [undefined, undefined]);
});
