import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { CallOptions, Priority } from '../../../agent/base/call.ts';
import type { ApiRequest } from '../../../agent/kubernetes/client.ts';
import type { Pod } from '../../../agent/kubernetes/objects.ts';
import { commonRunAsUser, createPodDirectory, type PodDirectoryOptions } from '../../../agent/kubernetes/pods.ts';
import type { PodReference } from '../../../volumes/base/volume.ts';
import { clientOf, type Loopback, sendJson, sendStatus, startLoopback } from './loopback.ts';

const web: PodReference = { namespace: 'shop', name: 'web', uid: 'uid-1', serviceAccountName: 'cart' };
const podPath = '/api/v1/namespaces/shop/pods/web';
const accountPath = '/api/v1/namespaces/shop/serviceaccounts/cart';
const nodePath = '/api/v1/nodes/worker-1';

function pod(change: Partial<Pod> = {}, uid = 'uid-1'): Pod {
  return { metadata: { name: 'web', uid }, spec: { nodeName: 'worker-1', serviceAccountName: 'cart' }, ...change };
}

type Objects = Record<string, object | undefined>;

async function start(t: TestContext, objects: Objects, options: Partial<PodDirectoryOptions> = {}) {
  const all: Objects = {
    [accountPath]: { metadata: { name: 'cart', uid: 'account-uid' } },
    [nodePath]: { metadata: { name: 'worker-1', uid: 'node-uid' } },
    ...objects,
  };
  const server = await startLoopback(t, ({ path, response }) => {
    const object = all[path];
    object === undefined ? sendStatus(response, 404, 'NotFound') : sendJson(response, 200, object);
  });
  const client = clientOf(t, server, { impersonateNode: 'worker-1' });
  const time = { now: 0 };
  const clock = { now: () => time.now, at: () => () => {} };
  const directory = createPodDirectory({ client, nodeName: 'worker-1', clock, ...options });
  return {
    server,
    all,
    time,
    identify: (reference = web) => directory.identify(reference, callFor('first')),
  };
}

function callFor(priority: Priority): CallOptions {
  return { priority, signal: new AbortController().signal };
}

function count(server: Loopback, wanted: string): number {
  return server.received.filter(({ path }) => path === wanted).length;
}

test('a pod is identified with its service account, its node and what it says about files', async (t) => {
  const spec = {
    nodeName: 'worker-1',
    serviceAccountName: 'cart',
    securityContext: { fsGroup: 2000, runAsUser: 1000 },
    containers: [{ name: 'a' }],
  };
  const { identify, server } = await start(t, { [podPath]: pod({ spec }) });
  assert.deepEqual(await identify(), {
    pod: web,
    serviceAccountUID: 'account-uid',
    nodeName: 'worker-1',
    nodeUID: 'node-uid',
    ended: false,
    fsGroup: 2000,
    runAsUser: 1000,
  });
  assert.ok(server.received.every(({ headers }) => headers['impersonate-user'] === undefined));
});

test('service accounts are read as the node where that is configured', async (t) => {
  const { identify, server } = await start(t, { [podPath]: pod() }, { readServiceAccountsAs: 'node' });
  await identify();
  const as = Object.fromEntries(server.received.map(({ path, headers }) => [path, headers['impersonate-user']]));
  assert.deepEqual(as, { [podPath]: undefined, [accountPath]: 'system:node:worker-1', [nodePath]: undefined });
});

test('what is asked for a refresh stands behind what is asked for a first certificate', async () => {
  const asked: (string | undefined)[] = [];
  const request = async <T>({ path, priority }: ApiRequest): Promise<T> => {
    asked.push(priority);
    const object: unknown = path === podPath ? pod() : { metadata: { uid: 'some-uid' } };
    return object as T;
  };
  for (const priority of ['refresh', 'first'] as const) {
    const directory = createPodDirectory({ client: { request }, nodeName: 'worker-1' });
    await directory.identify(web, callFor(priority));
  }
  assert.deepEqual(asked, ['refresh', 'refresh', 'refresh', 'first', 'first', 'first']);
});

test('a pod that has ended says so', async (t) => {
  for (const [phase, ended] of [
    ['Running', false],
    ['Pending', false],
    ['Succeeded', true],
    ['Failed', true],
  ] as const) {
    const { identify } = await start(t, { [podPath]: pod({ status: { phase } }) });
    assert.equal((await identify()).ended, ended, phase);
  }
});

test('a pod that does not exist, was replaced, runs elsewhere or is static is PodGone', async (t) => {
  const mirror = { name: 'web', uid: 'uid-1', annotations: { 'kubernetes.io/config.mirror': 'hash' } };
  const rows: [object | undefined, RegExp][] = [
    [undefined, /pod shop\/web with UID uid-1 does not exist/],
    [pod({}, 'uid-2'), /has been replaced by one with UID uid-2/],
    [pod({ spec: { nodeName: 'worker-2' } }), /runs on node worker-2, not on worker-1/],
    [pod({ spec: {} }), /runs on node \(none\)/],
    [pod({ metadata: mirror }), /is a static pod/],
  ];
  for (const [object, message] of rows) {
    const { identify } = await start(t, { [podPath]: object });
    await assert.rejects(identify(), { code: 'PodGone', message });
  }
});

test('a service account or node that is missing, or has no UID, is named', async (t) => {
  const account = await start(t, { [podPath]: pod(), [accountPath]: undefined });
  await assert.rejects(account.identify(), { code: 'NotFound', message: /serviceaccounts "cart" in namespace "shop"/ });
  const node = await start(t, { [podPath]: pod(), [nodePath]: { metadata: { name: 'worker-1' } } });
  await assert.rejects(node.identify(), { code: 'Unavailable', message: /node worker-1 has no UID/ });
});

/** A server that answers a node as the node authorizer lets it, which has seen nothing of these paths. */
async function startUnrelated(t: TestContext, unseen: readonly string[], pods: readonly Pod[] | undefined) {
  const objects: Objects = {
    [podPath]: pod(),
    [accountPath]: { metadata: { name: 'cart', uid: 'account-uid' } },
    [nodePath]: { metadata: { name: 'worker-1', uid: 'node-uid' } },
  };
  const server = await startLoopback(t, ({ path, query, response }) => {
    if (path === '/api/v1/namespaces/shop/pods' && pods !== undefined) {
      assert.equal(query.get('fieldSelector'), 'spec.nodeName=worker-1,metadata.name=web');
      return sendJson(response, 200, { kind: 'PodList', metadata: {}, items: pods });
    }
    const object = objects[path];
    return object === undefined || unseen.includes(path)
      ? sendStatus(response, 403, 'Forbidden', refusal(path))
      : sendJson(response, 200, object);
  });
  const directory = createPodDirectory({ client: clientOf(t, server), nodeName: 'worker-1' });
  return { server, identify: () => directory.identify(web, callFor('first')) };
}

function refusal(path: string): string {
  const what = path.includes('/pods') ? 'pods' : 'serviceaccounts';
  const why = "no relationship found between node 'worker-1' and this object";
  return `${what} is forbidden: User "system:node:worker-1" cannot get resource "${what}" in API group "": ${why}`;
}

test('to a node, a pod that it may not read and that is not in its list is PodGone', async (t) => {
  const { identify } = await startUnrelated(t, [podPath], []);
  await assert.rejects(identify(), { code: 'PodGone', message: /pod shop\/web with UID uid-1 does not exist/ });
});

test('a pod that the node authorizer has not seen yet is found in the list of the node', async (t) => {
  const { identify, server } = await startUnrelated(t, [podPath], [pod()]);
  assert.equal((await identify()).serviceAccountUID, 'account-uid');
  assert.equal(count(server, '/api/v1/namespaces/shop/pods'), 1);
});

test('a service account that the node authorizer has not seen yet is worth another try', async (t) => {
  const { identify } = await startUnrelated(t, [accountPath], []);
  await assert.rejects(identify(), {
    code: 'Unavailable',
    actor: 'nobody',
    message: /does not let the node read .*cart yet/,
  });
});

test('credentials of another node are told by the first refusal, and are not mistaken for a pod that is gone', async (t) => {
  const { identify } = await startUnrelated(t, [podPath], undefined);
  await assert.rejects(identify(), { code: 'Forbidden', actor: 'cluster operator', message: /no relationship found/ });
});

test('a missing role is Forbidden and asks nothing more', async (t) => {
  const server = await startLoopback(t, ({ response }) => {
    sendStatus(response, 403, 'Forbidden', 'pods "web" is forbidden: User "x" cannot get resource "pods"');
  });
  const directory = createPodDirectory({ client: clientOf(t, server), nodeName: 'worker-1' });
  const identified = directory.identify(web, callFor('first'));
  await assert.rejects(identified, { code: 'Forbidden', actor: 'cluster operator' });
  assert.equal(server.received.length, 1);
});

test('a burst of questions costs one call for each object, and answers are remembered for their time only', async (t) => {
  const { identify, server, time } = await start(t, { [podPath]: pod() });
  await Promise.all([identify(), identify(), identify()]);
  assert.equal(server.received.length, 3);
  time.now = 2_000;
  await identify();
  assert.equal(count(server, podPath), 2);
  assert.equal(count(server, accountPath), 1);
  time.now = 30_000;
  await identify();
  assert.equal(count(server, accountPath), 2);
  assert.equal(count(server, nodePath), 1);
});

test('a pod made anew under the same name is not mistaken for its remembered predecessor', async (t) => {
  const { identify, all, server } = await start(t, { [podPath]: pod() });
  await identify();
  all[podPath] = pod({}, 'uid-2');
  const second = { ...web, uid: 'uid-2' };
  assert.deepEqual((await identify(second)).pod, second);
  assert.equal(count(server, podPath), 2);
});

test('runAsUser counts only where every container has the same, its own before the pod’s', () => {
  const rows: [Pod['spec'], number | undefined][] = [
    [{ containers: [{ name: 'a' }] }, undefined],
    [{ securityContext: { runAsUser: 1 }, containers: [{ name: 'a' }, { name: 'b' }] }, 1],
    [{ securityContext: { runAsUser: 1 }, containers: [{ name: 'a', securityContext: { runAsUser: 2 } }] }, 2],
    [
      {
        securityContext: { runAsUser: 1 },
        containers: [{ name: 'a', securityContext: { runAsUser: 2 } }, { name: 'b' }],
      },
      undefined,
    ],
    [{ containers: [{ name: 'a', securityContext: { runAsUser: 2 } }, { name: 'b' }] }, undefined],
    [{ containers: [{ name: 'a', securityContext: { runAsUser: 0 } }] }, 0],
    [
      {
        securityContext: { runAsUser: 1 },
        initContainers: [{ name: 'i', securityContext: { runAsUser: 0 } }],
        containers: [{ name: 'a' }],
      },
      undefined,
    ],
    [undefined, undefined],
  ];
  for (const [spec, expected] of rows) {
    assert.equal(commonRunAsUser({ metadata: { name: 'web' }, ...(spec && { spec }) }), expected, JSON.stringify(spec));
  }
});
