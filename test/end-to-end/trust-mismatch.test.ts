/** A signer that exchanges its CA without an overlap, on a whole node: real chains, real bundles, real restarts. */
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { type TestContext, test } from 'node:test';
import type { CredentialEntry, StatusDocument } from '../../agent/observe/status/document.ts';
import type { BoundPod } from '../../sandbox/kubelet/pod.ts';
import type { Signer } from '../../sandbox/signers/signer.ts';
import { signerName, startNode, type TestNode, usualSources, written } from './node.ts';

/** A refresh is planned after half of the lifetime, and for a mismatch it comes at the latest 0.3 of that half after it was seen. */
async function withPod(t: TestContext, lifetimeSeconds: number): Promise<[TestNode, BoundPod]> {
  const signers = [{ signerName, lifetimeSeconds, refreshAtFraction: 0.5 }];
  const node = await startNode(t, { timeScale: 600, signers });
  await node.cluster.admin.createPod({ name: 'web', volumes: [{ name: 'mtls', sources: usualSources }] });
  return [node, await node.cluster.admin.podRunning('default', 'web')];
}

async function exchange(signer: Signer): Promise<void> {
  await signer.publishNextRoot();
  signer.issueFromNext();
  await signer.withdrawOldRoots();
}

async function entry(node: TestNode): Promise<CredentialEntry> {
  const { volumes }: StatusDocument = JSON.parse(await node.get('/statusz?format=json'));
  return volumes[0]?.credentials[0] ?? assert.fail('there is no credential');
}

/** What a peer does with the same anchors: the leaf, the intermediate behind it, and a root of the file. */
function isTrusted(node: TestNode, pod: BoundPod): boolean {
  const [leaf, intermediate] = certificates(node.read(pod, 'tls.pem'));
  const roots = certificates(node.read(pod, 'ca.pem'));
  if (leaf === undefined || intermediate === undefined) {
    return false;
  }
  return leaf.verify(intermediate.publicKey) && roots.some((root) => intermediate.verify(root.publicKey));
}

function certificates(pem: string): X509Certificate[] {
  return [...pem.matchAll(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g)].map(
    ([block]) => new X509Certificate(block),
  );
}

const mismatches = /^podcert_agent_trust_mismatches\{.*\} (\d+)$/m;
const mismatch = "chain leads to none of its signer's trust anchors";
const over = 'chain leads to a trust anchor again';

test('a signer that exchanges its CA without an overlap is told to the pod, whose certificate is renewed early', async (t) => {
  const [node, pod] = await withPod(t, 40);
  const first = await node.logged(written('web', true));
  await exchange(node.cluster.signer(signerName));
  const { message = '' } = await node.event('web', 'TrustMismatch');
  assert.match(message, /sources\[0\]: the certificate from example\.com\/mesh does not lead to the one trust anchor/);
  const told = await node.logged((line) => line.message === mismatch);
  assert.ok(String(told['refreshAt']) < String(first['refreshAt']), 'the renewal comes no earlier than was planned');
  await node.logged((line) => line.message === over);
  await node.event('web', 'TrustRestored');
  assert.ok(isTrusted(node, pod), 'a peer refuses the renewed chain');
  const { lastError, trustMismatchSince } = await entry(node);
  assert.deepEqual({ lastError, trustMismatchSince }, { lastError: undefined, trustMismatchSince: undefined });
  assert.equal(mismatches.exec(await node.metrics())?.[1], '0');
});

test('a mismatch that began while no agent ran is found by the next one, by the chain that the volume keeps', async (t) => {
  const [node, pod] = await withPod(t, 40);
  await node.stopAgent();
  const signer = node.cluster.signer(signerName);
  await exchange(signer);
  signer.setBehaviour({ type: 'silent' });
  await node.startAgent();
  await node.event('web', 'TrustMismatch');
  const { lastError = '', trustMismatchSince } = await entry(node);
  assert.match(
    lastError,
    /does not lead to the one trust anchor of signer example\.com\/mesh in the volume, seen since /,
  );
  assert.notEqual(trustMismatchSince, undefined);
  assert.equal(mismatches.exec(await node.metrics())?.[1], '1');
  assert.ok(!isTrusted(node, pod), 'there is no mismatch');
  signer.setBehaviour({ type: 'instant' });
  await node.logged((line) => line.message === over);
  assert.ok(isTrusted(node, pod), 'a peer refuses the renewed chain');
});

test('a CA that is exchanged with an overlap is no mismatch', async (t) => {
  const [node, pod] = await withPod(t, 12);
  const signer = node.cluster.signer(signerName);
  const isChanged = (certificatesNow: number) => (line: { readonly message: string }) =>
    line.message === 'trust anchors changed' && 'certificates' in line && line.certificates === certificatesNow;
  await signer.publishNextRoot();
  await node.logged(isChanged(2));
  signer.issueFromNext();
  const next = new X509Certificate(signer.authority().intermediatePem);
  // A renewal may have been under way when the signer switched.
  await node.logged((line) => written('web', false)(line) && node.leaf(pod).verify(next.publicKey));
  await signer.withdrawOldRoots();
  await node.logged(isChanged(1));
  const before = new Set(node.lines);
  await node.logged((line) => written('web', false)(line) && !before.has(line));
  assert.ok(isTrusted(node, pod), 'a peer refuses the renewed chain');
  assert.ok(!node.reasons('web').includes('TrustMismatch'), 'it was told');
  assert.equal(
    node.lines.find((line) => line.message === mismatch),
    undefined,
  );
});
