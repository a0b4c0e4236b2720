/**
 * Issuance ahead of the publish call: what a pod gets by it, that it costs no request more, and what becomes of what was begun when
 * things turn out otherwise. The kubelet stands still while something is begun, so that each test knows what came first.
 */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { PodCertificateRequest } from '../../agent/kubernetes/objects.ts';
import { agentAccount, agentNamespace } from '../../sandbox/cluster/permissions.ts';
import type { Fault } from '../../sandbox/serving/faults.ts';
import { until } from '../support/bounded.ts';
import { type NodeOptions, signerName, startNode, type TestNode, usualSources } from './node.ts';

const volumes = [{ name: 'mtls', sources: usualSources }];
const agentUser = `system:serviceaccount:${agentNamespace}:${agentAccount}`;

/** A node whose agent watches its pods already and whose kubelet stands still. */
async function startAhead(t: TestContext, options: NodeOptions = {}): Promise<TestNode> {
  const node = await startNode(t, { ...options, flags: ['--issue-ahead', ...(options.flags ?? [])] });
  await node.cluster.stopKubelet();
  await watching(node);
  return node;
}

/** Resolves once the agent's watch of the node's pods has heard of all that are there. */
async function watching(node: TestNode): Promise<void> {
  let metrics = '';
  await until(
    async () => {
      metrics = await node.metrics();
      return metrics.includes('last_event_timestamp_seconds{watch="pods"}');
    },
    () => `the watch of pods in:\n${metrics}`,
  );
}

async function requested(node: TestNode, count: number): Promise<readonly PodCertificateRequest[]> {
  await until(
    () => node.requests().length >= count,
    () => `${count} requests, of ${node.requests().length} so far`,
  );
  return node.requests();
}

test('a pod that is bound before it is published finds its certificate made, with one request in all', async (t) => {
  const node = await startAhead(t);
  await node.cluster.admin.createPod({ name: 'web', volumes });
  const [ahead] = await requested(node, 1);
  await until(
    () => node.cluster.signer(signerName).issued() === 1,
    () => 'the signer to answer',
  );
  assert.equal(node.lines.filter(({ message }) => message === 'volume requested by the kubelet').length, 0);
  node.cluster.startKubelet();
  const pod = await node.cluster.admin.podRunning('default', 'web');
  assert.deepEqual(
    node.requests().map(({ metadata }) => metadata.uid),
    [ahead?.metadata.uid],
  );
  assert.equal(node.cluster.signer(signerName).issued(), 1);
  const line = await node.logged(({ message }) => message === 'certificate written');
  assert.equal(line['request'], ahead?.metadata.name);
  assert.ok(node.leaf(pod).checkPrivateKey, 'a leaf is in the files');
});

test('a refusal that came ahead is told when the kubelet calls, as any refusal', async (t) => {
  const node = await startAhead(t, {
    signers: [{ signerName, behaviour: { type: 'denying', reason: 'Policy', message: 'not on a Sunday' } }],
  });
  await node.cluster.admin.createPod({ name: 'web', volumes });
  const [ahead] = await requested(node, 1);
  await until(
    () => node.requests()[0]?.status?.conditions?.[0]?.type === 'Denied',
    () => 'the signer to deny',
  );
  assert.deepEqual(node.reasons('web'), []);
  node.cluster.startKubelet();
  const told = await node.event('web', 'Denied');
  assert.match(told.message ?? '', /not on a Sunday/);
  assert.equal(node.requests()[0]?.metadata.uid, ahead?.metadata.uid);
  const line = await node.logged(({ message }) => message === 'certificate requested');
  assert.equal(line['request'], ahead?.metadata.name);
});

test('an agent that is restarted before the kubelet calls begins nothing ahead, and the call asks anew', async (t) => {
  const node = await startAhead(t);
  await node.cluster.admin.createPod({ name: 'web', volumes });
  await requested(node, 1);
  await node.stopAgent();
  await node.startAgent();
  await watching(node);
  // Whatever the agent would have begun for a pod that it found, it would have begun before it begins for a later one.
  await node.cluster.admin.createPod({ name: 'later', volumes });
  await requested(node, 2);
  node.cluster.startKubelet();
  for (const name of ['web', 'later']) {
    await node.cluster.admin.podRunning('default', name);
  }
  assert.deepEqual(
    node
      .requests()
      .map(({ spec }) => spec.podName)
      .sort(),
    ['later', 'web', 'web'],
  );
});

const blind: Readonly<Record<string, Fault>> = {
  'is refused': { kind: 'error', code: 403 },
  'is never answered': { kind: 'hang' },
};

for (const [what, fault] of Object.entries(blind)) {
  test(`an agent whose list of pods ${what} serves pods as if nothing were begun ahead, with one request each`, async (t) => {
    const node = await startNode(t, { flags: ['--issue-ahead'] });
    await node.stopAgent();
    const { admin, apiServer } = node.cluster;
    apiServer.faults.add({ ...fault, match: { verb: 'list', resource: 'pods', user: agentUser } });
    await node.startAgent();
    await admin.createPod({ name: 'web', volumes });
    await admin.podRunning('default', 'web');
    assert.equal(node.requests().length, 1);
  });
}
