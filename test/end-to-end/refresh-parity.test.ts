/**
 * What becomes of a pod's files and requests when certificates are refreshed, or no more, as with the kubelet: seen from
 * outside, through every certificate API.
 */
import assert from 'node:assert/strict';
import { createPrivateKey } from 'node:crypto';
import { readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { startIssuerNode, throughEach } from './issuers.ts';
import { signerName, usualSources, written } from './node.ts';

const volumes = [{ name: 'mtls', sources: usualSources }];

/** Rotations within seconds: time at the API server runs six hundred times as fast. */
const fast = { timeScale: 600, lifetimeSeconds: 20, refreshAfter: 0.1 };

throughEach(
  'a denied refresh leaves the certificate in place and the anchors live, and succeeds when the signer allows it',
  async (t, issuer) => {
    const { node, setAnswering } = await startIssuerNode(t, issuer, fast);
    await node.cluster.admin.createPod({ name: 'web', volumes });
    const pod = await node.cluster.admin.podRunning('default', 'web');
    const before = node.read(pod, 'tls.pem');
    const anchors = node.read(pod, 'ca.pem');
    setAnswering('deny');
    await node.event('web', 'Denied');
    await node.cluster.signer(signerName).publishNextRoot();
    await node.logged((line) => line.message === 'trust anchors changed');
    assert.equal(node.read(pod, 'tls.pem'), before);
    assert.notEqual(node.read(pod, 'ca.pem'), anchors);
    setAnswering('issue');
    await node.logged(written('web', false));
    assert.notEqual(node.read(pod, 'tls.pem'), before);
  },
);

throughEach('pods that have completed are refreshed no more', async (t, issuer) => {
  const { node } = await startIssuerNode(t, issuer, fast);
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

throughEach('key and chain in files of their own change in one step', async (t, issuer) => {
  const { node } = await startIssuerNode(t, issuer, fast);
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
