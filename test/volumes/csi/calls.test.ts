/** What all calls share: until when they may take, what ends them, and that each is answered with what can travel. */
import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { type TestContext, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { ServerUnaryCall } from '@grpc/grpc-js';
import { VolumeError } from '../../../volumes/base/errors.ts';
import { type CallContext, createCalls } from '../../../volumes/csi/calls.ts';
import type { Log } from '../../../volumes/csi/driver.ts';
import { CallError } from '../../../volumes/csi/status.ts';
import { soon } from '../../support/bounded.ts';

type Handler = (request: string, context: CallContext) => Promise<string>;

const now = 1_790_000_000_000;

function open(t: TestContext, opened: Promise<void> = Promise.resolve()) {
  t.mock.method(Date, 'now', () => now);
  const lines: { readonly level: string; readonly message: string; readonly fields: unknown }[] = [];
  const at = (level: string) => (message: string, fields?: unknown) => void lines.push({ level, message, fields });
  const log: Log = { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
  const calls = createCalls(log, 1000, opened);
  /** Makes one call. */
  const make = (handler: Handler, deadline: Date | number = Number.POSITIVE_INFINITY) => {
    const call = Object.assign(new EventEmitter(), { request: 'asked', getDeadline: () => deadline });
    const { promise, resolve } = Promise.withResolvers<unknown>();
    calls.handle<string, string>('Method', handler)(call as ServerUnaryCall<string, string>, (error, response) =>
      resolve(error ?? response),
    );
    return { call, answer: soon(promise, 'the answer') };
  };
  return { calls, lines, make };
}

test('a call is answered with what its handler gives, by its own deadline or by the usual one', async (t) => {
  const { lines, make, calls } = open(t);
  const deadlines: number[] = [];
  const handler: Handler = async (request, { deadline, signal }) => {
    deadlines.push(deadline);
    return `${request}, and ${signal.aborted ? 'given up' : 'answered'}`;
  };
  for (const deadline of [Number.POSITIVE_INFINITY, new Date(now + 5), now + 7]) {
    assert.equal(await make(handler, deadline).answer, 'asked, and answered');
  }
  assert.deepEqual(deadlines, [now + 1000, now + 5, now + 7]);
  await calls.answered();
  const fields = { method: 'Method', tookMs: 0 };
  assert.deepEqual(lines, Array(3).fill({ level: 'debug', message: 'call answered', fields }));
});

test('who gives up, and a server that ends, fire the signal of a call, and nothing listens to a call that is over', async (t) => {
  const { calls, make } = open(t);
  const whenAborted: Handler = (_request, { signal }) =>
    new Promise((resolve) => signal.addEventListener('abort', () => resolve('ended')));
  const first = make(whenAborted);
  const second = make(whenAborted);
  await Promise.resolve();
  first.call.emit('cancelled');
  assert.equal(await first.answer, 'ended');
  await Promise.resolve();
  assert.equal(first.call.listenerCount('cancelled'), 0);
  assert.equal(second.call.listenerCount('cancelled'), 1, 'the other call goes on');
  calls.abort();
  assert.equal(await second.answer, 'ended');
  await calls.answered();
  assert.equal(second.call.listenerCount('cancelled'), 0);
  assert.equal(await make(async (_request, { signal }) => String(signal.aborted)).answer, 'true', 'and later ones');
});

test('before all is open no call is handled, and what keeps it from opening is the answer', async (t) => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const { make } = open(t, promise);
  const handled: string[] = [];
  const { answer } = make(async (request) => {
    handled.push(request);
    return 'done';
  });
  await Promise.resolve();
  assert.deepEqual(handled, []);
  resolve();
  assert.equal(await answer, 'done');
  const closed = open(t, Promise.reject(new VolumeError('MountFailed', 'not shared')));
  assert.deepEqual(await closed.make(async () => 'done').answer, { code: 14, details: 'not shared' });
});

test('an error becomes a status that can travel, and the log has all of what nobody foresaw', async (t) => {
  const { calls, lines, make } = open(t);
  const failing = (error: unknown) => make(() => Promise.reject(error)).answer;
  for (const [details, shown] of [
    ['two\nlines\u0000\u0001 and a tab\t', 'two lines  and a tab '],
    ['half a \ud83d character', 'half a \ufffd character'],
    ['x'.repeat(5000), 'x'.repeat(4096)],
    [`${'x'.repeat(4095)}😀`, `${'x'.repeat(4095)}\ufffd`],
  ] as const) {
    lines.length = 0;
    assert.deepEqual(await failing(new CallError(3, details)), { code: 3, details: shown });
    const fields = { method: 'Method', tookMs: 0, code: 3, detail: shown };
    assert.deepEqual(lines, [{ level: 'debug', message: 'call answered with an error', fields }]);
  }
  lines.length = 0;
  const error = new RangeError('a secret');
  const details = "a fault in the agent itself; the agent's log has it";
  assert.deepEqual(await failing(error), { code: 14, details });
  const fields = { method: 'Method', tookMs: 0, code: 14, detail: details, error };
  assert.deepEqual(lines, [{ level: 'error', message: 'call failed', fields }]);
  await calls.answered();
});

test('all is answered when no call is left, those that began meanwhile included, and one that cannot be is told', async (t) => {
  const { calls, lines, make } = open(t);
  const gates = [Promise.withResolvers<string>(), Promise.withResolvers<string>()] as const;
  let isAnswered = false;
  make(() => gates[0].promise);
  const answered = calls.answered().then(() => {
    isAnswered = true;
  });
  const { answer } = make(() => gates[1].promise);
  gates[0].resolve('first');
  await nextTurn();
  assert.equal(isAnswered, false);
  gates[1].resolve('second');
  assert.equal(await answer, 'second');
  await soon(answered, 'the end of all calls');

  const fault = new Error('the stream is gone');
  const call = Object.assign(new EventEmitter(), { request: 'asked', getDeadline: () => now });
  calls.handle<string, string>('Method', async () => 'done')(call as ServerUnaryCall<string, string>, () => {
    throw fault;
  });
  await soon(calls.answered(), 'the end of the call');
  assert.deepEqual(lines.at(-1), {
    level: 'error',
    message: 'a call was not answered',
    fields: { method: 'Method', error: fault },
  });
});
