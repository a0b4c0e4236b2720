import assert from 'node:assert/strict';
import { Agent } from 'node:https';
import { test } from 'node:test';
import type { JsonObject } from '../../../sandbox/base/objects.ts';
import { eventOf, until } from '../../support/bounded.ts';
import { eachWithFields, withFields } from '../../support/fields.ts';
import { call, watch } from './client.ts';
import { startSandbox } from './sandbox-target.ts';

const accounts = '/api/v1/namespaces/default/serviceaccounts';
const create = (name: string): { method: string; body: JsonObject } => ({
  method: 'POST',
  body: { metadata: { name } },
});

test('an ordered error is answered to the requests it is for, as often as ordered', async (t) => {
  const { server, target } = await startSandbox(t);
  const match = { verb: 'create', resource: 'serviceaccounts', namespace: 'default', user: 'admin' };
  server.faults.add({ kind: 'error', code: 429, reason: 'TooManyRequests', retryAfterSeconds: 3, count: 1, match });
  assert.equal((await call(target, accounts)).status, 200);
  const refused = await call(target, accounts, create('x'));
  assert.equal(refused.status, 429);
  assert.equal(refused.headers['retry-after'], '3');
  assert.deepEqual(refused.body.details, { retryAfterSeconds: 3 });
  assert.equal((await call(target, `${accounts}/x`)).status, 404);
  assert.equal((await call(target, accounts, create('x'))).status, 201);
  assert.deepEqual(server.faults.list(), []);
});

test('a fault without a count stays until it is removed', async (t) => {
  const { server, target } = await startSandbox(t);
  const remove = server.faults.add({ kind: 'error', code: 503, match: { path: '/api/v1/nodes' } });
  server.faults.add({ kind: 'latency', delayMs: 1, match: { path: '/api/v1/nodes' } });
  assert.equal((await call(target, '/api/v1/nodes')).status, 503);
  assert.equal((await call(target, '/api/v1/nodes/x')).status, 503);
  assert.equal(server.faults.list().length, 2);
  remove();
  assert.equal((await call(target, '/api/v1/nodes')).status, 200);
  server.faults.clear();
  assert.deepEqual(server.faults.list(), []);
});

test('an ordered reply is given as it is, and the request is not carried out', async (t) => {
  const { server, target } = await startSandbox(t);
  const headers = { 'Content-Type': 'application/json', Warning: ['299 - "a"', '299 - "b"'] };
  server.faults.add({
    kind: 'reply',
    code: 207,
    headers,
    body: '{"any":"thing"}',
    count: 1,
    match: { verb: 'create' },
  });
  const reply = await call(target, accounts, create('replied'));
  assert.equal(reply.status, 207);
  assert.deepEqual(reply.body, { any: 'thing' });
  assert.equal(reply.headers['warning'], '299 - "a", 299 - "b"');
  assert.equal((await call(target, `${accounts}/replied`)).status, 404);
});

test('a dropped request is not carried out, a lost reply is', async (t) => {
  const { server, target } = await startSandbox(t);
  server.faults.add({ kind: 'drop', count: 1, match: { verb: 'create' } });
  await assert.rejects(call(target, accounts, create('dropped')));
  assert.equal((await call(target, `${accounts}/dropped`)).status, 404);
  server.faults.add({ kind: 'loseReply', count: 1, match: { verb: 'create' } });
  await assert.rejects(call(target, accounts, create('lost')));
  assert.equal((await call(target, `${accounts}/lost`)).status, 200);
});

test('a hanging request is never answered, until its connection is closed', async (t) => {
  const { server, target } = await startSandbox(t);
  server.faults.add({ kind: 'hang', count: 1 });
  const hanging = call(target, accounts);
  // Another request is answered meanwhile.
  const another = () => call(target, '/healthz', { token: null });
  await until(() => server.faults.list().length === 0, 'the fault to meet its request', another);
  server.faults.dropConnections();
  await assert.rejects(hanging);
});

test('lost watch events are missed by the watches they are for', async (t) => {
  const { server, target } = await startSandbox(t);
  const events = await watch(target, `${accounts}?watch=1&resourceVersion=${server.store.revision()}`);
  server.faults.add({ kind: 'dropWatchEvents', count: 1, match: { resource: 'serviceaccounts' } });
  await call(target, accounts, create('missed'));
  await call(target, accounts, create('seen'));
  assert.equal((await events.next())?.object.metadata.name, 'seen');
  events.close();
});

test('frozen connections stay open and silent; new ones work', async (t) => {
  const { server, target } = await startSandbox(t);
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  t.after(() => agent.destroy());
  await call(target, accounts, { agent });
  const events = await watch(target, `${accounts}?watch=1&resourceVersion=${server.store.revision()}`);
  server.faults.freezeConnections();
  const silent = call(target, `${accounts}/never`, { ...create('never'), agent });
  const next = events.next();
  await call(target, accounts, create('unseen'));
  const first = await Promise.race([silent, next, call(target, `${accounts}/unseen`).then(({ status }) => status)]);
  assert.equal(first, 200);
  assert.equal(server.store.get('serviceaccounts', 'default', 'never'), undefined);
  server.faults.dropConnections();
  await assert.rejects(silent);
  assert.equal(await next, undefined);
});

test('the clock of the server can be moved', async (t) => {
  const { server, target } = await startSandbox(t, { clock: () => 1_000_000_000_000 });
  server.faults.setClockOffset(3_600_000);
  assert.equal(server.now(), 1_000_003_600_000);
  const created = await call(target, accounts, create('x'));
  assert.equal((created.body.metadata as JsonObject).creationTimestamp, '2001-09-09T02:46:40Z');
});

test('a version can be taken away and given back while the server runs', async (t) => {
  const { server, target } = await startSandbox(t);
  const path = '/apis/certificates.k8s.io/v1beta1';
  server.faults.unserve('certificates.k8s.io', 'v1beta1', 'podcertificaterequests');
  assert.equal((await call(target, `${path}/podcertificaterequests`)).status, 404);
  assert.equal((await call(target, `${path}/clustertrustbundles`)).status, 200);
  server.faults.unserve('certificates.k8s.io', 'v1beta1');
  assert.equal((await call(target, path)).status, 404);
  server.faults.serve('certificates.k8s.io', 'v1beta1');
  server.faults.serve('certificates.k8s.io', 'v1beta1', 'podcertificaterequests');
  assert.equal((await call(target, `${path}/podcertificaterequests`)).status, 200);
});

test('a replica that has fallen behind shows what there was, and takes what is written', async (t) => {
  const { server, target } = await startSandbox(t);
  await call(target, accounts, create('old'));
  const revision = server.store.revision();
  await call(target, accounts, create('new'));
  await call(target, `${accounts}/old`, { method: 'DELETE' });
  const recover = server.faults.add({ kind: 'stale', revision, match: { resource: 'serviceaccounts' } });
  const list = (await call(target, accounts)).body;
  assert.deepEqual(namesIn(list), ['default', 'old']);
  assert.equal(withFields<{ readonly resourceVersion: string }>(list.metadata).resourceVersion, String(revision));
  assert.equal((await call(target, `${accounts}/new`)).status, 404);
  assert.equal((await call(target, `${accounts}/old`)).status, 200);
  assert.equal((await call(target, accounts, create('newer'))).status, 201);
  recover();
  assert.deepEqual(namesIn((await call(target, accounts)).body), ['default', 'new', 'newer']);
});

test('a server is upgraded and goes back over the same data', async (t) => {
  const { server, target } = await startSandbox(t);
  const served = async () => (await call(target, '/apis/certificates.k8s.io/v1/podcertificaterequests')).status;
  await call(target, accounts, create('kept'));
  server.faults.setKubernetes('1.37');
  assert.equal(await served(), 200);
  assert.equal((await call(target, '/version')).body['minor'], '37');
  server.faults.setKubernetes('1.35');
  assert.equal(await served(), 404);
  assert.equal(server.kubernetes, '1.35');
  assert.equal((await call(target, `${accounts}/kept`)).status, 200);
});

function namesIn(list: JsonObject): readonly unknown[] {
  return eachWithFields<{ readonly metadata: { readonly name?: string } }>(list['items'], 'metadata').map(
    ({ metadata }) => metadata.name,
  );
}

test('administrators order faults over HTTP, and nobody else does', async (t) => {
  const { server, target } = await startSandbox(t);
  const faults = '/sandbox/faults';
  const order = async (body: unknown): Promise<number> => (await call(target, faults, { method: 'POST', body })).status;
  const someone = server.userToken({ username: 'someone', groups: [], extra: {} });
  assert.equal((await call(target, faults, { method: 'POST', body: {}, token: someone })).status, 403);
  const all: readonly JsonObject[] = [
    { kind: 'latency', delayMs: 5, match: { path: '/never' } },
    { kind: 'error', code: 500, reason: 'R', message: 'm', retryAfterSeconds: 1, count: 2, match: { path: '/never' } },
    { kind: 'reply', code: 418, headers: { A: ['b', 'c'] }, body: 'x', match: { path: '/never' } },
    { kind: 'drop', match: { path: '/never' } },
    { kind: 'loseReply', match: { path: '/never' } },
    { kind: 'hang', match: { path: '/never' } },
    { kind: 'dropWatchEvents', match: { path: '/never' } },
    { kind: 'stale', revision: 7, match: { path: '/never' } },
  ];
  for (const fault of all) {
    assert.equal(await order(fault), 200);
  }
  assert.deepEqual((await call(target, faults)).body.faults, all);
  assert.equal(await order({ kind: 'earthquake' }), 400);
  assert.equal(await order({ action: 'explode' }), 400);
  assert.equal(await order({ action: 'setKubernetes', kubernetes: '0.1' }), 400);
  assert.equal(await order({ action: 'setKubernetes', kubernetes: '1.37' }), 200);
  assert.equal(await order([]), 400);
  assert.equal(await order({ action: 'setClockOffset', offsetMs: 5000 }), 200);
  assert.ok(server.now() >= Date.now() + 4000, `the server's clock says ${server.now()}`);
  assert.equal(await order({ action: 'compact' }), 200);
  assert.equal(server.store.compactedRevision(), server.store.revision());
  assert.equal(await order({ action: 'unserve', group: 'storage.k8s.io', version: 'v1' }), 200);
  assert.equal((await call(target, '/apis/storage.k8s.io/v1/csidrivers')).status, 404);
  assert.equal(await order({ action: 'serve', group: 'storage.k8s.io', version: 'v1' }), 200);
  assert.deepEqual((await call(target, faults, { method: 'DELETE' })).body.faults, []);
  await assert.rejects(order({ action: 'dropConnections' }));
});

test('a closed server has no connections, timers or port left, however often it is closed', async (t) => {
  const { server, target } = await startSandbox(t);
  const events = await watch(target, `${accounts}?watch=1&resourceVersion=${server.store.revision()}`);
  server.faults.add({ kind: 'latency', delayMs: 3_600_000, count: 1, match: { path: '/slow' } });
  const slow = call(target, '/slow');
  const another = () => call(target, '/healthz');
  await until(() => server.faults.list().length === 0, 'the fault to meet its request', another);
  await Promise.all([server.close(), server.close(), assert.rejects(slow)]);
  assert.equal(await events.next(), undefined);
  await assert.rejects(call(target, '/healthz'), { code: 'ECONNREFUSED' });
});

test('a client that breaks off in the middle of things does no harm', async (t) => {
  const { server, target } = await startSandbox(t);
  const socket = (await import('node:net')).connect(server.port, '127.0.0.1');
  await eventOf(socket, 'connect', 'the connection');
  socket.write('this is no TLS handshake');
  await eventOf(socket, 'close', 'the connection to be closed');
  const events = await watch(target, `${accounts}?watch=1`);
  events.close();
  assert.equal((await call(target, '/healthz')).status, 200);
});
