import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { AgentError } from '../../../agent/base/errors.ts';
import { createQueue } from '../../../agent/base/queue.ts';

describe('the job queue', () => {
  it('runs no more jobs at once than it may, first come, first served', async () => {
    const queue = createQueue({ name: 'jobs', concurrency: 2, maxWaiting: 10 });
    const gates = Array.from({ length: 5 }, () => Promise.withResolvers<void>());
    const started: number[] = [];
    const done = gates.map((gate, index) =>
      queue(() => {
        started.push(index);
        return gate.promise;
      }),
    );
    await nextTurn();
    assert.deepEqual(started, [0, 1]);
    gates[1]?.resolve();
    await done[1];
    await nextTurn();
    assert.deepEqual(started, [0, 1, 2]);
    for (const gate of gates) gate.resolve();
    await Promise.all(done);
    assert.deepEqual(started, [0, 1, 2, 3, 4]);
  });

  it('hands its place on when a job fails', async () => {
    const queue = createQueue({ name: 'jobs', concurrency: 1, maxWaiting: 10 });
    const failing = queue(() => Promise.reject(new Error('no')));
    const next = queue(() => Promise.resolve('yes'));
    await assert.rejects(failing, { message: 'no' });
    assert.equal(await next, 'yes');
  });

  it('refuses a job when too many wait, and takes jobs again afterwards', async () => {
    const queue = createQueue({ name: 'RSA keys', concurrency: 1, maxWaiting: 1 });
    const gate = Promise.withResolvers<void>();
    const running = queue(() => gate.promise);
    const waiting = queue(() => Promise.resolve());
    await assert.rejects(
      queue(() => Promise.resolve()),
      (error) => error instanceof AgentError && error.code === 'Unavailable' && /1 RSA keys/.test(error.message),
    );
    gate.resolve();
    await Promise.all([running, waiting]);
    assert.equal(await queue(() => Promise.resolve(7)), 7);
  });
});
