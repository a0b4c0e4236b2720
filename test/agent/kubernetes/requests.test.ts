import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createDiscovery } from '../../../agent/kubernetes/discovery.ts';
import { createRequestApi, watchRequests } from '../../../agent/kubernetes/requests.ts';
import { withinBound } from '../../support/bounded.ts';
import { clientOf, isWatch, openWatch, sendEvent, sendJson, sendStatus, startLoopback } from './loopback.ts';

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

test('of a node’s requests no more is kept than whose they are and how they are answered, whatever their writers put into them', async (t) => {
  const filler = 'x'.repeat(200_000);
  const request = (name: string) => ({
    apiVersion: served.apiVersion,
    kind: 'PodCertificateRequest',
    metadata: {
      ...{ name, namespace: 'shop', uid: `uid-${name}`, resourceVersion: '7', generateName: filler },
      ...{ annotations: { filler }, labels: { filler }, finalizers: [filler] },
      ownerReferences: [{ apiVersion: 'v1', kind: 'Pod', name: filler, uid: filler }],
      managedFields: [{ manager: filler, fieldsV1: { filler } }],
    },
    spec: {
      ...{ signerName: 'example.com/mesh', podName: filler, podUID: 'pod', serviceAccountName: filler },
      ...{ serviceAccountUID: filler, nodeName: 'worker-1', nodeUID: filler, proofOfPossession: filler },
      ...{ stubPKCS10Request: 'c3R1Yg==', unverifiedUserAnnotations: { filler }, [filler]: filler },
    },
    status: {
      conditions: [
        { type: 'Issued', status: 'True', reason: 'R', lastTransitionTime: filler, observedGeneration: filler },
      ],
      certificateChain: 'PEM',
      [filler]: filler,
    },
  });
  const api = { resources: [{ name: 'podcertificaterequests', kind: 'PodCertificateRequest', namespaced: true }] };
  const server = await startLoopback(t, ({ path, query, response }) => {
    if (query.get('watch')) {
      openWatch(response);
    } else if (path.endsWith('/podcertificaterequests')) {
      sendJson(response, 200, { metadata: { resourceVersion: '7' }, items: [request('listed')] });
    } else {
      sendJson(response, path === served.pathPrefix ? 200 : 404, api);
    }
  });
  const client = clientOf(t, server);
  const watch = watchRequests(client, createDiscovery({ client }), 'worker-1', () => undefined);
  t.after(() => watch.stop());
  const bothTold = new Promise<void>((resolve) => {
    watch.subscribe(() => (watch.list().length === 2 ? resolve() : undefined));
  });
  const { response } = await server.nth(1, isWatch);
  sendEvent(response, 'ADDED', request('watched'));
  await withinBound(bothTold, 'both requests to be known');
  const kept = (name: string) => ({
    metadata: { name, namespace: 'shop', uid: `uid-${name}`, resourceVersion: '7' },
    spec: { signerName: 'example.com/mesh', podUID: 'pod', nodeName: 'worker-1', stubPKCS10Request: 'c3R1Yg==' },
    status: { conditions: [{ type: 'Issued', status: 'True', reason: 'R' }], certificateChain: 'PEM' },
  });
  assert.deepEqual(watch.list(), [kept('listed'), kept('watched')]);
});
