import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { createEventRecorder, type EventRecorderOptions, type PodEvent } from '../../../agent/kubernetes/events.ts';
import { createManualClock } from '../../support/manual-clock.ts';
import { clientOf, type Handler, type Received, sendJson, sendStatus, startLoopback } from './loopback.ts';

const pod = { namespace: 'shop', name: 'web', uid: 'uid-1' };
const events = '/api/v1/namespaces/shop/events';

function event(change: Partial<PodEvent> = {}): PodEvent {
  return { pod, type: 'Warning', reason: 'Denied', message: 'the signer said no', ...change };
}

const accept: Handler = ({ response, body }) => sendJson(response, 201, JSON.parse(body));

async function start(t: TestContext, handle: Handler = accept, options: Partial<EventRecorderOptions> = {}) {
  const server = await startLoopback(t, handle);
  const clock = createManualClock();
  const recorder = createEventRecorder({
    client: clientOf(t, server),
    driverName: 'csi.podcert.io',
    nodeName: 'worker-1',
    clock,
    wallClock: () => Date.parse('2026-11-21T10:00:00Z') + clock.now(),
    ...options,
  });
  return { server, clock, recorder };
}

/** Resolves when the recorder has taken in the answers received so far. */
async function quiet(condition: () => boolean): Promise<void> {
  while (!condition()) {
    await new Promise(setImmediate);
  }
}

function bodyOf(received: Received | undefined): Record<string, unknown> {
  return JSON.parse(received?.body ?? '{}');
}

test('an event stands on the pod, with driver and node as its source', async (t) => {
  const { server, recorder } = await start(t);
  recorder.record(event());
  const received = await server.nth(1);
  const { metadata, ...body } = bodyOf(received);
  assert.deepEqual([received.method, received.path], ['POST', events]);
  assert.match(JSON.stringify(metadata), /^{"name":"web\.[0-9a-f]{16}","namespace":"shop"}$/);
  assert.deepEqual(body, {
    apiVersion: 'v1',
    kind: 'Event',
    involvedObject: { apiVersion: 'v1', kind: 'Pod', ...pod },
    type: 'Warning',
    reason: 'Denied',
    message: 'the signer said no',
    source: { component: 'csi.podcert.io', host: 'worker-1' },
    reportingComponent: 'csi.podcert.io',
    reportingInstance: 'worker-1',
    firstTimestamp: '2026-11-21T10:00:00.000Z',
    lastTimestamp: '2026-11-21T10:00:00.000Z',
    count: 1,
  });
});

test('repetitions are counted in one event, in few calls', async (t) => {
  const { server, recorder, clock } = await start(t);
  recorder.record(event({ series: 'mtls/0' }));
  await server.nth(1);
  for (let round = 2; round <= 5; round += 1) {
    recorder.record(event({ series: 'mtls/0', message: `attempt ${round}` }));
  }
  await quiet(() => clock.alarms() === 1);
  assert.equal(server.received.length, 1);
  clock.advance(10_000);
  const patch = await server.nth(2);
  const { metadata } = bodyOf(server.received[0]) as { metadata: { name: string } };
  assert.deepEqual([patch.method, patch.path], ['PATCH', `${events}/${metadata.name}`]);
  assert.equal(patch.headers['content-type'], 'application/merge-patch+json');
  assert.deepEqual(bodyOf(patch), { count: 5, lastTimestamp: '2026-11-21T10:00:00.000Z', message: 'attempt 5' });
});

test('another pod, type, reason or series is another event', async (t) => {
  const { server, recorder } = await start(t);
  recorder.record(event());
  recorder.record(event({ reason: 'Failed' }));
  recorder.record(event({ type: 'Normal' }));
  recorder.record(event({ series: 'other' }));
  recorder.record(event({ pod: { ...pod, uid: 'uid-2' } }));
  await server.nth(5);
  const names = server.received.map((one) => JSON.stringify(bodyOf(one)['metadata']));
  assert.equal(new Set(names).size, 5);
});

test('an event that the API server has forgotten is made again with its count', async (t) => {
  const { server, recorder, clock } = await start(t, (received) =>
    received.method === 'PATCH' ? sendStatus(received.response, 404, 'NotFound') : accept(received),
  );
  recorder.record(event());
  await server.nth(1);
  recorder.record(event());
  await quiet(() => clock.alarms() === 1);
  clock.advance(10_000);
  const again = await server.nth(3);
  assert.deepEqual([again.method, bodyOf(again)['count']], ['POST', 2]);
});

test('a create whose reply was lost is not an error, and later ones are patches', async (t) => {
  const { server, recorder, clock } = await start(t, (received) =>
    received.method === 'POST' ? sendStatus(received.response, 409, 'AlreadyExists') : accept(received),
  );
  recorder.record(event());
  await server.nth(1);
  recorder.record(event());
  await quiet(() => clock.alarms() === 1);
  clock.advance(10_000);
  assert.equal((await server.nth(2)).method, 'PATCH');
  assert.equal(recorder.dropped(), 0);
});

test('a pod that makes too many new events is cut short, and only that one', async (t) => {
  const { server, recorder, clock } = await start(t, accept, { perPod: { burst: 2, refillMs: 60_000 } });
  for (let round = 1; round <= 4; round += 1) {
    recorder.record(event({ message: `number ${round}` }));
  }
  recorder.record(event({ pod: { ...pod, uid: 'uid-2' } }));
  await server.nth(3);
  assert.equal(recorder.dropped(), 2);
  recorder.record(event({ message: 'number 1' }));
  assert.equal(recorder.dropped(), 2);
  clock.advance(60_000);
  recorder.record(event({ message: 'number 5' }));
  await server.nth(5);
  assert.equal(recorder.dropped(), 2);
});

test('what does not fit into the queue is dropped and counted', async (t) => {
  const { recorder } = await start(t, () => {}, { queueLimit: 3, perPod: { burst: 100, refillMs: 1 } });
  for (let round = 0; round < 10; round += 1) {
    recorder.record(event({ message: `number ${round}` }));
  }
  assert.equal(recorder.dropped(), 6);
});

test('an API server that is away is tried again; one that refuses is not', async (t) => {
  let status = 503;
  const { server, recorder, clock } = await start(t, (received) => sendStatus(received.response, status, 'Reason'));
  recorder.record(event());
  for (let attempt = 1; attempt < 5; attempt += 1) {
    await server.nth(attempt);
    await quiet(() => clock.alarms() === 1);
    clock.advance(10_000);
  }
  await server.nth(5);
  await quiet(() => recorder.dropped() === 1);
  assert.equal(clock.alarms(), 0);
  status = 403;
  recorder.record(event({ message: 'other' }));
  await quiet(() => recorder.dropped() === 2);
  assert.equal(server.received.length, 6);
});

test('a message or pod name too long for an event is cut', async (t) => {
  const { server, recorder } = await start(t);
  const name = `${'a'.repeat(235)}.${'b'.repeat(17)}`;
  recorder.record(event({ message: 'x'.repeat(2_000), pod: { ...pod, name } }));
  const body = bodyOf(await server.nth(1)) as { message: string; metadata: { name: string } };
  assert.equal(body.message.length, 1_024);
  assert.match(body.metadata.name, /^a{235}\.[0-9a-f]{16}$/);
});

test('stop sends what is left, takes nothing more and ends at its deadline', async (t) => {
  const { server, recorder } = await start(t);
  recorder.record(event());
  recorder.record(event({ message: 'second' }));
  await server.nth(2);
  recorder.record(event({ message: 'second' }));
  await recorder.stop(60_000);
  assert.deepEqual(
    server.received.map(({ method }) => method),
    ['POST', 'POST', 'PATCH'],
  );
  recorder.record(event({ message: 'too late' }));
  assert.equal(recorder.dropped(), 1);
  await recorder.stop(60_000);

  const stuck = await start(t, () => {});
  stuck.recorder.record(event());
  stuck.recorder.record(event({ message: 'second' }));
  await stuck.server.nth(1);
  const stopped = stuck.recorder.stop(1_000);
  stuck.clock.advance(1_000);
  await stopped;
  assert.equal(stuck.recorder.dropped(), 2);
});

test('a refused count is dropped, and the event is counted on', async (t) => {
  let refuse = true;
  const { server, recorder, clock } = await start(t, (received) =>
    received.method === 'PATCH' && refuse ? sendStatus(received.response, 403, 'Forbidden') : accept(received),
  );
  recorder.record(event());
  await server.nth(1);
  recorder.record(event());
  await quiet(() => clock.alarms() === 1);
  clock.advance(10_000);
  await quiet(() => recorder.dropped() === 1);
  refuse = false;
  recorder.record(event());
  clock.advance(10_000);
  assert.equal(bodyOf(await server.nth(3))['count'], 3);
});

test('what is remembered about pods is bounded: the one unheard of for longest is forgotten', async (t) => {
  const { recorder } = await start(t, () => {}, { queueLimit: 5_000, perPod: { burst: 1, refillMs: 60_000 } });
  const podEvent = (number: number, message: string): PodEvent =>
    event({ pod: { ...pod, uid: `uid-${number}` }, message });
  for (let number = 0; number <= 1_000; number += 1) {
    recorder.record(podEvent(number, 'first'));
  }
  recorder.record(podEvent(1_000, 'second'));
  assert.equal(recorder.dropped(), 1);
  recorder.record(podEvent(0, 'second'));
  assert.equal(recorder.dropped(), 1);
});

test('a pod that floods its events holds up those of another by one, and loses its own when the queue is full', {
  timeout: 20_000,
}, async (t) => {
  const { server, recorder } = await start(t, accept, { perPod: { burst: 100, refillMs: 60_000 }, queueLimit: 20 });
  for (let count = 0; count < 50; count += 1) {
    recorder.record(event({ message: `flood ${count}` }));
  }
  recorder.record(event({ pod: { ...pod, name: 'shop', uid: 'uid-2' } }));
  await server.nth(3);
  const pods = server.received.slice(0, 3).map((one) => JSON.stringify(bodyOf(one)['involvedObject']));
  assert.ok(
    pods.some((one) => one.includes('uid-2')),
    pods.join(' '),
  );
  await server.nth(21);
  assert.equal(recorder.dropped(), 30);
});
