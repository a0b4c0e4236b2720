/**
 * What the agent needs and does not find: it says so, stays up, and works once it is there.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from '../support/bounded.ts';
import { startNode, usualSources } from './node.ts';

const volumes = [{ name: 'mtls', sources: usualSources }];

test('a cluster without the certificate API is told to the operator and to the pod, and works once it is served', async (t) => {
  const node = await startNode(t);
  await node.stopAgent();
  const { faults } = node.cluster.apiServer;
  faults.unserve('certificates.k8s.io', 'v1beta1', 'podcertificaterequests');
  await node.startAgent();
  const missing = await node.logged(
    (line) => line.message === 'the agent cannot work yet: the check of certificate-api fails',
  );
  assert.match(String(missing['error']), /PodCertificateRequest/);
  assert.match(await node.get('/readyz?verbose'), /certificate-api/);
  await node.cluster.admin.createPod({ name: 'web', volumes });
  const event = await node.event('web', 'CertificateAPIMissing');
  assert.match(event.message ?? '', /PodCertificateRequest/);
  faults.serve('certificates.k8s.io', 'v1beta1', 'podcertificaterequests');
  await node.logged((line) => line.message === 'the check of certificate-api passes now');
  await node.cluster.admin.createPod({ name: 'later', volumes });
  await node.cluster.admin.podRunning('default', 'later');
});

test('a permission that is missing is named in the log and in the pod’s event, and the pod starts once it is given', async (t) => {
  const node = await startNode(t);
  const message = 'podcertificaterequests.certificates.k8s.io is forbidden: no rule';
  const match = { verb: 'create', resource: 'podcertificaterequests' };
  const remove = node.cluster.apiServer.faults.add({ kind: 'error', code: 403, reason: 'Forbidden', message, match });
  await node.cluster.admin.createPod({ name: 'web', volumes });
  const event = await node.event('web', 'RequestForbidden');
  assert.match(event.message ?? '', /create podcertificaterequests/);
  remove();
  await node.cluster.admin.podRunning('default', 'web');
});

test('a watch that is forbidden makes the agent unready, and the pod starts once it is allowed', async (t) => {
  const node = await startNode(t);
  await node.stopAgent();
  const message = 'podcertificaterequests.certificates.k8s.io is forbidden: no rule';
  const match = { verb: 'watch', resource: 'podcertificaterequests' };
  const remove = node.cluster.apiServer.faults.add({ kind: 'error', code: 403, reason: 'Forbidden', message, match });
  const before = node.lines.length;
  await node.startAgent();
  await node.logged(
    (line) =>
      line.message === 'the watch of certificate requests was interrupted' &&
      line['errorCode'] === 'Forbidden' &&
      node.lines.indexOf(line) >= before,
  );
  assert.match(
    await node.get('/readyz?verbose'),
    /certificate-request-watch failed: .* does not let .* watch podcertificaterequests/,
  );
  remove();
  await node.cluster.admin.createPod({ name: 'web', volumes });
  await node.cluster.admin.podRunning('default', 'web');
  assert.match(await node.get('/readyz?verbose'), /certificate-request-watch ok/);
});

for (const [group, resource, rule] of [
  ['certificates.k8s.io', 'certificatesigningrequests', { certificateSigningRequest: {} }],
  ['cert-manager.io', 'certificaterequests', { certManager: {} }],
] as const) {
  test(`without PodCertificateRequests in use an API server that is not heard makes the agent unready, with no pod at all (${resource})`, async (t) => {
    const issuers = JSON.stringify([{ signers: ['example.com/*'], ...rule }]);
    const node = await startNode(t, { certManager: true, flags: ['--issuers', issuers] });
    await node.stopAgent();
    const message = `${resource}.${group} is forbidden: no rule`;
    const match = { verb: 'watch', resource };
    const remove = node.cluster.apiServer.faults.add({ kind: 'error', code: 403, reason: 'Forbidden', message, match });
    const before = node.lines.length;
    await node.startAgent();
    await node.logged((line) => line['errorCode'] === 'Forbidden' && node.lines.indexOf(line) >= before);
    assert.match(
      await node.get('/readyz?verbose'),
      new RegExp(`certificate-request-watch failed: .* does not let .* watch ${resource}`),
    );
    assert.match(await node.metrics(), new RegExp(`podcert_agent_watch_last_event_timestamp_seconds\\{.*${resource}`));
    remove();
    await until(
      async () => /certificate-request-watch ok/.test(await node.get('/readyz?verbose')),
      'the watch to be well',
    );
  });
}

test('an API that is switched off under a running agent makes it unready', async (t) => {
  const node = await startNode(t);
  await node.logged((line) => line.message === 'the cluster serves PodCertificateRequests');
  await node.cluster.admin.createPod({ name: 'web', volumes });
  await node.cluster.admin.podRunning('default', 'web');
  const { faults } = node.cluster.apiServer;
  faults.unserve('certificates.k8s.io', 'v1beta1', 'podcertificaterequests');
  faults.dropConnections();
  await node.logged((line) => line['errorCode'] === 'ApiMissing');
  assert.match(await node.get('/readyz?verbose'), /certificate-request-watch failed: .*does not serve/);
});

test('a node object that is missing is named, and the agent works once it is there', async (t) => {
  const node = await startNode(t);
  await node.stopAgent();
  const { store } = node.cluster.apiServer;
  const stored = store.remove('nodes', '', node.cluster.nodeName);
  assert.ok(stored, 'there is no stored');
  await node.startAgent();
  const missing = await node.logged((line) => line.message === 'the agent cannot work yet: the check of node fails');
  assert.match(String(missing['error']), new RegExp(node.cluster.nodeName));
  const { resourceVersion: _, ...metadata } = stored.metadata;
  store.create('nodes', { ...stored, metadata });
  await node.cluster.admin.createPod({ name: 'web', volumes });
  await node.cluster.admin.podRunning('default', 'web');
});

test('every fault of a declaration is in one event of the pod, and nothing is requested', async (t) => {
  const node = await startNode(t);
  const sources = [
    { podCertificate: { signerName: 'example.com/mesh', keyType: 'DSA', keyPath: '../key' } },
    { clusterTrustBundle: { name: 'a', signerName: 'example.com/mesh', path: '/abs' } },
    { podCertificate: { signerName: 'mesh', keyType: 'ED25519', userAnnotations: { plain: 'x' } } },
  ];
  await node.cluster.admin.createPod({ name: 'web', volumes: [{ name: 'mtls', sources }] });
  const { message = '' } = await node.event('web', 'FailedMount');
  for (const field of [
    'sources[0].podCertificate.keyType',
    'sources[0].podCertificate.keyPath',
    'sources[1].clusterTrustBundle',
    'sources[1].clusterTrustBundle.path',
    'sources[2].podCertificate.signerName',
    'sources[2].podCertificate.userAnnotations',
  ]) {
    assert.ok(message.includes(field), `${field} is not in: ${message}`);
  }
  assert.deepEqual(node.requests(), []);
});
