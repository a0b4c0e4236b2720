import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import type { ApiObject } from '../../../sandbox/base/objects.ts';
import type { ApiServer } from '../../../sandbox/serving/server.ts';
import { createAuthority } from '../../../sandbox/signers/authority.ts';
import { podCertificateRequests, signingRequests } from '../../../sandbox/storage/resources.ts';
import { withinBound } from '../../support/bounded.ts';
import { call } from '../serving/client.ts';
import { startSandbox } from '../serving/sandbox-target.ts';

const owner = (name: string): ApiObject['metadata'] => ({
  ownerReferences: [{ apiVersion: 'v1', kind: 'Pod', name, uid: `uid-${name}` }],
});
const request = (name: string, more: ApiObject['metadata'] = {}, creationTimestamp = ''): ApiObject => ({
  metadata: { name, namespace: 'default', uid: `uid-${name}`, creationTimestamp, ...more },
  spec: {},
});
const pod = (name: string): ApiObject => ({ metadata: { name, namespace: 'default', uid: `uid-${name}` } });

/** Resolves when an object is gone. */
function gone(server: ApiServer, resource: string, name: string): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const leave = server.store.subscribe((event) => {
    if (event.type === 'DELETED' && event.resource === resource && event.object.metadata.name === name) {
      leave();
      resolve();
    }
  });
  return withinBound(promise, `${resource} ${name} to be removed`);
}

test('the requests of a pod go when the pod is gone, those of others stay', async (t) => {
  const { server } = await startSandbox(t);
  const { store } = server;
  store.create('pods', pod('a'));
  store.create('pods', pod('b'));
  store.create(podCertificateRequests, request('of-a', owner('a')));
  const both = [...(owner('a').ownerReferences ?? []), ...(owner('b').ownerReferences ?? [])];
  store.create(podCertificateRequests, request('of-both', { ownerReferences: both }));
  const collected = gone(server, podCertificateRequests, 'of-a');
  store.remove('pods', 'default', 'a');
  await collected;
  assert.deepEqual(
    store.list(podCertificateRequests).map(({ metadata }) => metadata.name),
    ['of-both'],
  );
});

test('a request made for a pod that is gone already goes too', async (t) => {
  const { server } = await startSandbox(t);
  const collected = gone(server, podCertificateRequests, 'late');
  server.store.create(podCertificateRequests, request('late', owner('gone')));
  await collected;
});

test('requests are removed after 15 minutes and events after an hour, pending or not', async (t) => {
  const { server } = await startSandbox(t, { clock: () => Date.parse('2026-01-01T01:00:01Z') });
  const { store } = server;
  store.create(podCertificateRequests, request('old', {}, '2026-01-01T00:45:00Z'));
  store.create(podCertificateRequests, request('young', {}, '2026-01-01T00:45:02Z'));
  store.create('events', request('old', { uid: 'e1' }, '2026-01-01T00:00:00Z'));
  store.create('events', request('young', { uid: 'e2' }, '2026-01-01T00:00:02Z'));
  server.sweep();
  const names = (resource: string): unknown[] => store.list(resource).map(({ metadata }) => metadata.name);
  assert.deepEqual([names(podCertificateRequests), names('events')], [['young'], ['young']]);
});

test('with a time scale the removal runs by itself, so much sooner', async (t) => {
  const { server } = await startSandbox(t, { timeScale: 36_000 });
  const collected = gone(server, podCertificateRequests, 'x');
  server.store.create(podCertificateRequests, request('x', {}, new Date(server.now()).toISOString()));
  await collected;
});

test('a new namespace gets its default service account', async (t) => {
  const { server } = await startSandbox(t);
  const { promise, resolve } = Promise.withResolvers<string | undefined>();
  server.store.subscribe((event) => {
    if (event.resource === 'serviceaccounts' && event.object.metadata.namespace === 'n') {
      resolve(event.object.metadata.name);
    }
  });
  server.store.create('namespaces', { metadata: { name: 'n', uid: 'n' } });
  assert.equal(await withinBound(promise, 'a service account in the new namespace'), 'default');
});

test('signing requests go an hour after their answer, unanswered ones after a day, and those whose certificate has expired', async (t) => {
  const start = Date.parse('2026-01-01T00:00:00Z');
  const minutes = (count: number): number => count * 60_000;
  let now = start;
  const { server, target } = await startSandbox(t, { clock: () => now });
  const { store } = server;
  const authority = await createAuthority('old', start);
  const { publicKey } = generateKeyPairSync('ed25519');
  const names = { publicKey: publicKey.export({ type: 'spki', format: 'der' }), uris: [], dnsNames: ['a.example'] };
  const certificate = async (lifetimeMinutes: number): Promise<string> => {
    const leaf = await authority.issue({ ...names, notBefore: start, notAfter: start + minutes(lifetimeMinutes) });
    return Buffer.from(leaf + authority.intermediatePem).toString('base64');
  };
  const collection = '/apis/certificates.k8s.io/v1/certificatesigningrequests';
  const put = async (name: string, subresource: string, status: object): Promise<void> => {
    const body = { ...store.get(signingRequests, '', name), status };
    const reply = await call(target, `${collection}/${name}/${subresource}`, { method: 'PUT', body });
    assert.equal(reply.status, 200, JSON.stringify(reply.body));
  };
  const condition = (type: string) => ({ conditions: [{ type, status: 'True', reason: 'Test' }] });
  for (const name of ['pending', 'denied', 'failed', 'unsigned', 'issued', 'expiring']) {
    const metadata = { name, uid: name, creationTimestamp: new Date(start).toISOString() };
    store.create(signingRequests, { metadata, spec: { signerName: 'example.org/approved' } });
  }
  // The server says when an answer was written, since its writer need not; what counts is that, not the request's age.
  now = start + minutes(10);
  await put('denied', 'approval', condition('Denied'));
  await put('failed', 'status', condition('Failed'));
  for (const name of ['unsigned', 'issued', 'expiring']) {
    await put(name, 'approval', condition('Approved'));
  }
  const at = '2026-01-01T00:10:00Z';
  const { conditions } = store.get(signingRequests, '', 'issued')?.status ?? {};
  const [approved] = condition('Approved').conditions;
  assert.deepEqual(conditions, [{ ...approved, lastUpdateTime: at, lastTransitionTime: at }]);
  for (const [name, lifetimeMinutes] of [
    ['issued', 24 * 60],
    ['expiring', 30],
  ] as const) {
    await put(name, 'status', { conditions, certificate: await certificate(lifetimeMinutes) });
  }
  const left = (atMinutes: number): unknown[] => {
    now = start + minutes(atMinutes);
    server.sweep();
    return store.list(signingRequests).map(({ metadata }) => metadata.name);
  };
  assert.deepEqual(left(30), ['denied', 'expiring', 'failed', 'issued', 'pending', 'unsigned']);
  assert.deepEqual(left(31), ['denied', 'failed', 'issued', 'pending', 'unsigned']);
  assert.deepEqual(left(70), ['denied', 'failed', 'issued', 'pending', 'unsigned']);
  assert.deepEqual(left(71), ['pending', 'unsigned']);
  assert.deepEqual(left(24 * 60), ['pending', 'unsigned']);
  assert.deepEqual(left(24 * 60 + 1), ['unsigned']);
  assert.deepEqual(left(24 * 60 + 11), []);
});
