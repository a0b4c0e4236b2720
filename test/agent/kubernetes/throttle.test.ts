import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Rank } from '../../../agent/base/call.ts';
import { createThrottle, longestPauseMs, type ThrottleOptions } from '../../../agent/kubernetes/throttle.ts';
import { createManualClock } from '../../support/manual-clock.ts';

const settled = (): Promise<void> => new Promise(setImmediate);

function start(options: Partial<ThrottleOptions> = {}) {
  const clock = createManualClock();
  const limits = { requestsPerSecond: 10, burst: 100, concurrency: 100, queueLimit: 100 };
  const throttle = createThrottle({ clock, wallClock: clock.now, ...limits, ...options });
  const entered: string[] = [];
  const leave = new Map<string, () => void>();
  const enter = async (
    name: string,
    rank: Rank | Rank['priority'] = 'first',
    kind: 'call' | 'watch' = 'call',
    signal?: AbortSignal,
  ) => {
    const done = await throttle.enter(typeof rank === 'string' ? { priority: rank } : rank, kind, signal);
    entered.push(name);
    leave.set(name, done);
  };
  return { clock, throttle, entered, enter, leave };
}

test('a burst starts at once and the rest at the rate', async () => {
  const { clock, enter, entered } = start({ burst: 2, requestsPerSecond: 10 });
  for (const name of ['a', 'b', 'c', 'd']) {
    void enter(name);
  }
  await settled();
  assert.deepEqual(entered, ['a', 'b']);
  clock.advance(99);
  await settled();
  assert.deepEqual(entered, ['a', 'b']);
  clock.advance(1);
  await settled();
  assert.deepEqual(entered, ['a', 'b', 'c']);
  clock.advance(100);
  await settled();
  assert.deepEqual(entered, ['a', 'b', 'c', 'd']);
});

test('first issuances go before refreshes and those before the rest, each in its order', async () => {
  const { clock, enter, entered } = start({ burst: 1, requestsPerSecond: 1000 });
  void enter('start');
  void enter('b1', 'background');
  void enter('r1', 'refresh');
  void enter('f1', 'first');
  void enter('r2', 'refresh');
  void enter('f2', 'first');
  for (let tick = 0; tick < 6; tick += 1) {
    clock.advance(1);
  }
  await settled();
  assert.deepEqual(entered, ['start', 'f1', 'f2', 'r1', 'r2', 'b1']);
});

test('no more calls than allowed are under way, and watches do not count among them', async () => {
  const { enter, entered, leave, throttle } = start({ concurrency: 1 });
  void enter('a');
  void enter('b');
  void enter('w', 'background', 'watch');
  await settled();
  assert.deepEqual(entered, ['a', 'w']);
  leave.get('w')?.();
  await settled();
  assert.deepEqual(entered, ['a', 'w']);
  assert.deepEqual(throttle.load(), { waiting: 1, active: 1, pausedForMs: 0 });
  leave.get('a')?.();
  leave.get('a')?.();
  await settled();
  assert.deepEqual(entered, ['a', 'w', 'b']);
  assert.equal(throttle.load().active, 1);
});

test('a pause holds everything back, watches too, and a shorter one does not shorten it', async () => {
  const { clock, enter, entered, throttle } = start();
  throttle.pause(5_000);
  throttle.pause(1_000);
  void enter('a');
  void enter('w', 'first', 'watch');
  assert.equal(throttle.load().pausedForMs, 5_000);
  clock.advance(4_999);
  await settled();
  assert.deepEqual(entered, []);
  clock.advance(1);
  await settled();
  assert.deepEqual(entered, ['a', 'w']);
});

test('a pause that begins while calls wait for the rate holds them back too', async () => {
  const { clock, enter, entered, throttle } = start({ burst: 1 });
  void enter('a');
  void enter('b');
  throttle.pause(1_000);
  clock.advance(999);
  await settled();
  assert.deepEqual(entered, ['a']);
  clock.advance(1);
  await settled();
  assert.deepEqual(entered, ['a', 'b']);
});

test('who is ended while waiting leaves the queue, and one who was let in is not disturbed', async () => {
  const { clock, enter, entered, throttle } = start({ burst: 1 });
  const [inside, waiting] = [new AbortController(), new AbortController()];
  const first = enter('a', 'first', 'call', inside.signal);
  const second = enter('b', 'first', 'call', waiting.signal);
  await first;
  inside.abort();
  waiting.abort();
  await assert.rejects(second, { code: 'Aborted' });
  assert.equal(throttle.load().waiting, 0);
  clock.advance(1_000);
  await settled();
  assert.deepEqual(entered, ['a']);
  await assert.rejects(enter('c', 'first', 'call', AbortSignal.abort()), { code: 'Aborted' });
});

test('a full queue turns away the least important', async () => {
  const { enter, entered, throttle, clock } = start({ burst: 1, queueLimit: 2, requestsPerSecond: 1000 });
  await enter('a');
  void enter('refresh', 'refresh');
  const background = enter('background', 'background');
  const busy = { code: 'Unavailable', retryAfterMs: 1000 };
  const outcome = assert.rejects(background, busy);
  void enter('first', 'first');
  await outcome;
  await assert.rejects(enter('late', 'background'), busy);
  await assert.rejects(enter('late', 'refresh'), busy);
  assert.equal(throttle.load().waiting, 2);
  clock.advance(2);
  await settled();
  assert.deepEqual(entered, ['a', 'first', 'refresh']);
});

test('a new rate holds from the moment it is set', async () => {
  const { clock, enter, entered, throttle } = start({ burst: 1, requestsPerSecond: 0.001 });
  void enter('a');
  void enter('b');
  void enter('c');
  throttle.setRate({ requestsPerSecond: 10, burst: 1 });
  clock.advance(100);
  await settled();
  assert.deepEqual(entered, ['a', 'b']);
  clock.advance(100);
  await settled();
  assert.deepEqual(entered, ['a', 'b', 'c']);
});

test('closing turns away whoever waits and leaves no alarm behind', async () => {
  const { clock, enter, throttle } = start({ burst: 1 });
  await enter('a');
  const waiting = enter('b');
  throttle.close();
  await assert.rejects(waiting, { code: 'Aborted' });
  await assert.rejects(enter('c'), { code: 'Aborted' });
  assert.equal(clock.alarms(), 0);
});

const minute = 60_000;

test('a refresh does not wait for ever behind a steady stream of first issuances, nor does what nobody waits for', async () => {
  const { clock, enter, entered } = start({ burst: 1, requestsPerSecond: 1, queueLimit: 1000, concurrency: 1000 });
  void enter('start');
  void enter('refresh', 'refresh');
  void enter('event', 'background');
  for (let second = 1; second <= 10 * 60; second += 1) {
    void enter(`first ${second}`);
    if (second % 2 === 0) {
      void enter(`another ${second}`);
    }
    clock.advance(1_000);
    await settled();
  }
  // Three come every two seconds and two go: who came after t seconds goes after one and a half times t.
  const [refresh, event] = [entered.indexOf('refresh'), entered.indexOf('event')];
  assert.ok(refresh > 100 && refresh <= 185, `the refresh was number ${refresh}`);
  assert.ok(event > 400 && event <= 455, `the event was number ${event}`);
});

test('a refresh near its end goes before first issuances, the nearest first, and one with time after them', async () => {
  const { clock, enter, entered } = start({ burst: 1, requestsPerSecond: 1000 });
  void enter('start');
  void enter('first');
  void enter('in a day', { priority: 'refresh', expiresAt: 24 * 60 * minute });
  void enter('in nine minutes', { priority: 'refresh', expiresAt: 9 * minute });
  void enter('in one minute', { priority: 'refresh', expiresAt: minute });
  void enter('not known', 'refresh');
  clock.advance(10);
  await settled();
  assert.deepEqual(entered, ['start', 'in one minute', 'in nine minutes', 'first', 'in a day', 'not known']);
});

test('a refresh rises while it waits, and refreshes that are over and over keep no first issuance waiting for ever', async () => {
  const { clock, enter, entered } = start({ burst: 1, requestsPerSecond: 1 / 60 });
  void enter('start');
  void enter('first', 'first');
  for (let count = 1; count <= 30; count += 1) {
    void enter(`expired ${count}`, { priority: 'refresh', expiresAt: -60 * minute });
    clock.advance(minute);
    await settled();
  }
  const place = entered.indexOf('first');
  assert.ok(place > 5 && place <= 12, `the first issuance was number ${place}`);
});

test('pods take turns: one with many calls holds up another by one turn, and none that has begun is overtaken', async () => {
  const { clock, enter, entered } = start({ burst: 1, requestsPerSecond: 1000 });
  void enter('start');
  for (let count = 0; count < 50; count += 1) {
    void enter(`greedy ${count}`, { priority: 'first', owner: 'greedy' });
  }
  void enter('web 1', { priority: 'first', owner: 'web' });
  clock.advance(9);
  await settled();
  assert.equal(entered.at(-1), 'web 1');
  void enter('late', { priority: 'first', owner: 'late' });
  void enter('web 2', { priority: 'first', owner: 'web' });
  clock.advance(1);
  await settled();
  assert.equal(entered.at(-1), 'web 2', 'the second call stands where the first one stood');
});

test('a full queue turns away a call of the pod that has most, not the newcomer', async () => {
  const { clock, enter, entered } = start({ burst: 1, queueLimit: 20, requestsPerSecond: 1000 });
  void enter('start');
  const refused: string[] = [];
  for (let count = 0; count < 20; count += 1) {
    enter(`greedy ${count}`, { priority: 'first', owner: 'greedy' }).catch(() => refused.push(`greedy ${count}`));
  }
  void enter('web', { priority: 'first', owner: 'web' });
  await settled();
  assert.deepEqual(refused, ['greedy 19']);
  clock.advance(20);
  await settled();
  assert.ok(entered.includes('web'), `web is not in:\n${entered}`);
});

test('a pause is never longer than a minute, whatever the server says', () => {
  const { throttle } = start();
  throttle.pause(86_400_000);
  assert.equal(throttle.load().pausedForMs, longestPauseMs);
});

test('a refresh near its end does not sit a pause out, one call in ten seconds', async () => {
  const { clock, enter, entered, throttle } = start();
  throttle.pause(30_000);
  void enter('first');
  void enter('refresh', { priority: 'refresh', expiresAt: 60 * minute });
  for (const name of ['a', 'b', 'c']) {
    void enter(name, { priority: 'refresh', expiresAt: minute });
  }
  await settled();
  assert.deepEqual(entered, ['a']);
  clock.advance(9_999);
  await settled();
  assert.deepEqual(entered, ['a']);
  clock.advance(1);
  await settled();
  assert.deepEqual(entered, ['a', 'b']);
  clock.advance(20_000);
  await settled();
  assert.deepEqual(entered, ['a', 'b', 'c', 'first', 'refresh']);
});
