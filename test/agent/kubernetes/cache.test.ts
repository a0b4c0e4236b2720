import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SharedRank } from '../../../agent/base/call.ts';
import { createCache } from '../../../agent/kubernetes/cache.ts';

const call = callOf(new AbortController().signal);

function callOf(signal: AbortSignal) {
  return { priority: 'first', signal } as const;
}

function scripted(size = 10) {
  const time = { now: 0 };
  const asked: string[] = [];
  const ranks: SharedRank[] = [];
  const open: { resolve: (answer: string) => void; reject: (fault: Error) => void }[] = [];
  const cache = createCache({
    clock: { now: () => time.now, at: () => () => {} },
    keepMs: 100,
    size,
    read: (key, rank) => {
      asked.push(key);
      ranks.push(rank);
      return new Promise<string>((resolve, reject) => open.push({ resolve, reject }));
    },
  });
  return { cache, asked, ranks, open, time };
}

test('one who leaves does not take the answer from the others', async () => {
  const { cache, asked, open } = scripted();
  const leaving = new AbortController();
  const first = cache.get('a', callOf(leaving.signal));
  const second = cache.get('a', call);
  leaving.abort();
  await assert.rejects(first, { code: 'Aborted' });
  open[0]?.resolve('answer');
  assert.equal(await second, 'answer');
  assert.deepEqual(asked, ['a']);
  await assert.rejects(cache.get('a', callOf(AbortSignal.abort())), { code: 'Aborted' });
});

test('a fault is told to all who wait and not remembered', async () => {
  const { cache, asked, open } = scripted();
  const both = [cache.get('a', call), cache.get('a', call)];
  open[0]?.reject(new Error('away'));
  await Promise.all(both.map((one) => assert.rejects(one, /away/)));
  const again = cache.get('a', call);
  open[1]?.resolve('back');
  assert.equal(await again, 'back');
  assert.equal(asked.length, 2);
});

test('many who do not like the remembered answer share the new one', async () => {
  const { cache, asked, open } = scripted();
  const known = cache.get('a', call);
  open[0]?.resolve('old');
  await known;
  const likes = (answer: string): boolean => answer !== 'old';
  const both = [cache.get('a', call, likes), cache.get('a', call, likes)];
  await new Promise(setImmediate);
  open[1]?.resolve('new');
  assert.deepEqual(await Promise.all(both), ['new', 'new']);
  assert.equal(asked.length, 2);
});

test('the oldest answers are forgotten when there are too many', async () => {
  const { cache, asked, open } = scripted(2);
  for (const key of ['a', 'b', 'c', 'b', 'c', 'a']) {
    const answer = cache.get(key, call);
    open.at(-1)?.resolve(key);
    assert.equal(await answer, key);
  }
  assert.deepEqual(asked, ['a', 'b', 'c', 'a']);
});

test('an answer that is under way for long is not asked for again, and counts from when it came', async () => {
  const { cache, asked, open, time } = scripted();
  const first = cache.get('a', call);
  time.now = 5_000;
  const second = cache.get('a', call);
  open[0]?.resolve('answer');
  assert.deepEqual(await Promise.all([first, second]), ['answer', 'answer']);
  time.now = 5_099;
  assert.equal(await cache.get('a', call), 'answer');
  assert.deepEqual(asked, ['a']);
  time.now = 5_100;
  void cache.get('a', call);
  assert.deepEqual(asked, ['a', 'a']);
});

test('a question has the ranks of all who wait for its answer, each pod once', async () => {
  const { cache, ranks } = scripted();
  void cache.get('a', { ...call, priority: 'refresh', owner: 'one' });
  void cache.get('a', { ...call, owner: 'two' });
  void cache.get('a', { ...call, owner: 'two' });
  await new Promise(setImmediate);
  assert.deepEqual(ranks, [{ priority: 'refresh', owner: 'one', alsoFor: [{ priority: 'first', owner: 'two' }] }]);
});
