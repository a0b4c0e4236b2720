/**
 * CertificateSigningRequests are removed by the cluster and by people at any time, and nobody owns them: whenever that is,
 * the pod gets its certificate, and what it has stays.
 */
import assert from 'node:assert/strict';
import { createPrivateKey } from 'node:crypto';
import { type TestContext, test } from 'node:test';
import type { SigningBehaviour } from '../../sandbox/signers/signing-requests.ts';
import { signingRequests as resource } from '../../sandbox/storage/resources.ts';
import { startNode, type TestNode, written } from './node.ts';
import { signingRequests, startSigner, untilRequests } from './signing-request-signer.ts';

const signerName = 'example.org/approved';
const sources = [{ podCertificate: { signerName, keyType: 'ECDSAP256', credentialBundlePath: 'tls.pem' } }];
const rule = JSON.stringify([{ signers: ['example.org/*'], certificateSigningRequest: {} }]);

async function start(t: TestContext, behaviour: SigningBehaviour, lifetimeSeconds = 3600) {
  const node = await startNode(t, { flags: ['--issuers', rule] });
  const { signer } = await startSigner(t, node, signerName, behaviour, lifetimeSeconds);
  return {
    node,
    signer,
    create: () => node.cluster.admin.createPod({ name: 'web', volumes: [{ name: 'mtls', sources }] }),
  };
}

/** Removes whatever request there is, as the controller manager does. @returns their names */
function removeAll({ cluster }: TestNode): readonly string[] {
  const { store } = cluster.apiServer;
  const names = store.list(resource).map(({ metadata }) => metadata.name ?? '');
  for (const name of names) {
    store.remove(resource, '', name);
  }
  return names;
}

async function assertServed(node: TestNode): Promise<void> {
  const pod = await node.cluster.admin.podRunning('default', 'web');
  const key = createPrivateKey(node.read(pod, 'tls.pem'));
  assert.equal(node.leaf(pod).checkPrivateKey(key), true, 'the key does not belong to the leaf');
  await untilRequests(node, 0);
}

for (const [moment, behaviour] of [
  ['waits for its approval', 'silent'],
  ['is approved and not signed', 'approve only'],
] as const) {
  test(`a request that disappears while it ${moment} is made anew`, async (t) => {
    const { node, signer, create } = await start(t, 'silent');
    await create();
    await untilRequests(node, 1);
    if (behaviour === 'approve only') {
      const { store } = node.cluster.apiServer;
      const [request] = store.list(resource);
      assert.ok(request !== undefined, 'there is a request');
      const conditions = [{ type: 'Approved', status: 'True', reason: 'Test' }];
      store.update(resource, { ...request, status: { ...request.status, conditions } });
    }
    const [gone] = removeAll(node);
    const lost = await node.logged((line) => line.message === 'request lost' && line['request'] === gone);
    assert.equal(lost['reason'], 'deleted');
    signer.setBehaviour('approve and sign');
    await assertServed(node);
    const final = await node.logged(written('web', true));
    assert.notEqual(final['request'], gone);
  });
}

test('a request that disappears while no agent runs is made anew by the next one', async (t) => {
  const { node, signer, create } = await start(t, 'silent');
  await create();
  await untilRequests(node, 1);
  await node.stopAgent();
  removeAll(node);
  signer.setBehaviour('approve and sign');
  await node.startAgent();
  await assertServed(node);
});

test('a denied request that disappears changes nothing: the pod is told why, and asked for again in its time', async (t) => {
  const { node, signer, create } = await start(t, 'deny');
  await create();
  const denied = await node.event('web', 'Denied');
  assert.match(denied.message ?? '', /Policy: no/);
  removeAll(node);
  signer.setBehaviour('approve and sign');
  await assertServed(node);
});

test('a request that disappears in the moment of its answer costs one more at most, and the pod nothing', async (t) => {
  const { node, create } = await start(t, 'approve and sign');
  const { store } = node.cluster.apiServer;
  let made = 0;
  let removed = 0;
  store.subscribe(({ type, resource: changed, object }) => {
    if (changed !== resource) {
      return;
    }
    made += type === 'ADDED' ? 1 : 0;
    const isAnswered = object.status?.['certificate'] !== undefined;
    if (type === 'MODIFIED' && isAnswered && removed === 0) {
      removed += 1;
      store.remove(resource, '', object.metadata.name ?? '');
    }
  });
  await create();
  await assertServed(node);
  assert.equal(removed, 1);
  assert.ok(made <= 2, `${made} requests`);
});

test('during refreshes requests may disappear as they like: the certificate stays until the next one is there', async (t) => {
  const { node, signer, create } = await start(t, 'approve and sign', 12);
  await create();
  await assertServed(node);
  const pod = await node.cluster.admin.podRunning('default', 'web');
  signer.setBehaviour('silent');
  await untilRequests(node, 1);
  const before = node.read(pod, 'tls.pem');
  removeAll(node);
  await node.logged((line) => line.message === 'request lost');
  await untilRequests(node, 1);
  assert.equal(node.read(pod, 'tls.pem'), before);
  assert.equal(signingRequests(node).length, 1);
  signer.setBehaviour('approve and sign');
  await node.logged(written('web', false));
  assert.notEqual(node.read(pod, 'tls.pem'), before);
});
