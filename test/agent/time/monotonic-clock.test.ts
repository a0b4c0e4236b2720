import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createMonotonicClock } from '../../../agent/time/monotonic-clock.ts';

test('an alarm rings once its time has come, not before, and not when it is cancelled', async (t) => {
  const clock = createMonotonicClock();
  const keepAlive = setInterval(() => {}, 1_000);
  t.after(() => clearInterval(keepAlive));
  const start = clock.now();
  let cancelled = true;
  clock.at(start + 5, () => {
    cancelled = false;
  })();
  await new Promise<void>((resolve) => clock.at(start + 20, resolve));
  assert.ok(clock.now() >= start + 20, `${clock.now()} is less than ${start + 20}`);
  await new Promise<void>((resolve) => clock.at(start, resolve));
  assert.equal(cancelled, true);
});

test('an alarm further away than a timer can wait does not ring at once', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  let rung = false;
  const clock = createMonotonicClock();
  const cancel = clock.at(clock.now() + 2 ** 32, () => {
    rung = true;
  });
  t.mock.timers.tick(2 ** 31);
  assert.equal(rung, false);
  cancel();
});
