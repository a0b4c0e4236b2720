/** What is added to a hurdle from events, when they are read, and when no more. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AgentError } from '../../../agent/base/errors.ts';
import { tellWithEvents } from '../../../agent/issuance/hurdle-events.ts';
import type { Hurdle } from '../../../agent/lifecycle/ports.ts';
import { createManualClock } from '../../support/manual-clock.ts';

const reference = { namespace: 'shop', requestName: 'a.cr' };
const approval: Hurdle = { turn: 'approver', text: 'it waits for its approval' };
const pending: Hurdle = { turn: 'signer', text: 'it is approved', detail: 'issuer not ready' };

function listen(read: () => Promise<string | undefined>) {
  const clock = createManualClock();
  const told: Hurdle[] = [];
  const readAt: number[] = [];
  const signals: AbortSignal[] = [];
  const begun = clock.now();
  const teller = tellWithEvents(
    {
      clock,
      read: (_namespace, _requestName, signal) => {
        readAt.push((clock.now() - begun) / 1_000);
        signals.push(signal);
        return read();
      },
    },
    reference,
    (hurdle) => void told.push(hurdle),
  );
  const pass = async (seconds: number): Promise<void> => {
    for (let second = 0; second < seconds; second += 1) {
      clock.advance(1_000);
      await settled();
    }
  };
  return { teller, told, readAt, signals, pass };
}

/** Lets promises that are resolved be answered. */
async function settled(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

describe('the events of a request', () => {
  it('are read shortly before its pod is told that it waits, and again at growing pauses', async () => {
    const { teller, told, readAt, pass } = listen(async () => 'Unprocessed: no policy');
    teller.hinder(approval);
    await pass(10);
    assert.deepEqual(told, [approval, { ...approval, detail: 'Unprocessed: no policy' }]);
    await pass(190);
    assert.deepEqual(readAt, [9, 27, 63, 135]);
    assert.equal(told.length, 2, 'what is said already is not told again');
    teller.end();
  });

  it('that are there no more, as after an hour, or cannot be read for once, take nothing back', async () => {
    const replies = ['Unprocessed: no policy', undefined, 'Unprocessed: no policy'];
    const { teller, told, readAt, pass } = listen(async () => replies.shift());
    teller.hinder(approval);
    await pass(70);
    assert.deepEqual(
      [readAt, told],
      [
        [9, 27, 63],
        [approval, { ...approval, detail: 'Unprocessed: no policy' }],
      ],
    );
    teller.end();
  });

  it('are not read where the request itself says why it waits, or has not been seen', async () => {
    const { teller, told, readAt, pass } = listen(async () => 'Unprocessed: no policy');
    await pass(20);
    teller.hinder(pending);
    await pass(20);
    assert.deepEqual([readAt, told], [[], [pending]]);
    teller.end();
  });

  it('are done without where they may not be read', async () => {
    const { teller, told, readAt, pass } = listen(async () => {
      throw new AgentError('Forbidden', 'cannot list events', { actor: 'cluster operator' });
    });
    teller.hinder(approval);
    await pass(30);
    assert.deepEqual([readAt, told], [[9, 27], [approval]]);
    teller.end();
  });

  it('that come when the request waits for something else, or is answered, are not told', async () => {
    const reply = Promise.withResolvers<string>();
    const { teller, told, signals, pass } = listen(() => reply.promise);
    teller.hinder(approval);
    await pass(10);
    teller.hinder(pending);
    reply.resolve('late');
    await settled();
    assert.deepEqual(told, [approval, pending]);
    teller.end();
    assert.equal(signals[0]?.aborted, true, 'the call is broken off');
  });

  it('are not read after the end', async () => {
    const { teller, readAt, pass } = listen(async () => 'late');
    teller.hinder(approval);
    teller.end();
    await pass(30);
    assert.deepEqual(readAt, []);
  });
});
