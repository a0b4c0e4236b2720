import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { createSystemClock } from '../../../agent/time/system-clock.ts';

const day = 24 * 3_600_000;

/** A wall clock that goes with the mocked timers, and that a test can set. */
function mockedClock(t: TestContext) {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  let now = Date.UTC(2026, 10, 21);
  const clock = createSystemClock({ wallClock: () => now });
  const pass = (milliseconds: number): void => {
    for (let left = milliseconds; left > 0; left -= 10_000) {
      now += Math.min(left, 10_000);
      t.mock.timers.tick(Math.min(left, 10_000));
    }
  };
  return {
    clock,
    pass,
    set: (time: number) => {
      now = time;
    },
  };
}

test('an alarm 91 days away rings when its time has come and not before', (t) => {
  const { clock, pass } = mockedClock(t);
  let rung = 0;
  clock.at(clock.now() + 91 * day, () => {
    rung += 1;
  });
  pass(91 * day - 20_000);
  assert.equal(rung, 0);
  pass(20_000);
  assert.equal(rung, 1);
  pass(day);
  assert.equal(rung, 1);
});

test('an alarm rings within half a minute after the wall clock was set forward past it', (t) => {
  const { clock, pass, set } = mockedClock(t);
  let rung = false;
  clock.at(clock.now() + day, () => {
    rung = true;
  });
  set(clock.now() + 2 * day);
  pass(30_000);
  assert.ok(rung, 'the alarm has not rung');
});

test('an alarm rings within half a minute after the wall clock was set back to before it was set', (t) => {
  const { clock, pass, set } = mockedClock(t);
  let rung = false;
  clock.at(clock.now() + 60_000, () => {
    rung = true;
  });
  set(clock.now() - day);
  pass(40_000);
  assert.ok(rung, 'the alarm has not rung');
});

test('a cancelled alarm does not ring, not even when it is due together with the alarm that cancels it', (t) => {
  const { clock, pass } = mockedClock(t);
  const rung: string[] = [];
  clock.at(clock.now() + 1000, () => {
    rung.push('first');
    cancel();
  });
  const cancel = clock.at(clock.now() + 1000, () => {
    rung.push('second');
  });
  pass(10_000);
  assert.deepEqual(rung, ['first']);
});

test('an alarm set earlier than those that wait rings first', (t) => {
  const { clock, pass } = mockedClock(t);
  const rung: string[] = [];
  clock.at(clock.now() + 20_000, () => rung.push('late'));
  clock.at(clock.now() + 5_000, () => rung.push('early'));
  pass(10_000);
  assert.deepEqual(rung, ['early']);
  pass(10_000);
  assert.deepEqual(rung, ['early', 'late']);
});

test('an alarm for a time that has passed rings at once, but not within the call that sets it', (t) => {
  const { clock } = mockedClock(t);
  let rung = false;
  clock.at(clock.now() - 1, () => {
    rung = true;
  });
  assert.equal(rung, false);
  t.mock.timers.tick(0);
  assert.ok(rung, 'the alarm has not rung');
});
