import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { AgentError } from '../../../agent/base/errors.ts';
import { createBoundPods } from '../../../agent/kubernetes/bound-pods.ts';
import type { BoundPod } from '../../../agent/lifecycle/ports.ts';
import { until } from '../../support/bounded.ts';
import { createManualClock } from '../../support/manual-clock.ts';
import {
  clientOf,
  type Handler,
  isWatch,
  openWatch,
  sendEvent,
  sendList,
  sendStatus,
  startLoopback,
} from './loopback.ts';

const driverName = 'csi.podcert.io';
const csi = { driver: driverName, readOnly: true, volumeAttributes: { sources: '[]' } };

interface Changes {
  readonly metadata?: object;
  readonly spec?: object;
  readonly status?: object;
}

/** A pod that is bound to node-a, has a volume of the driver and has not started. */
function podObject(name: string, resourceVersion: number, changes: Changes = {}) {
  return {
    metadata: { namespace: 'shop', name, uid: name, resourceVersion: String(resourceVersion), ...changes.metadata },
    spec: { nodeName: 'node-a', serviceAccountName: 'web', volumes: [{ name: 'mtls', csi }], ...changes.spec },
    status: { phase: 'Pending', ...changes.status },
  };
}

async function start(t: TestContext, handle: Handler) {
  const server = await startLoopback(t, handle);
  const clock = createManualClock();
  const errors: AgentError[] = [];
  const client = clientOf(t, server, { impersonateNode: 'node-a' });
  const onError = (error: AgentError): void => void errors.push(error);
  const watch = createBoundPods({ client, nodeName: 'node-a', driverName, clock, onError });
  t.after(() => watch.stop());
  const bound: BoundPod[] = [];
  const over: string[] = [];
  const unfollow = watch.follow({ bound: (pod) => bound.push(pod), over: (uid) => over.push(uid) });
  const told = (count: number) =>
    until(
      () => bound.length + over.length >= count,
      () => `${count} calls, of ${bound.length} and ${over.length} so far`,
    );
  return { server, clock, errors, watch, bound, over, unfollow, told };
}

/** A node whose pods are these, and whose watch stays open. */
const listing =
  (...items: readonly ReturnType<typeof podObject>[]): Handler =>
  (received) =>
    isWatch(received) ? openWatch(received.response) : sendList(received.response, 1, items);

test('a pod that is bound is told of once, by a list and watch of the node’s pods made as the node', async (t) => {
  const { server, bound, over, told } = await start(t, listing());
  const { response } = await server.nth(1, isWatch);
  sendEvent(response, 'ADDED', podObject('web', 2));
  sendEvent(response, 'MODIFIED', podObject('web', 3, { status: { phase: 'Pending', reason: 'any' } }));
  sendEvent(response, 'ADDED', podObject('host', 4, { spec: { hostNetwork: true, serviceAccountName: null } }));
  await told(2);
  const volumes = new Map([['mtls', { readOnly: true, attributes: { sources: '[]' } }]]);
  const pod = { namespace: 'shop', name: 'web', uid: 'web', serviceAccountName: 'web' };
  const host = { namespace: 'shop', name: 'host', uid: 'host', serviceAccountName: 'default' };
  assert.deepEqual(bound, [
    { pod, hostNetwork: false, volumes },
    { pod: host, hostNetwork: true, volumes },
  ]);
  assert.deepEqual(over, []);
  assert.equal(server.received.length, 2);
  for (const { query, headers } of server.received) {
    assert.equal(query.get('fieldSelector'), 'spec.nodeName=node-a');
    assert.equal(headers['impersonate-user'], 'system:node:node-a');
  }
});

test('pods that were there when the watch began are not told of, nor are those that a restart of the agent finds', async (t) => {
  const { server, bound, told } = await start(t, listing(podObject('old', 1)));
  const { response } = await server.nth(1, isWatch);
  sendEvent(response, 'MODIFIED', podObject('old', 2));
  sendEvent(response, 'ADDED', podObject('new', 3));
  await told(1);
  assert.deepEqual(
    bound.map(({ pod }) => pod.uid),
    ['new'],
  );
});

const strangers: Readonly<Record<string, Changes>> = {
  'has no volume of the driver': { spec: { volumes: [{ name: 'mtls', csi: { ...csi, driver: 'another' } }] } },
  'has no inline CSI volume': { spec: { volumes: [{ name: 'tmp' }] } },
  'hands a secret to the publish call': {
    spec: { volumes: [{ name: 'mtls', csi: { ...csi, nodePublishSecretRef: { name: 'secret' } } }] },
  },
  'is of another node': { spec: { nodeName: 'node-b' } },
  'is bound to no node': { spec: { nodeName: null } },
  'runs already': { status: { phase: 'Running' } },
  'has ended': { status: { phase: 'Failed' } },
  'is being deleted': { metadata: { deletionTimestamp: '2026-11-21T00:00:00Z' } },
  'is a static pod': { metadata: { annotations: { 'kubernetes.io/config.mirror': 'x' } } },
  'has no UID': { metadata: { uid: null } },
  'has more text in its volumes than a publish call lets pass': {
    spec: { volumes: [{ name: 'mtls', csi: { ...csi, volumeAttributes: { sources: 'x'.repeat(262_145) } } }] },
  },
};

for (const [what, changes] of Object.entries(strangers)) {
  test(`a pod that ${what} is not told of`, async (t) => {
    const { server, bound, told } = await start(t, listing());
    const { response } = await server.nth(1, isWatch);
    sendEvent(response, 'ADDED', podObject('stranger', 2, changes));
    sendEvent(response, 'ADDED', podObject('web', 3));
    await told(1);
    assert.deepEqual(
      bound.map(({ pod }) => pod.name),
      ['web'],
    );
  });
}

test('it is over with a pod that starts, ends, is being deleted, is gone, or has a successor of its name', async (t) => {
  const { server, bound, over, told } = await start(t, listing());
  const { response } = await server.nth(1, isWatch);
  const names = ['starts', 'ends', 'deleting', 'gone', 'replaced'];
  for (const [index, name] of names.entries()) {
    sendEvent(response, 'ADDED', podObject(name, index + 2));
  }
  sendEvent(response, 'MODIFIED', podObject('starts', 10, { status: { phase: 'Running' } }));
  sendEvent(response, 'MODIFIED', podObject('ends', 11, { status: { phase: 'Succeeded' } }));
  const deletionTimestamp = '2026-11-21T00:00:00Z';
  sendEvent(response, 'MODIFIED', podObject('deleting', 12, { metadata: { deletionTimestamp } }));
  sendEvent(response, 'DELETED', podObject('gone', 13));
  sendEvent(response, 'ADDED', podObject('replaced', 14, { metadata: { uid: 'successor' } }));
  await told(11);
  assert.deepEqual(over, names);
  assert.equal(bound.at(-1)?.pod.uid, 'successor');
});

test('an agent that may not list pods begins nothing, and asks again after ten minutes', async (t) => {
  const { server, clock, errors, watch } = await start(t, ({ response }) => sendStatus(response, 403, 'Forbidden'));
  const refused = (count: number) =>
    until(
      () => errors.length === count,
      () => `refusal ${count}, of ${errors.length} so far`,
    );
  await refused(1);
  assert.equal(watch.health(), undefined);
  clock.advance(599_000);
  assert.equal(server.received.length, 1);
  clock.advance(1_000);
  await refused(2);
  watch.stop();
  assert.equal(clock.alarms(), 0);
});

test('a pod that fills a megabyte with labels leaves nothing of them behind', async (t) => {
  const { server, bound, watch, told } = await start(t, listing());
  const { response } = await server.nth(1, isWatch);
  const labels = Object.fromEntries(Array.from({ length: 100_000 }, (_, index) => [`l${index}`, '']));
  sendEvent(response, 'ADDED', podObject('full', 2, { metadata: { labels } }));
  await told(1);
  assert.ok(JSON.stringify([...bound]).length < 300, 'what is told of it is small');
  assert.equal(watch.health()?.synced, true);
});
