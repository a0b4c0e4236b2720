import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { type TestContext, test } from 'node:test';
import type { CallOptions, Priority } from '../../../agent/base/call.ts';
import type { ApiRequest } from '../../../agent/kubernetes/client.ts';
import type { Pod } from '../../../agent/kubernetes/objects.ts';
import {
  commonRunAsUser,
  createPodDirectory,
  mountsBySubPath,
  type PodDirectoryOptions,
} from '../../../agent/kubernetes/pods.ts';
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

const listPath = '/api/v1/namespaces/shop/pods';

/** The details of the API server's own 404. */
function detailsOf(path: string): object {
  const [kind, name] = path.split('/').slice(-2);
  return { kind, name };
}

function podList(...items: Pod[]): object {
  return { kind: 'PodList', metadata: {}, items };
}

async function start(t: TestContext, objects: Objects, options: Partial<PodDirectoryOptions> = {}) {
  const all: Objects = {
    [accountPath]: { metadata: { name: 'cart', uid: 'account-uid' } },
    [nodePath]: { metadata: { name: 'worker-1', uid: 'node-uid' } },
    ...objects,
  };
  const server = await startLoopback(t, ({ path, response }) => {
    const object = all[path];
    if (object !== undefined) {
      sendJson(response, 200, object);
    } else if (path === listPath) {
      sendJson(response, 200, podList(...[all[podPath]].flatMap((one) => (one as Pod) ?? [])));
    } else {
      sendStatus(response, 404, 'NotFound', 'NotFound', detailsOf(path));
    }
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
  const labels = { app: 'web' };
  const own = pod({ spec, status: { podIPs: [{ ip: '10.0.0.7' }, { ip: 'fd00::7' }, { ip: 'none' }, {}] } });
  const { identify, server } = await start(t, {
    [podPath]: { ...own, metadata: { ...own.metadata, labels } },
    [nodePath]: { metadata: { name: 'worker-1', uid: 'node-uid', annotations: { zone: 'a' } } },
  });
  assert.deepEqual(await identify(), {
    pod: web,
    serviceAccountUID: 'account-uid',
    nodeName: 'worker-1',
    nodeUID: 'node-uid',
    ended: false,
    about: { pod: { labels }, node: { annotations: { zone: 'a' } }, serviceAccount: {} },
    podIPs: ['10.0.0.7', 'fd00::7'],
    fsGroup: 2000,
    runAsUser: 1000,
  });
  assert.ok(
    server.received.every(({ headers }) => headers['impersonate-user'] === undefined),
    'a request was made as somebody else',
  );
});

test("a pod on the node's network has no addresses of its own", async (t) => {
  const spec = { nodeName: 'worker-1', serviceAccountName: 'cart', hostNetwork: true };
  const { identify } = await start(t, { [podPath]: pod({ spec, status: { podIPs: [{ ip: '192.0.2.1' }] } }) });
  assert.equal((await identify()).podIPs, undefined);
});

test('an address of the node is none of the pod, whatever its status says', async (t) => {
  const status = { podIPs: [{ ip: '192.0.2.1' }, { ip: '10.0.0.7' }], hostIPs: [{ ip: '192.0.2.1' }] };
  const { identify } = await start(t, { [podPath]: pod({ status }) });
  assert.deepEqual((await identify()).podIPs, ['10.0.0.7']);
});

test('of the addresses that a status says no more are told than are kept', async (t) => {
  const addresses = Array.from({ length: 17 }, (_, index) => `10.0.0.${index}`);
  const zoned = `fe80::1%${'z'.repeat(56)}`;
  const status = { podIPs: [`${zoned}z`, zoned, ...addresses].map((ip) => ({ ip })) };
  const { identify } = await start(t, { [podPath]: pod({ status }) });
  assert.deepEqual((await identify()).podIPs, [zoned, ...addresses.slice(0, 15)]);
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

test('a pod that does not exist or was replaced is PodGone, by the reply for its name and by the list of its node', async (t) => {
  const rows: [object | undefined, RegExp][] = [
    [undefined, /pod shop\/web with UID uid-1 does not exist/],
    [pod({}, 'uid-2'), /has been replaced by one with UID uid-2/],
  ];
  for (const [object, message] of rows) {
    const { identify, server } = await start(t, { [podPath]: object });
    await assert.rejects(identify(), { code: 'PodGone', message });
    const [list] = server.received.filter(({ path }) => path === listPath);
    assert.equal(list?.query.get('fieldSelector'), 'spec.nodeName=worker-1,metadata.name=web');
    assert.equal(list?.headers['impersonate-user'], 'system:node:worker-1');
  }
});

test('a pod that runs elsewhere or is static gets no certificate and is not taken for gone', async (t) => {
  const mirror = { name: 'web', uid: 'uid-1', annotations: { 'kubernetes.io/config.mirror': 'hash' } };
  const rows: [object, string, RegExp][] = [
    [pod({ spec: { nodeName: 'worker-2' } }), 'Unavailable', /runs on node worker-2, not on worker-1/],
    [pod({ spec: {} }), 'Unavailable', /runs on node \(none\)/],
    [pod({ metadata: mirror }), 'Rejected', /is a static pod/],
  ];
  for (const [object, code, message] of rows) {
    const { identify } = await start(t, { [podPath]: object });
    await assert.rejects(identify(), { code, message });
  }
});

test('a 404 that is not the API server’s word on this very pod is worth another try, and asks nothing more', async (t) => {
  const replies: ((response: ServerResponse) => void)[] = [
    (response) => response.writeHead(404, { 'Content-Type': 'text/plain' }).end('404 page not found'),
    (response) => sendJson(response, 404, { message: 'no Route matched with those values' }),
    (response) => sendStatus(response, 404, 'NotFound', 'the server could not find the requested resource'),
    (response) => sendStatus(response, 404, 'NotFound', 'NotFound', { kind: 'pods', name: 'web-2' }),
    (response) => sendStatus(response, 404, 'NotFound', 'NotFound', { kind: 'namespaces', name: 'web' }),
    (response) => sendStatus(response, 404, 'Gone', 'NotFound', { kind: 'pods', name: 'web' }),
  ];
  for (const reply of replies) {
    const server = await startLoopback(t, ({ response }) => reply(response));
    const directory = createPodDirectory({ client: clientOf(t, server), nodeName: 'worker-1' });
    await assert.rejects(directory.identify(web, callFor('refresh')), { code: 'Unavailable', actor: 'nobody' });
    assert.equal(server.received.length, 1);
  }
});

test('a pod is not gone while the list of its node cannot be read, is cut off, or is no list of pods', async (t) => {
  const lists: ((response: ServerResponse) => void)[] = [
    (response) => sendStatus(response, 403, 'Forbidden', 'pods is forbidden: User "x" cannot list resource "pods"'),
    (response) => sendStatus(response, 404, 'NotFound', 'NotFound', { kind: 'pods', name: 'web' }),
    (response) => sendStatus(response, 500, 'InternalError'),
    (response) => response.writeHead(200, { 'Content-Type': 'text/html' }).end('<html>'),
    (response) => sendJson(response, 200, {}),
    (response) => sendJson(response, 200, { kind: 'PodList', metadata: {} }),
    (response) => sendJson(response, 200, { kind: 'Status', metadata: {}, items: [] }),
    (response) => sendJson(response, 200, { kind: 'PodList', metadata: { continue: 'more' }, items: [] }),
  ];
  for (const found of [undefined, pod({}, 'uid-2')]) {
    for (const list of lists) {
      const server = await startLoopback(t, ({ path, response }) => {
        if (path === listPath) {
          list(response);
        } else if (found === undefined) {
          sendStatus(response, 404, 'NotFound', 'NotFound', detailsOf(path));
        } else {
          sendJson(response, 200, found);
        }
      });
      const directory = createPodDirectory({ client: clientOf(t, server), nodeName: 'worker-1' });
      await assert.rejects(directory.identify(web, callFor('refresh')), { code: 'Unavailable', actor: 'nobody' });
    }
  }
});

test('a pod that the list of its node still has is not gone, whatever the reply for its name said', async (t) => {
  for (const found of [undefined, pod({}, 'uid-2')]) {
    const server = await startLoopback(t, ({ path, response }) => {
      if (path === listPath) {
        sendJson(response, 200, podList(pod()));
      } else if (path !== podPath) {
        sendJson(response, 200, { metadata: { name: 'any', uid: 'some-uid' } });
      } else if (found === undefined) {
        sendStatus(response, 404, 'NotFound', 'NotFound', detailsOf(path));
      } else {
        sendJson(response, 200, found);
      }
    });
    const directory = createPodDirectory({ client: clientOf(t, server), nodeName: 'worker-1' });
    assert.equal((await directory.identify(web, callFor('refresh'))).pod.uid, 'uid-1');
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

test('a pod or service account is remembered up to its 32,768th character, and a longer one is asked for each time', async (t) => {
  /** What the account takes beside the text of its label: names, the other texts, and 64 for each value. */
  const beside = 421;
  const account = (length: number) => ({
    metadata: { name: 'cart', uid: 'account-uid', labels: { a: 'x'.repeat(length) } },
  });
  const { identify, all, server, time } = await start(t, { [podPath]: pod(), [accountPath]: account(32_768 - beside) });
  await identify();
  await identify();
  assert.deepEqual(
    [podPath, accountPath].map((path) => count(server, path)),
    [1, 1],
  );
  time.now = 30_000;
  all[accountPath] = account(32_769 - beside);
  const labels = Object.fromEntries(Array.from({ length: 1_000 }, (_, index) => [`label-${index}`, '']));
  all[podPath] = pod({ metadata: { name: 'web', uid: 'uid-1', labels } });
  const both = await Promise.all([identify(), identify()]);
  assert.deepEqual(
    both.map(({ about }) => Object.keys(about?.pod?.labels ?? {}).length),
    [1_000, 1_000],
  );
  assert.deepEqual(
    [podPath, accountPath].map((path) => count(server, path)),
    [2, 2],
    'those who ask at once share an answer',
  );
  await identify();
  assert.deepEqual(
    [podPath, accountPath].map((path) => count(server, path)),
    [3, 3],
  );
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

test('the containers that mount but a part of a volume are found, init containers too', () => {
  const pod = {
    metadata: { name: 'web' },
    spec: {
      initContainers: [{ name: 'init', volumeMounts: [{ name: 'mtls', subPathExpr: '$(NAME)' }] }],
      containers: [
        {
          name: 'app',
          volumeMounts: [{ name: 'mtls' }, { name: 'other', subPath: 'a' }, { name: 'empty', subPath: '' }],
        },
        {
          name: 'side',
          volumeMounts: [
            { name: 'mtls', subPath: 'tls.pem' },
            { name: 'mtls', subPath: 'ca.pem' },
          ],
        },
        { name: 'none' },
      ],
    },
  };
  assert.deepEqual(
    [...mountsBySubPath(pod)],
    [
      ['mtls', ['init', 'side']],
      ['other', ['app']],
    ],
  );
  assert.equal(mountsBySubPath({ metadata: { name: 'web' } }).size, 0);
});
