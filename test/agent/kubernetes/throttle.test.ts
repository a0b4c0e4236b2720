import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type CallPriority, createThrottle, type ThrottleOptions } from '../../../agent/kubernetes/throttle.ts';
import { createManualClock } from '../../support/manual-clock.ts';

const settled = (): Promise<void> => new Promise(setImmediate);

function start(options: Partial<ThrottleOptions> = {}) {
  const clock = createManualClock();
  const limits = { requestsPerSecond: 10, burst: 100, concurrency: 100, queueLimit: 100 };
  const throttle = createThrottle({ clock, ...limits, ...options });
  const entered: string[] = [];
  const leave = new Map<string, () => void>();
  const enter = async (
    name: string,
    priority: CallPriority = 'first',
    kind: 'call' | 'watch' = 'call',
    signal?: AbortSignal,
  ) => {
    const done = await throttle.enter(priority, kind, signal);
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
