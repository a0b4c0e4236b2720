import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createDiscovery } from '../../../agent/kubernetes/discovery.ts';
import { createRequestApi } from '../../../agent/kubernetes/requests.ts';
import { clientOf, sendStatus, startLoopback } from './loopback.ts';

const served = {
  apiVersion: 'certificates.k8s.io/v1beta1',
  pathPrefix: '/apis/certificates.k8s.io/v1beta1',
  evidence: 'stub',
  userAnnotations: true,
} as const;

test('a request that the node authorizer does not show its node is worth another try; a missing role is not', async (t) => {
  let message = "no relationship found between node 'worker-1' and this object";
  const server = await startLoopback(t, ({ response }) => sendStatus(response, 403, 'Forbidden', message));
  const client = clientOf(t, server, { impersonateNode: 'worker-1' });
  const api = createRequestApi(client, createDiscovery({ client }));
  const get = () => api.get(served, 'shop', 'req-1', { priority: 'first', signal: new AbortController().signal });
  await assert.rejects(get(), {
    code: 'Unavailable',
    actor: 'nobody',
    message: /its request shop\/req-1 yet, or any more/,
  });
  message = 'User "x" cannot get resource "podcertificaterequests"';
  await assert.rejects(get(), { code: 'Forbidden', actor: 'cluster operator' });
});

test('a bare 500 of the admission, which has not seen the pod yet, passes by itself', async (t) => {
  const server = await startLoopback(t, ({ response }) => {
    response.writeHead(500, { 'Content-Type': 'application/json' });
    response.end(
      '{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"pod not found","code":500}',
    );
  });
  const client = clientOf(t, server, { impersonateNode: 'worker-1' });
  const api = createRequestApi(client, createDiscovery({ client }));
  const body = { metadata: { name: 'req-1', namespace: 'shop' }, spec: {} } as never;
  const created = api.create(served, body, { priority: 'first', signal: new AbortController().signal });
  await assert.rejects(created, { code: 'Unavailable', actor: 'nobody', retryAfterMs: undefined });
});
