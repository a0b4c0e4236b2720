import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { AgentError } from '../../../agent/base/errors.ts';
import { createQueue, type JobOptions, type QueueOptions } from '../../../agent/base/queue.ts';

describe('the job queue', { timeout: 10_000 }, () => {
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
    for (const gate of gates) {
      gate.resolve();
    }
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

  it('lets owners take turns, job by job, however many jobs one of them has', async () => {
    const { add, finish } = order();
    for (let count = 1; count <= 32; count += 1) {
      add(`greedy ${count}`, { priority: 'first', owner: 'greedy' });
    }
    add('web', { priority: 'first', owner: 'web' });
    add('shop', { priority: 'first', owner: 'shop' });
    const ran = await finish();
    assert.deepEqual(ran.slice(0, 5), ['greedy 1', 'greedy 2', 'web', 'shop', 'greedy 3']);
  });

  it('takes what replaces a certificate near its end first, and a refresh with time after first certificates', async () => {
    const { add, finish } = order();
    add('running', { priority: 'first' });
    add('first', { priority: 'first', owner: 'a' });
    add('in a day', { priority: 'refresh', owner: 'b', expiresAt: 86_400_000 });
    add('in a minute', { priority: 'refresh', owner: 'c', expiresAt: 60_000 });
    assert.deepEqual(await finish(), ['running', 'in a minute', 'first', 'in a day']);
  });

  it('refuses an owner who has too many jobs waiting, and nobody else', async () => {
    const { add, finish } = order({ maxWaitingPerOwner: 2 });
    add('running', { priority: 'first' });
    const owner = 'greedy';
    add('greedy 1', { priority: 'first', owner });
    add('greedy 2', { priority: 'first', owner });
    await assert.rejects(add('greedy 3', { priority: 'first', owner }), {
      code: 'Unavailable',
      message: '2 jobs of this pod are waiting already; the next is taken when one is done',
    });
    add('web', { priority: 'first', owner: 'web' });
    assert.deepEqual(await finish(), ['running', 'greedy 1', 'web', 'greedy 2']);
  });

  it('does nothing for whoever has gone before their turn, and gives the place to the next', async () => {
    const { add, finish } = order({ maxWaiting: 2 });
    const gone = new AbortController();
    add('running', { priority: 'first' });
    const ended = assert.rejects(add('gone', { priority: 'first', signal: gone.signal }), { code: 'Aborted' });
    gone.abort();
    await ended;
    await assert.rejects(add('late', { priority: 'first', signal: gone.signal }), { code: 'Aborted' });
    add('web', { priority: 'first' });
    add('shop', { priority: 'first' });
    assert.deepEqual(await finish(), ['running', 'web', 'shop']);
  });

  it('when it is full, refuses the last job of the owner who has most', async () => {
    const { add, finish } = order({ maxWaiting: 2 });
    add('running', { priority: 'first' });
    add('greedy 1', { priority: 'first', owner: 'greedy' });
    const last = assert.rejects(add('greedy 2', { priority: 'first', owner: 'greedy' }), { code: 'Unavailable' });
    add('web', { priority: 'first', owner: 'web' });
    await last;
    assert.deepEqual(await finish(), ['running', 'greedy 1', 'web']);
  });
});

/** A queue of one job at a time that is held up until `finish`, which tells in which order the jobs ran. */
function order(options: Partial<QueueOptions> = {}) {
  const times = { now: () => 0, wallNow: () => 0 };
  const queue = createQueue({ name: 'jobs', concurrency: 1, maxWaiting: 100, ...times, ...options });
  const gate = Promise.withResolvers<void>();
  const ran: string[] = [];
  const jobs: Promise<void>[] = [];
  const add = (name: string, rank: JobOptions): Promise<void> => {
    const job = queue(async () => {
      ran.push(name);
      await gate.promise;
    }, rank);
    jobs.push(job);
    return job;
  };
  const finish = async (): Promise<readonly string[]> => {
    gate.resolve();
    await Promise.allSettled(jobs);
    return ran;
  };
  return { add, finish };
}
