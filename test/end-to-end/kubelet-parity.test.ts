/**
 * What the kubelet does with podCertificate and clusterTrustBundle sources, row by row, and what this agent does where the
 * kubelet falls short: seen from outside, with a whole cluster and a whole agent, through every certificate API. What signers
 * and requests do meanwhile is in `every-issuer.test.ts`, what a refresh does in `refresh-parity.test.ts`.
 */
import assert from 'node:assert/strict';
import { readlinkSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { KubernetesObject } from '../../agent/kubernetes/objects.ts';
import { withFields } from '../support/fields.ts';
import { startIssuerNode, throughEach } from './issuers.ts';
import { signerName, startNode, usualSources } from './node.ts';

const volumes = [{ name: 'mtls', sources: usualSources }];

throughEach(
  'each source of each volume of each pod has a certificate of its own, asked for in its pod’s name',
  async (t, issuer) => {
    const { node } = await startIssuerNode(t, issuer);
    const asked: KubernetesObject[] = [];
    node.cluster.apiServer.store.subscribe(({ type, resource, object }) => {
      if (type === 'ADDED' && resource === issuer.storedAs) {
        asked.push(withFields<KubernetesObject>(structuredClone(object), 'metadata'));
      }
    });
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
    const expected = pods.flatMap(({ metadata: { name, uid } }) => Array.from({ length: 3 }, () => `${name} ${uid}`));
    assert.deepEqual(asked.map(issuer.can.ownedByPod ? owningPod : annotatedPod).sort(), expected.sort());
    const serials = pods.flatMap((pod) => ['tls.pem', 'other.pem'].map((file) => node.leaf(pod, file).serialNumber));
    assert.equal(new Set(serials).size, 4);
  },
);

throughEach(
  'the first mount succeeds at the first call: no FailedMount event, and an event that says what was issued',
  async (t, issuer) => {
    const { node } = await startIssuerNode(t, issuer);
    await node.cluster.admin.createPod({ name: 'web', volumes });
    await node.cluster.admin.podRunning('default', 'web');
    const issued = await node.event('web', 'Issued');
    assert.match(issued.message ?? '', /valid until/);
    assert.ok(!node.reasons('web').includes('FailedMount'), `FailedMount is in:\n${node.reasons('web')}`);
  },
);

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

throughEach('a suggested key type is told to the pod, and followed where that is switched on', async (t, issuer) => {
  const flags = ['--follow-suggested-key-type'];
  const { node, setAnswering, deny } = await startIssuerNode(t, issuer, { flags });
  setAnswering('silent');
  await node.cluster.admin.createPod({ name: 'web', volumes });
  await node.logged((line) => line.message === 'certificate requested');
  deny('UnsupportedKeyType', 'ECDSAP256 is not supported, use ED25519');
  setAnswering('issue');
  const pod = await node.cluster.admin.podRunning('default', 'web');
  assert.equal(node.leaf(pod).publicKey.asymmetricKeyType, 'ed25519');
  const told = await node.event('web', 'UnsupportedKeyType');
  assert.match(told.message ?? '', /does not take ECDSAP256 keys and suggests ED25519/);
});

throughEach('no private key is readable by others, whatever the pod asks for', async (t, issuer) => {
  const { node } = await startIssuerNode(t, issuer);
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

throughEach('how long issuance took, in which phase, and what came of it is in the metrics', async (t, issuer) => {
  const { node } = await startIssuerNode(t, issuer);
  await node.cluster.admin.createPod({ name: 'web', volumes });
  await node.cluster.admin.podRunning('default', 'web');
  const metrics = await node.metrics();
  for (const phase of ['key', 'request', 'signer', 'write']) {
    assert.match(metrics, new RegExp(`podcert_.*_seconds_count\\{.*phase="${phase}".*\\} 1`), phase);
  }
  assert.match(metrics, /podcert_agent_credentials\{signer_name="example.com\/mesh",state="fresh"\} 1/);
});

function owningPod({ metadata: { ownerReferences } }: KubernetesObject): string {
  assert.deepEqual(
    ownerReferences?.map(({ apiVersion, kind }) => `${apiVersion} ${kind}`),
    ['v1 Pod'],
  );
  return `${ownerReferences?.[0]?.name} ${ownerReferences?.[0]?.uid}`;
}

/** A cluster-scoped request cannot be owned by a pod, and says in annotation and label whose it is. */
function annotatedPod({ metadata: { labels, annotations } }: KubernetesObject): string {
  const [, name] = (annotations?.['podcert.io/pod'] ?? '').split('/');
  return `${name} ${labels?.['podcert.io/pod-uid']}`;
}
