/**
 * What the kubelet does with podCertificate and clusterTrustBundle sources, row by row, and what this agent does where the
 * kubelet falls short: seen from outside, with a whole cluster and a whole agent. What depends on the certificate API that
 * answers is in `every-issuer.test.ts`.
 */
import assert from 'node:assert/strict';
import { createPrivateKey } from 'node:crypto';
import { readdirSync, readlinkSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { signerName, startNode, type TestNode, usualSources, written } from './node.ts';

const volumes = [{ name: 'mtls', sources: usualSources }];

/** Rotations within seconds: time at the API server runs six hundred times as fast. */
function fastNode(t: TestContext, flags: readonly string[] = []): Promise<TestNode> {
  const signers = [{ signerName, lifetimeSeconds: 20, refreshAtFraction: 0.1 }];
  return startNode(t, { timeScale: 600, signers, flags });
}

test('each source of each volume of each pod has a certificate of its own, asked for with an owner reference to the pod', async (t) => {
  const node = await startNode(t);
  const twice = [
    ...usualSources,
    { podCertificate: { signerName, keyType: 'ED25519', credentialBundlePath: 'other.pem' } },
  ];
  const both = [
    { name: 'mtls', sources: twice },
    { name: 'more', sources: usualSources },
  ];
  for (const name of ['one', 'two']) {
    await node.cluster.admin.createPod({ name, volumes: both });
  }
  const pods = await Promise.all(['one', 'two'].map((name) => node.cluster.admin.podRunning('default', name)));
  const requests = node.requests();
  assert.equal(requests.length, 6);
  const uids = pods.map(({ metadata }) => metadata.uid);
  for (const { metadata, spec } of requests) {
    assert.ok(uids.includes(spec.podUID), `${spec.podUID} is not in:\n${uids}`);
    assert.deepEqual(metadata.ownerReferences, [
      { apiVersion: 'v1', kind: 'Pod', name: spec.podName, uid: spec.podUID },
    ]);
  }
  const serials = pods.flatMap((pod) => ['tls.pem', 'other.pem'].map((file) => node.leaf(pod, file).serialNumber));
  assert.equal(new Set(serials).size, 4);
});

test('the first mount succeeds at the first call: no FailedMount event, and an event that says what was issued', async (t) => {
  const node = await startNode(t);
  await node.cluster.admin.createPod({ name: 'web', volumes });
  await node.cluster.admin.podRunning('default', 'web');
  const issued = await node.event('web', 'Issued');
  assert.match(issued.message ?? '', /valid until/);
  assert.ok(!node.reasons('web').includes('FailedMount'), `FailedMount is in:\n${node.reasons('web')}`);
});

test('an RSA-4096 key holds up no other pod', async (t) => {
  const node = await startNode(t);
  const rsa = [{ podCertificate: { signerName, keyType: 'RSA4096', credentialBundlePath: 'tls.pem' } }];
  const names = ['rsa-1', 'rsa-2', 'rsa-3'];
  for (const name of names) {
    await node.cluster.admin.createPod({ name, volumes: [{ name: 'mtls', sources: rsa }] });
  }
  await Promise.all(
    names.map((name) =>
      node.logged((line) => line.message === 'volume requested by the kubelet' && line['pod'] === name),
    ),
  );
  await node.cluster.admin.createPod({ name: 'quick', volumes });
  await node.cluster.admin.podRunning('default', 'quick');
  await Promise.all(names.map((name) => node.cluster.admin.podRunning('default', name)));
  const order = node.lines.filter((line) => line.message === 'certificate written').map((line) => line['pod']);
  // The keys are made one after the other, each in about a second: before the second one is there, the other pod is.
  assert.ok(order.indexOf('quick') < 2, order.join());
});

test('a denied refresh leaves the certificate in place and the anchors live, and succeeds when the signer allows it', async (t) => {
  const node = await fastNode(t);
  const signer = node.cluster.signer(signerName);
  await node.cluster.admin.createPod({ name: 'web', volumes });
  const pod = await node.cluster.admin.podRunning('default', 'web');
  const before = node.read(pod, 'tls.pem');
  const anchors = node.read(pod, 'ca.pem');
  signer.setBehaviour({ type: 'denying', reason: 'Policy', message: 'not now' });
  await node.logged((line) => line['reason'] === 'Policy');
  await signer.publishNextRoot();
  await node.logged((line) => line.message === 'trust anchors changed');
  assert.equal(node.read(pod, 'tls.pem'), before);
  assert.notEqual(node.read(pod, 'ca.pem'), anchors);
  signer.setBehaviour({ type: 'instant' });
  await node.logged(written('web', false));
  assert.notEqual(node.read(pod, 'tls.pem'), before);
});

test('pods that have completed are refreshed no more', async (t) => {
  const node = await fastNode(t);
  for (const name of ['job', 'server']) {
    await node.cluster.admin.createPod({ name, volumes });
  }
  for (const name of ['job', 'server']) {
    await node.cluster.admin.podRunning('default', name);
  }
  // A kubelet that is away leaves the volume mounted: it is the agent that has to notice.
  await node.cluster.stopKubelet();
  const path = '/api/v1/namespaces/default/pods/job/status';
  const contentType = 'application/merge-patch+json';
  await node.cluster.admin.client.request({
    method: 'PATCH',
    path,
    contentType,
    body: { status: { phase: 'Succeeded' } },
  });
  await node.logged((line) => line.message === 'pod has ended, no more refreshes');
  const ended = node.lines.length;
  for (let renewals = 0; renewals < 2; renewals += 1) {
    const seen = node.lines.length;
    await node.logged((line) => written('server', false)(line) && node.lines.indexOf(line) >= seen);
  }
  const asked = node.lines.slice(ended).filter((line) => line.message === 'certificate requested');
  assert.deepEqual([...new Set(asked.map((line) => line['pod']))], ['server']);
});

test('anchors are written when they change, in stable order, and not otherwise', async (t) => {
  const node = await startNode(t);
  const [, anchors] = usualSources;
  await node.cluster.admin.createPod({ name: 'trust', volumes: [{ name: 'mtls', sources: [anchors ?? {}] }] });
  const pod = await node.cluster.admin.podRunning('default', 'trust');
  const data = (): string => readlinkSync(join(node.volume(pod), '..data'));
  const before = data();
  const path = '/apis/certificates.k8s.io/v1beta1/clustertrustbundles/example.com:mesh:anchors';
  const contentType = 'application/merge-patch+json';
  await node.cluster.admin.client.request({
    method: 'PATCH',
    path,
    contentType,
    body: { metadata: { labels: { x: 'y' } } },
  });
  const signer = node.cluster.signer(signerName);
  await signer.publishNextRoot();
  await node.logged((line) => line.message === 'trust anchors changed' && line['certificates'] === 2);
  const changes = node.lines.filter((line) => line.message === 'trust anchors changed');
  assert.equal(changes.length, 1);
  assert.notEqual(data(), before);
  const two = node.read(pod, 'ca.pem');
  const written = data();
  await node.stopAgent();
  await node.startAgent();
  // One watch serves both pods, and tells the earlier one first.
  await node.cluster.admin.createPod({ name: 'later', volumes: [{ name: 'mtls', sources: [anchors ?? {}] }] });
  await node.cluster.admin.podRunning('default', 'later');
  assert.equal(node.read(pod, 'ca.pem'), two);
  assert.equal(data(), written);
});

test('a suggested key type is told to the pod, and followed where that is switched on', async (t) => {
  const node = await startNode(t, {
    signers: [{ signerName, behaviour: { type: 'onlyKeyTypes', supported: ['ED25519'] } }],
    flags: ['--follow-suggested-key-type'],
  });
  await node.cluster.admin.createPod({ name: 'web', volumes });
  const pod = await node.cluster.admin.podRunning('default', 'web');
  assert.equal(node.leaf(pod).publicKey.asymmetricKeyType, 'ed25519');
  const told = await node.event('web', 'UnsupportedKeyType');
  assert.match(told.message ?? '', /does not take ECDSAP256 keys and suggests ED25519/);
});

test('no private key is readable by others, whatever the pod asks for', async (t) => {
  const node = await startNode(t);
  const sources = [
    { podCertificate: { signerName, keyType: 'ED25519', keyPath: 'key.pem', certificateChainPath: 'chain.pem' } },
  ];
  const attributes = { defaultMode: '0444' };
  await node.cluster.admin.createPod({ name: 'wide', volumes: [{ name: 'mtls', sources, attributes }] });
  const refused = await node.event('wide', 'FailedMount');
  assert.match(refused.message ?? '', /defaultMode: /);
  await node.cluster.admin.createPod({ name: 'usual', volumes: [{ name: 'mtls', sources }] });
  const pod = await node.cluster.admin.podRunning('default', 'usual');
  assert.equal(statSync(join(node.volume(pod), 'key.pem')).mode & 0o007, 0);
});

test('key and chain in files of their own change in one step', async (t) => {
  const node = await fastNode(t);
  const sources = [
    { podCertificate: { signerName, keyType: 'ED25519', keyPath: 'key.pem', certificateChainPath: 'chain.pem' } },
  ];
  await node.cluster.admin.createPod({ name: 'web', volumes: [{ name: 'mtls', sources }] });
  const pod = await node.cluster.admin.podRunning('default', 'web');
  await node.logged(written('web', false));
  const names = readdirSync(node.volume(pod));
  for (const name of ['key.pem', 'chain.pem']) {
    assert.equal(readlinkSync(join(node.volume(pod), name)), `..data/${name}`);
  }
  // The present set, and the one before it for readers that have not finished.
  assert.equal(names.filter((name) => /^\.\.\d{4}_/.test(name)).length, 2);
  const key = createPrivateKey(node.read(pod, 'key.pem'));
  assert.equal(node.leaf(pod, 'chain.pem').checkPrivateKey(key), true, 'the key does not belong to the leaf');
});

test('how long issuance took, in which phase, and what came of it is in the metrics', async (t) => {
  const node = await startNode(t);
  await node.cluster.admin.createPod({ name: 'web', volumes });
  await node.cluster.admin.podRunning('default', 'web');
  const metrics = await node.metrics();
  for (const phase of ['key', 'request', 'signer', 'write']) {
    assert.match(metrics, new RegExp(`podcert_.*_seconds_count\\{.*phase="${phase}".*\\} 1`), phase);
  }
  assert.match(metrics, /podcert_agent_credentials\{signer_name="example.com\/mesh",state="fresh"\} 1/);
});
