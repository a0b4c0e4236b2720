import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { AgentError } from '../../../agent/base/errors.ts';
import { createNodePods, type NodePodWatch } from '../../../agent/kubernetes/node-pods.ts';
import type { PodReference } from '../../../volumes/base/volume.ts';
import { eventOf, until, withinBound } from '../../support/bounded.ts';
import { createManualClock } from '../../support/manual-clock.ts';
import {
  clientOf,
  type Handler,
  isList,
  isWatch,
  openWatch,
  sendEvent,
  sendJson,
  sendList,
  sendStatus,
  startLoopback,
} from './loopback.ts';

function reference(name: string, uid = name): PodReference {
  return { namespace: 'shop', name, uid, serviceAccountName: 'default' };
}

function podObject(name: string, resourceVersion: number, deletionTimestamp?: string, uid = name) {
  const metadata = { namespace: 'shop', name, uid, resourceVersion: String(resourceVersion) };
  return { metadata: deletionTimestamp === undefined ? metadata : { ...metadata, deletionTimestamp } };
}

async function start(t: TestContext, handle: Handler) {
  const server = await startLoopback(t, handle);
  const clock = createManualClock();
  const errors: AgentError[] = [];
  const client = clientOf(t, server, { impersonateNode: 'node-a' });
  const pods = createNodePods({ client, nodeName: 'node-a', clock, onError: (error) => errors.push(error) });
  t.after(() => pods.stop());
  return { server, clock, errors, pods };
}

/** Resolves when the pod is said to be on its way out. */
function ending(pods: NodePodWatch, pod: PodReference): Promise<void> {
  const told = new Promise<void>((resolve) => {
    pods.onEnding(pod, resolve);
  });
  return withinBound(told, `the end of pod ${pod.name} to be told`);
}

/** Resolves once the client has hung up. */
async function hungUp({ response }: { readonly response: NodeJS.EventEmitter }): Promise<void> {
  await eventOf(response, 'close', 'the client to hang up');
}

test('sixty pods that wait cost one list and one watch of the node, made as the node, and each hears of its own deletion', async (t) => {
  const names = Array.from({ length: 60 }, (_, index) => `web-${index}`);
  const { server, pods } = await start(t, (received) => {
    if (isWatch(received)) {
      return openWatch(received.response);
    }
    return sendList(
      received.response,
      1,
      names.map((name) => podObject(name, 1)),
    );
  });
  const ended = names.map((name) => ending(pods, reference(name)));
  const watch = await server.nth(1, isWatch);
  const closed = hungUp(watch);
  for (const [index, name] of names.entries()) {
    sendEvent(watch.response, 'MODIFIED', podObject(name, index + 2, '2026-11-21T00:00:00Z'));
  }
  await Promise.all(ended);
  await closed;
  assert.equal(server.received.length, 2);
  for (const { query, headers } of server.received) {
    assert.equal(query.get('fieldSelector'), 'spec.nodeName=node-a');
    assert.equal(headers['impersonate-user'], 'system:node:node-a');
  }
});

test('a pod that is not there, or has been replaced by one of its name, has ended', async (t) => {
  const { pods } = await start(t, (received) => {
    if (isWatch(received)) {
      return openWatch(received.response);
    }
    return sendList(received.response, 1, [podObject('replaced', 1, undefined, 'another'), podObject('there', 1)]);
  });
  let told = false;
  pods.onEnding(reference('there'), () => {
    told = true;
  });
  await ending(pods, reference('replaced'));
  await ending(pods, reference('gone'));
  assert.equal(told, false);
});

test('the watch is closed when nobody asks any more, and opened again for the next', async (t) => {
  const { server, pods } = await start(t, (received) => {
    if (isWatch(received)) {
      return openWatch(received.response);
    }
    return sendList(received.response, 1, [podObject('web', 1)]);
  });
  const stops = [pods.onEnding(reference('web'), () => {}), pods.onEnding(reference('web'), () => {})];
  const first = await server.nth(1, isWatch);
  const closed = hungUp(first);
  for (const stop of stops) {
    stop();
  }
  await closed;
  pods.onEnding(reference('web'), () => {});
  await server.nth(2, isWatch);
  assert.equal(server.received.filter(isList).length, 2);
});

test('an agent that may not list pods asks once, and again no sooner than after ten minutes', async (t) => {
  const { server, clock, errors, pods } = await start(t, ({ response }) => sendStatus(response, 403, 'Forbidden'));
  const refused = (count: number) =>
    until(
      () => errors.length >= count,
      () => `refusal ${count}, of ${errors.length} so far`,
    );
  pods.onEnding(reference('web'), () => assert.fail('nothing is known of the pod'));
  await refused(1);
  clock.advance(599_000);
  pods.onEnding(reference('web'), () => assert.fail('nothing is known of the pod'));
  assert.equal(server.received.length, 1);
  clock.advance(1_000);
  pods.onEnding(reference('web'), () => assert.fail('nothing is known of the pod'));
  await refused(2);
  assert.equal(server.received.length, 2);
  assert.match(errors[0]?.message ?? '', /list pods/);
});

const call = { priority: 'refresh', signal: new AbortController().signal } as const;
const listOf = (items: readonly unknown[], more: object = {}) => ({ kind: 'PodList', metadata: {}, items, ...more });

test('the pods of the node are listed by UID with their inline CSI volumes, as the node and in one call', async (t) => {
  const csi = { driver: 'csi.podcert.io', readOnly: true, volumeAttributes: { sources: '[]' } };
  const web = {
    ...podObject('web', 1),
    spec: { serviceAccountName: 'shop', volumes: [{ name: 'mtls', csi }, { name: 'tmp' }] },
  };
  const mirror = podObject('static', 1, undefined, 'mirror-uid');
  const annotated = { metadata: { ...mirror.metadata, annotations: { 'kubernetes.io/config.mirror': 'static-uid' } } };
  const { server, pods } = await start(t, ({ response }) => sendJson(response, 200, listOf([web, annotated])));
  const listed = await pods.list(call);
  assert.deepEqual([...listed.keys()], ['web', 'mirror-uid', 'static-uid']);
  assert.deepEqual(listed.get('web')?.pod, { ...reference('web'), serviceAccountName: 'shop' });
  assert.deepEqual(
    [...(listed.get('web')?.csiVolumes ?? [])],
    [['mtls', { driver: 'csi.podcert.io', attributes: { sources: '[]' } }]],
  );
  assert.equal(server.received.length, 1);
  assert.equal(server.received[0]?.headers['impersonate-user'], 'system:node:node-a');
  assert.equal(server.received[0]?.query.get('fieldSelector'), 'spec.nodeName=node-a');
});

test('a list that may lack a pod is none', async (t) => {
  const answers = [
    listOf([podObject('web', 1)], { metadata: { continue: 'more' } }),
    { ...listOf([]), kind: 'Status' },
    { kind: 'PodList', metadata: {} },
    listOf([{ metadata: { name: 'web' } }]),
    listOf([{ metadata: { name: 'web', namespace: 'shop', uid: 7 } }]),
  ];
  for (const answer of answers) {
    const { pods } = await start(t, ({ response }) => sendJson(response, 200, answer));
    await assert.rejects(pods.list(call), { code: 'Unavailable' });
  }
});
