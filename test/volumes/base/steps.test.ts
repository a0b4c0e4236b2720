/** Work in steps: in turn, a few milliseconds each, and ended where it stands. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { atOnce, createWorker, mostSteps, type Steps, stepsUntil } from '../../../volumes/base/steps.ts';

const always = (): void => {};

/** Steps that each take some processor time. */
function* work(steps: number, onStep: () => void = always, onEnd: () => void = always): Steps<number> {
  try {
    for (let step = 0; step < steps; step += 1) {
      const until = performance.now() + 0.2;
      while (performance.now() < until) {
        // A step that takes time.
      }
      onStep();
      yield;
    }
    return steps;
  } finally {
    onEnd();
  }
}

test('steps are taken until the time given, and one when it is over already', (t) => {
  let now = 0;
  t.mock.method(performance, 'now', () => now);
  let taken = 0;
  function* fiveMilliseconds(): Steps<string> {
    for (; taken < 5; taken += 1) {
      now += 1;
      yield;
    }
    return 'done';
  }
  const steps = fiveMilliseconds();
  const takenBy = (until: number) => [stepsUntil(steps, until), now];
  const more = { done: false, value: undefined };
  assert.deepEqual(takenBy(3), [more, 3]);
  assert.deepEqual(takenBy(3), [more, 4]);
  assert.deepEqual(takenBy(9), [{ done: true, value: 'done' }, 5]);
});

test('work that is known to be short is done at once', () => {
  let steps = 0;
  const count = (): void => {
    steps += 1;
  };
  assert.deepEqual([atOnce(work(0, count)), steps], [0, 0]);
  assert.deepEqual([atOnce(work(3, count)), steps], [3, 3]);
});

test('work of more steps than it may take ends where it stands, and lets go of what it holds', () => {
  for (const [steps, most, taken] of [
    [3, 3, 3],
    [3, 4, 3],
    [4, 3, 3],
    [1, 0, 0],
  ] as const) {
    let ends = 0;
    const work = function* (): Steps<void> {
      try {
        for (let step = 0; step < steps; step += 1) {
          yield;
        }
      } finally {
        ends += 1;
      }
    };
    assert.deepEqual([[...mostSteps(work(), most)].length, ends], [taken, 1], `${steps} steps of ${most}`);
  }
});

test('long work lets short work, and whatever else there is, have its turn', async () => {
  const worker = createWorker();
  let stepsOfLong = 0;
  let turns = 0;
  let isOver = false;
  const long = worker.carryOut(
    work(1000, () => {
      stepsOfLong += 1;
    }),
    always,
  );
  const tick = (): void => {
    turns += 1;
    if (!isOver) {
      setImmediate(tick);
    }
  };
  tick();
  assert.equal(await worker.carryOut(work(2), always), 2);
  assert.ok(stepsOfLong < 500, `${stepsOfLong} of 1000 steps were taken before two of another's`);
  assert.equal(await long, 1000);
  isOver = true;
  assert.ok(turns > 10, `${turns} turns of the event loop`);
});

test('work that may not go on ends, lets go of what it holds, and holds up no other', async () => {
  const worker = createWorker();
  let isGone = false;
  let ends = 0;
  const goOn = (): void => {
    if (isGone) {
      throw new Error('the volume is gone');
    }
  };
  const ended = worker.carryOut(
    work(1000, always, () => {
      ends += 1;
    }),
    goOn,
  );
  const other = worker.carryOut(work(100), always);
  await new Promise((resolve) => setImmediate(resolve));
  isGone = true;
  await assert.rejects(ended, /the volume is gone/);
  assert.equal(ends, 1);
  assert.equal(await other, 100);
});

test('a fault of work is its own', async () => {
  const worker = createWorker();
  const faulty = worker.carryOut(
    work(1000, () => {
      throw new RangeError('broken');
    }),
    always,
  );
  const other = worker.carryOut(work(3), always);
  await assert.rejects(faulty, RangeError);
  assert.equal(await other, 3);
});

test('all work together holds a turn up for four milliseconds, however much there is, and fills them', async (t) => {
  let now = 0;
  t.mock.method(performance, 'now', () => now);
  const worker = createWorker();
  const inTurns: number[] = [];
  let steps = 0;
  let isOver = false;
  const tick = (): void => {
    inTurns.push(steps);
    steps = 0;
    if (!isOver) {
      setImmediate(tick);
    }
  };
  function* millisecondsOf(count: number): Steps<void> {
    for (let step = 0; step < count; step += 1) {
      now += 1;
      steps += 1;
      yield;
    }
  }
  setImmediate(tick);
  // The second round finds a worker that had nothing left to do.
  for (const round of ['first', 'second']) {
    await Promise.all(Array.from({ length: 6 }, () => worker.carryOut(millisecondsOf(10), always)));
    const taken = inTurns.filter((count) => count > 0);
    assert.ok(Math.max(...taken, steps) <= 4, `${taken.join(', ')} steps in the turns of the ${round} round`);
    assert.ok(taken.length <= 17 && taken.length >= 14, `60 steps took ${taken.length} turns`);
    inTurns.length = 0;
    steps = 0;
  }
  isOver = true;
});

test('short work shares a turn', async (t) => {
  let now = 0;
  t.mock.method(performance, 'now', () => now);
  const worker = createWorker();
  let turns = 0;
  let isOver = false;
  const tick = (): void => {
    turns += 1;
    if (!isOver) {
      setImmediate(tick);
    }
  };
  setImmediate(tick);
  function* short(): Steps<void> {
    now += 0.25;
    yield;
  }
  await Promise.all(Array.from({ length: 15 }, () => worker.carryOut(short(), always)));
  isOver = true;
  assert.ok(turns <= 4, `${turns} turns for what fits into one`);
});
