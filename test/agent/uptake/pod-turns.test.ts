/** Turns between pods: one that is slow costs another a moment, whatever it has answered before. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { createPodTurns } from '../../../agent/uptake/pod-turns.ts';
import { until } from '../../support/bounded.ts';

const calledOff = 'called off';

/** Pods whose answers the test gives; time passes when the test says so. */
function createPods(t: TestContext) {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const turns = createPodTurns({ name: 'questions' });
  /** In the order in which they were asked. */
  const asked: string[] = [];
  const answers = new Map<string, () => void>();
  const settled: string[] = [];

  const ask = (podUID: string, signal = new AbortController().signal): void => {
    const job = (ended: AbortSignal, begin: () => void): Promise<string> => {
      begin();
      asked.push(podUID);
      return new Promise((resolve) => {
        answers.set(podUID, () => resolve('answered'));
        ended.addEventListener('abort', () => resolve(calledOff), { once: true });
      });
    };
    void turns(podUID, signal, job).then(
      (result) => settled.push(`${podUID} ${result}`),
      (error: Error) => settled.push(`${podUID} ${error.message.replace(/ within .*/, '')}`),
    );
  };

  const answer = async (podUID: string): Promise<void> => {
    answers.get(podUID)?.();
    await nextTurn();
  };
  const pass = async (ms: number): Promise<void> => {
    // First those begin whose turn it is.
    await nextTurn();
    t.mock.timers.tick(ms);
    await nextTurn();
  };
  return { ask, answer, pass, asked, settled };
}

const named = (name: string, count: number): readonly string[] =>
  Array.from({ length: count }, (_, index) => `${name}-${index}`);

test('a turn ends after half a second, and no sooner; the answer is waited for on, in 16 places', async (t) => {
  const { ask, answer, pass, asked, settled } = createPods(t);
  const slow = named('slow', 25);
  for (const pod of slow) {
    ask(pod);
  }
  await pass(499);
  assert.equal(asked.length, 8, 'turns under way');
  await pass(1);
  assert.equal(asked.length, 16);
  await pass(500);
  assert.deepEqual([asked.length, settled], [24, []], '8 have their turn, and 16 are waited for');
  await answer('slow-3');
  assert.deepEqual(settled, ['slow-3 answered'], 'however late it is');
  await pass(500);
  assert.deepEqual(
    settled.slice(1).sort(),
    [0, 1, 2, 4, 5, 6, 7].map((index) => `slow-${index} the pod did not answer`),
    'whoever has had most time makes room',
  );
  assert.deepEqual(asked, slow);
});

test('a pod that has answered quickly goes first, then one of which nothing is known, and slow ones last', async (t) => {
  const { ask, answer, pass, asked } = createPods(t);
  ask('quick');
  ask('slow');
  await nextTurn();
  await answer('quick');
  await pass(500);
  await answer('slow');
  for (const pod of named('other', 8)) {
    ask(pod);
  }
  for (const pod of ['slow', 'unknown', 'quick']) {
    ask(pod);
  }
  await nextTurn();
  for (const pod of named('other', 3)) {
    await answer(pod);
  }
  assert.deepEqual(asked.slice(-3), ['quick', 'unknown', 'slow']);
  await answer('slow');
  await answer('unknown');
  for (const pod of [...named('full', 7), 'never-seen', 'slow']) {
    ask(pod);
  }
  await nextTurn();
  for (const pod of [...named('other', 8), ...named('full', 7)]) {
    await answer(pod);
  }
  assert.ok(asked.lastIndexOf('slow') < asked.lastIndexOf('never-seen'), 'a slow one that has become quick is one');
});

test('many slow answers of one pod make room before those of others', async (t) => {
  const { ask, pass, settled } = createPods(t);
  ask('honest');
  for (let count = 0; count < 20; count += 1) {
    ask('greedy');
  }
  for (let turn = 0; turn < 5; turn += 1) {
    await pass(500);
  }
  assert.deepEqual(new Set(settled), new Set(['greedy the pod did not answer']));
  assert.equal(settled.length, 21 - 16);
});

test('what is called off leaves its place, and says nothing of how fast the pod is', async (t) => {
  const { ask, pass, asked, settled } = createPods(t);
  const ends = new AbortController();
  for (const pod of named('slow', 16)) {
    ask(pod, ends.signal);
  }
  await pass(500);
  await pass(500);
  ends.abort();
  await until(() => settled.length === 16, 'all to end');
  assert.ok(
    settled.every((line) => line.endsWith(calledOff)),
    settled.join(', '),
  );
  for (const pod of named('next', 24)) {
    ask(pod);
  }
  await pass(500);
  await pass(500);
  await pass(500);
  assert.equal(asked.length, 40);
  assert.equal(settled.length, 16 + 8, 'the places were free');
});
