/**
 * Issuance ahead of the publish call: what a pod gets by it, that it costs no request more, and what becomes of what was begun when
 * things turn out otherwise. The kubelet stands still while something is begun, so that each test knows what came first.
 */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { PodCertificateRequest } from '../../agent/kubernetes/objects.ts';
import { until } from '../support/bounded.ts';
import { type NodeOptions, signerName, startNode, type TestNode, usualSources } from './node.ts';

const volumes = [{ name: 'mtls', sources: usualSources }];

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
