/** Whoever makes many requests takes turns with whoever makes one, and those of nobody else are put off for them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AgentError } from '../../agent/base/errors.ts';
import { createQueue } from '../../agent/base/queue.ts';
import { createLiveCopy } from '../../agent/kubernetes/live-copy.ts';
import { createLogger } from '../../agent/observe/log/log.ts';
import { createMonotonicClock } from '../../agent/time/monotonic-clock.ts';
import { attend, type Followed, type Waiting } from '../../signer/api/attend.ts';
import { turnedAwayTeller } from '../../signer/leading.ts';
import { createMetrics } from '../../signer/metrics.ts';
import { until } from '../support/bounded.ts';

const pause = () => new Promise((resolve) => setTimeout(resolve, 10));

test('of more requests than may wait, those of whoever has most are put off; they are counted, and are no faults of their own', async (t) => {
  const maxWaiting = 100;
  const ending = new AbortController();
  t.after(() => ending.abort());
  const order: string[] = [];
  const turnedAway: string[] = [];
  const watches = ['signing', 'of pods'].map(() => createLiveCopy<Followed<Waiting>>(assert.ifError));
  const shared = {
    queue: createQueue({ name: 'requests', concurrency: 1, maxWaiting }),
    clock: createMonotonicClock(),
    signal: ending.signal,
    onError: assert.ifError,
    onTurnedAway: ({ message }: AgentError) => void turnedAway.push(message),
    act: async ({ owner }: Waiting): Promise<'done'> => {
      order.push(owner);
      return 'done';
    },
  };
  for (const watch of watches) {
    attend({ ...shared, watch });
  }
  const [signing, ofPods] = watches;
  const make = (name: string, owner: string): void => {
    signing?.put({ metadata: { name, uid: name }, open: { owner } });
  };
  // One is under way, the others fill the line.
  for (let index = 0; index <= maxWaiting; index += 1) {
    make(`flood-${index}`, 'user flood');
  }
  make('late', 'user shop');
  ofPods?.put({ metadata: { namespace: 'shop', name: 'late', uid: 'late' }, open: { owner: 'shop' } });
  await until(() => order.length > maxWaiting, 'all that did not have to wait longer', pause);
  const flood = 'user flood';
  assert.deepEqual(order.slice(0, 5), [flood, flood, 'user shop', 'shop', flood]);
  assert.deepEqual(turnedAway, Array(2).fill(`${maxWaiting} requests are waiting already`));
});

test('requests that are put off are a line of the log for all of them, and count each', async () => {
  const lines: string[] = [];
  const log = createLogger({
    ...{ level: 'debug', format: 'json' },
    destination: { write: (text) => void lines.push(text) },
  });
  const metrics = createMetrics();
  const tell = turnedAwayTeller({ log, metrics });
  for (let index = 0; index < 50; index += 1) {
    tell(new AgentError('Unavailable', '100 requests are waiting already', { actor: 'nobody' }));
  }
  assert.equal(lines.length, 1);
  assert.match(lines[0] ?? '', /too many requests wait/);
  assert.match((await metrics.text()).text, /_faults_total 50\n/);
});
