/**
 * Requests on behalf of the pod: whoever approves them sees the workload's own account, in every identity mode, and its token is
 * nowhere but in the call.
 */
import assert from 'node:assert/strict';
import { lstatSync, readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { corePrefix, resourcePath } from '../../agent/kubernetes/paths.ts';
import { asSent } from '../../sandbox/base/client.ts';
import { createCsiDriver } from '../../sandbox/kubelet/csi.ts';
import { podVolume } from '../../sandbox/kubelet/pod.ts';
import {
  putIssuer,
  requestsMade,
  startIssuers,
  untilRequests as untilCertificateRequests,
} from './cert-manager-issuer.ts';
import { written } from './node.ts';
import { account, assertNoTokens, createPod, signerName, startPodAccountNode } from './pod-account.ts';
import { signingRequests, startSigner, untilRequests } from './signing-request-signer.ts';

const modes = [
  { agentIdentity: 'impersonatedNode', driver: { tokenRequests: [{ audience: '' }] } },
  { agentIdentity: 'serviceAccount' },
  { agentIdentity: 'serviceAccount', inSecrets: true },
  { agentIdentity: 'kubelet' },
] as const;

for (const { agentIdentity, ...more } of modes) {
  const where = 'inSecrets' in more ? ', tokens in secrets' : '';
  test(`in identity mode ${agentIdentity}${where} a request is the pod's account's`, async (t) => {
    const handedOver = {
      tokenRequests: [{ audience: '' }],
      requiresRepublish: true,
      serviceAccountTokenInSecrets: 'inSecrets' in more,
    };
    const driver = 'driver' in more ? more.driver : handedOver;
    const node = await startPodAccountNode(t, { agentIdentity, driver, kubelet: { syncMs: 500 } });
    const { signer } = await startSigner(t, node, signerName, 'silent');
    const created = await createPod(node);
    await untilRequests(node, 1);
    const [request] = signingRequests(node);
    const { username, groups, extra } = JSON.parse(JSON.stringify(request?.spec));
    assert.equal(username, `system:serviceaccount:default:${account}`);
    assert.ok(groups.includes('system:serviceaccounts:default'), 'its groups are those of the account');
    assert.deepEqual(extra['authentication.kubernetes.io/pod-name'], ['web']);
    assert.deepEqual(extra['authentication.kubernetes.io/pod-uid'], [created.metadata.uid]);
    signer.setBehaviour('approve and sign');
    const pod = await node.cluster.admin.podRunning('default', 'web');
    assert.equal(node.leaf(pod).subjectAltName, `URI:spiffe://cluster.local/ns/default/sa/${account}`);
    assert.ok(!node.reasons('web').includes('WaitingForToken'), 'the first call brings a token');
    await assertNoTokens(node);
  });
}

const viaCertManager = { api: 'certManager', settings: { issuer: { name: 'ca', kind: 'ClusterIssuer' } } } as const;

for (const agentIdentity of ['impersonatedNode', 'serviceAccount'] as const) {
  test(`in identity mode ${agentIdentity} a request to cert-manager is the pod's account's, also a renewal's`, async (t) => {
    const settings = { ...viaCertManager.settings, refreshAfter: 0.1 };
    const options = { ...viaCertManager, agentIdentity, settings, kubelet: { syncMs: 500 } };
    const node = await startPodAccountNode(t, options);
    await putIssuer(node, 'ca', true);
    const made = requestsMade(node);
    const { certManager, problems } = await startIssuers(
      t,
      node,
      { approver: 'wait for a command', issuer: 'sign' },
      20,
    );
    const created = await createPod(node);
    await untilCertificateRequests(node, 'a request', ({ length }) => length === 1);
    await assertNoTokens(node);
    certManager.setBehaviour({ approver: 'approve' });
    const pod = await node.cluster.admin.podRunning('default', 'web');
    assert.equal(node.leaf(pod).subjectAltName, `URI:spiffe://cluster.local/ns/default/sa/${account}`);
    await node.logged(written('web', false));
    certManager.setBehaviour({ approver: 'wait for a command' });
    assert.ok(made.length >= 2, 'a renewal asks anew');
    for (const { spec, metadata } of made) {
      const { username, groups, extra } = JSON.parse(JSON.stringify(spec));
      assert.equal(username, `system:serviceaccount:default:${account}`);
      assert.ok(groups.includes('system:serviceaccounts:default'), 'its groups are those of the account');
      assert.deepEqual(extra['authentication.kubernetes.io/pod-uid'], [created.metadata.uid]);
      assert.equal(metadata.ownerReferences?.[0]?.uid, created.metadata.uid);
    }
    assert.deepEqual(problems, []);
    await assertNoTokens(node);
  });
}

test('an account without the permission to ask cert-manager is named, with what it lacks and where', async (t) => {
  const node = await startPodAccountNode(t, { ...viaCertManager, agentIdentity: 'impersonatedNode', permitted: false });
  await createPod(node);
  const event = await node.event('web', 'AccountForbidden');
  const lacks = 'has no permission to create certificaterequests.cert-manager.io in namespace default';
  assert.ok(event.message?.includes(`service account default/${account} ${lacks}`), event.message);
  assert.doesNotMatch(event.message ?? '', /cluster-admin|impersonat|serviceaccounts\/token/);
  await assertNoTokens(node);
});

test('after a restart a refresh waits for the kubelet’s next call, and says so', async (t) => {
  const settings = { refreshAfter: 0.1 };
  const node = await startPodAccountNode(t, { agentIdentity: 'serviceAccount', settings });
  await startSigner(t, node, signerName, 'approve and sign', 30);
  await createPod(node);
  const pod = await node.cluster.admin.podRunning('default', 'web');
  await node.logged(written('web', true));
  await node.cluster.stopKubelet();
  await node.stopAgent();
  await node.startAgent();
  const line = await node.logged(({ message }) => message === 'request is held up');
  assert.equal(line.level, 'info');
  const event = await node.event('web', 'WaitingForToken');
  assert.equal(event.type, 'Normal');
  assert.match(event.message ?? '', /kubelet hands over a token of service account default\/web with its next call/);
  assert.match(
    await node.get('/statusz?format=json'),
    /the kubelet hands over a token of service account default\/web/,
  );
  assert.doesNotMatch(JSON.stringify(node.lines), /attempt failed/);
  const { serialNumber } = node.leaf(pod);
  const renewed = node.lines.filter(written('web', false)).length;
  node.cluster.startKubelet();
  await node.logged(() => node.lines.filter(written('web', false)).length > renewed);
  assert.notEqual(node.leaf(pod).serialNumber, serialNumber);
  await assertNoTokens(node);
});

test('a thousand repeated calls for a live volume are all answered well, and cost neither a call nor a write', async (t) => {
  const node = await startPodAccountNode(t, { agentIdentity: 'serviceAccount' });
  await startSigner(t, node, signerName, 'approve and sign');
  await createPod(node);
  const pod = await node.cluster.admin.podRunning('default', 'web');
  await untilRequests(node, 0);
  // The event is written beside the answer.
  await node.event('web', 'Issued');
  const { cluster } = node;
  const { uid = '', name } = pod.metadata;
  const { status } = await cluster.admin.client.request({
    method: 'POST',
    path: resourcePath(corePrefix, {
      ...{ namespace: 'default', resource: 'serviceaccounts' },
      ...{ name: account, subresource: 'token' },
    }),
    body: { spec: { expirationSeconds: 600, boundObjectRef: { kind: 'Pod', apiVersion: 'v1', name, uid } } },
    decode: asSent<{ readonly status: object }>,
  });
  const handOvers = [JSON.stringify({ '': status }), '{}', 'garbage', undefined];
  const { volumeId, targetPath } = podVolume(cluster.kubeletRoot, uid, 'mtls');
  const source = pod.spec?.volumes?.[0]?.csi;
  const driver = createCsiDriver({ driverName: cluster.driverName, endpoint: () => cluster.csiSocket });
  const { signal } = new AbortController();
  const publish = (tokens: string | undefined) =>
    driver.publish(
      {
        volumeId,
        targetPath,
        readOnly: true,
        volumeContext: {
          ...source?.volumeAttributes,
          'csi.storage.k8s.io/pod.name': name,
          'csi.storage.k8s.io/pod.namespace': 'default',
          'csi.storage.k8s.io/pod.uid': uid,
          'csi.storage.k8s.io/serviceAccount.name': account,
          'csi.storage.k8s.io/ephemeral': 'true',
        },
        ...(tokens === undefined ? {} : { secrets: { 'csi.storage.k8s.io/serviceAccount.tokens': tokens } }),
      },
      signal,
    );
  const before = { files: stampsOf(targetPath), calls: await apiCalls(node.metrics) };
  const results = new Set<string>();
  for (let batch = 0; batch < 40; batch += 1) {
    const calls = Array.from({ length: 25 }, (_, index) => publish(handOvers[(batch + index) % handOvers.length]));
    for (const result of await Promise.all(calls)) {
      results.add(JSON.stringify(result));
    }
  }
  assert.deepEqual([...results], ['{"type":"done"}']);
  assert.deepEqual({ files: stampsOf(targetPath), calls: await apiCalls(node.metrics) }, before);
  await assertNoTokens(node);
});

test('an account without the permission is named, with what it lacks and nothing that opens a hole', async (t) => {
  const node = await startPodAccountNode(t, { agentIdentity: 'serviceAccount', permitted: false });
  await createPod(node);
  const event = await node.event('web', 'AccountForbidden');
  assert.equal(event.type, 'Warning');
  assert.match(
    event.message ?? '',
    /service account default\/web has no permission to create certificatesigningrequests\.certificates\.k8s\.io/,
  );
  assert.doesNotMatch(event.message ?? '', /cluster-admin|impersonat|serviceaccounts\/token/);
  assert.deepEqual(signingRequests(node), []);
  await assertNoTokens(node);
});

test('a token that the kubelet hands over for another audience is not used, and the pod is told what is missing', async (t) => {
  const driver = { tokenRequests: [{ audience: 'vault' }], requiresRepublish: true };
  const node = await startPodAccountNode(t, { agentIdentity: 'serviceAccount', driver });
  await createPod(node);
  const event = await node.event('web', 'TokenMissing');
  assert.match(event.message ?? '', /CSIDriver object has to list the empty audience in tokenRequests/);
  assert.deepEqual(signingRequests(node), []);
  await assertNoTokens(node);
});

test('as its node the agent gets no token for an audience that the CSIDriver object does not list', async (t) => {
  const driver = { tokenRequests: [{ audience: 'vault' }] };
  const rule = { audience: 'signers' };
  const node = await startPodAccountNode(t, { agentIdentity: 'impersonatedNode', driver, rule });
  await createPod(node);
  const event = await node.event('web', 'TokenMissing');
  assert.match(event.message ?? '', /audience "signers" not found in pod spec volume/);
  assert.deepEqual(signingRequests(node), []);
  await assertNoTokens(node);
});

/** Calls that the agent has made, by its own count. */
async function apiCalls(metrics: () => Promise<string>): Promise<number> {
  const counts = [...(await metrics()).matchAll(/^podcert_agent_api_request_duration_seconds_count\{.*\} (\d+)$/gm)];
  assert.ok(counts.length > 0, 'calls are counted');
  return counts.reduce((sum, [, count]) => sum + Number(count), 0);
}

/** What changes with every write: times, inodes and links of all files of a volume. */
function stampsOf(directory: string): readonly unknown[] {
  const names = readdirSync(directory, { recursive: true, encoding: 'utf8' }).toSorted();
  return ['.', ...names].map((name) => {
    const path = join(directory, name);
    const { ino, mtimeMs, ctimeMs, size } = lstatSync(path);
    return [name, ino, mtimeMs, ctimeMs, size, lstatSync(path).isSymbolicLink() ? readlinkSync(path) : ''];
  });
}
