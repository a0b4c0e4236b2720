/**
 * Pods that are deleted while they wait for a signer or a bundle: the kubelet can unmount as soon as the publish call has
 * been answered, so the call must not be held any longer.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { signerName, startNode, usualSources } from './node.ts';

/** How long the agent holds a publish call that nobody wants any more. */
const heldMs = 110_000;

/** Who waited for the call to run out would have waited for all of this time; how fast the machine is does not matter. */
function assertSoonerThanHeld(tookMs: number): void {
  assert.ok(tookMs < heldMs / 2, `the deletion took ${tookMs} ms, and a publish call is held for ${heldMs} ms`);
}

const unhurried = ['--requests-per-second', '500', '--burst', '500'];

test('sixty pods that wait and are deleted are gone long before their publish calls run out, and cost a handful of calls', async (t) => {
  const node = await startNode(t, { signers: [{ signerName, behaviour: { type: 'silent' } }], flags: unhurried });
  const { admin } = node.cluster;
  const names = Array.from({ length: 60 }, (_, index) => `web-${index}`);
  await Promise.all(names.map((name) => admin.createPod({ name, volumes: [{ name: 'mtls', sources: usualSources }] })));
  await node.logged(() => node.lines.filter(({ message }) => message === 'certificate requested').length >= 60);
  const startedAt = performance.now();
  await Promise.all(names.map((name) => admin.deletePod('default', name)));
  assertSoonerThanHeld(performance.now() - startedAt);
  const metrics = await node.metrics();
  const calls = (verb: string): number =>
    [...metrics.matchAll(/^podcert_agent_api_request_duration_seconds_count\{(.*)\} (\d+)$/gm)]
      .filter(([, labels = '']) => labels.includes(`verb="${verb}"`) && labels.includes('resource="pods"'))
      .reduce((sum, [, , count]) => sum + Number(count), 0);
  // One each, unless some were gone before the last had waited for a moment.
  for (const verb of ['list', 'watch']) {
    assert.ok(calls(verb) > 0 && calls(verb) <= 3, `${verb}: ${calls(verb)}`);
  }
});

for (const agentIdentity of ['serviceAccount', 'kubelet'] as const) {
  test(`a pod that waits for a bundle goes as soon as it is deleted, in identity mode ${agentIdentity}`, async (t) => {
    const node = await startNode(t, { agentIdentity });
    const { admin } = node.cluster;
    const sources = [{ clusterTrustBundle: { name: 'not-there', path: 'ca.pem' } }];
    await admin.createPod({ name: 'web', volumes: [{ name: 'trust', sources }] });
    await node.event('web', 'TrustBundleMissing');
    const startedAt = performance.now();
    await admin.deletePod('default', 'web');
    assertSoonerThanHeld(performance.now() - startedAt);
  });
}

test('an agent that may not list pods says so once, and serves pods all the same', async (t) => {
  const node = await startNode(t);
  const { admin, apiServer } = node.cluster;
  apiServer.faults.add({ kind: 'error', match: { verb: 'list', resource: 'pods' }, code: 403, reason: 'Forbidden' });
  const sources = [{ clusterTrustBundle: { name: 'late', path: 'ca.pem' } }];
  await admin.createPod({ name: 'web', volumes: [{ name: 'trust', sources }] });
  const line = await node.logged(({ message }) => message.startsWith('the pods of this node cannot be watched'));
  assert.equal(line.level, 'warn');
});
