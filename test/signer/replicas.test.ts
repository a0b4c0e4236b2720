/** What befalls a signer: its CA runs out, its leader dies, its Secret is lost, a thousand ask at once, somebody forges a request. */
import assert from 'node:assert/strict';
import { generateKeyPairSync, sign, X509Certificate } from 'node:crypto';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { createSandboxClient } from '../../sandbox/base/client.ts';
import { type Cluster, startCluster } from '../../sandbox/cluster/cluster.ts';
import { startNode, usualSources } from '../end-to-end/node.ts';
import { until } from '../support/bounded.ts';
import { makeDirectory } from '../support/directory.ts';
import {
  anchorsIn,
  ask as askReplica,
  hastened,
  namespace,
  type Replica,
  secretName,
  signerName,
  startReplica,
  stored,
  untilReady,
} from './replica.ts';

const requests = 'podcertificaterequests.certificates.k8s.io';
const pause = () => new Promise((resolve) => setTimeout(resolve, 20));
const quickLease = { durationMs: 2_000, renewWithinMs: 1_500, retryMs: 100 };

async function bareCluster(t: TestContext): Promise<Cluster> {
  const cluster = await startCluster({ directory: makeDirectory(t), kubernetes: '1.36', kubelet: 'none' });
  t.after(() => cluster.close());
  return cluster;
}

/** Makes requests for pods, past the agent. */
function asker(t: TestContext, cluster: Cluster) {
  const client = createSandboxClient(cluster.kubeconfigs.admin, 'test');
  t.after(() => client.close());
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const pkix = publicKey.export({ type: 'spki', format: 'der' }).toString('base64');
  return async (name: string, podName: string, more: object = {}): Promise<void> => {
    const pod = stored(cluster, 'pods', podName, 'default');
    const account = stored(cluster, 'serviceaccounts', 'default', 'default');
    const podUID = pod?.metadata.uid ?? 'none';
    const spec = {
      ...{ signerName, podName, podUID, serviceAccountName: 'default', serviceAccountUID: account?.metadata.uid ?? '' },
      ...{ nodeName: cluster.nodeName, nodeUID: 'any', pkixPublicKey: pkix, ...more },
    };
    const proof = sign('sha256', Buffer.from(spec.podUID), privateKey).toString('base64');
    await client.request({
      method: 'POST',
      path: '/apis/certificates.k8s.io/v1beta1/namespaces/default/podcertificaterequests',
      body: { metadata: { name }, spec: { ...spec, proofOfPossession: proof } },
    });
  };
}

async function createPod(cluster: Cluster, name: string): Promise<void> {
  await cluster.admin.createPod({ name, volumes: [] });
}

interface Status {
  readonly conditions?: readonly { readonly type: string; readonly reason: string }[];
}

function statusOf(cluster: Cluster, name: string): Status {
  return (stored(cluster, requests, name, 'default')?.status ?? {}) as Status;
}

async function untilAnswered(cluster: Cluster, name: string): Promise<string> {
  await until(() => (statusOf(cluster, name).conditions ?? []).length > 0, `an answer to ${name}`, pause);
  const [condition] = statusOf(cluster, name).conditions ?? [];
  return `${condition?.type} ${condition?.reason}`;
}

test('a CA is followed by the next under a running volume, and at no time is a certificate without its anchor', async (t) => {
  const timeScale = 600;
  const node = await startNode(t, { signers: [], timeScale });
  const signer = await startReplica(t, node.cluster.kubeconfigs.admin, {
    policy: { leafMs: 8_000, timing: hastened(timeScale) },
    authorityMs: 27_000,
    tendEveryMs: 100,
  });
  await node.cluster.admin.createPod({ name: 'web', volumes: [{ name: 'mtls', sources: usualSources }] });
  const pod = await node.cluster.admin.podRunning('default', 'web');
  const issuers = new Set<string>();
  const anchorCounts = new Set<number>();
  await until(
    () => {
      // The agent writes both in one step, so what is read in one turn belongs together.
      assert.ok(existsSync(join(node.volume(pod), 'tls.pem')), 'the volume has its files all the time');
      const leaf = node.leaf(pod);
      const anchors = node.read(pod, 'ca.pem').match(/-----BEGIN[^-]+-----[^-]+-----END[^-]+-----/g) ?? [];
      const trusted = anchors.some((anchor) => leaf.verify(new X509Certificate(anchor).publicKey));
      assert.ok(trusted, `${leaf.issuer} is none of the ${anchors.length} anchors in the volume`);
      issuers.add(leaf.issuer);
      anchorCounts.add(anchors.length);
      return issuers.size === 3;
    },
    () => `certificates of three CAs, of which ${issuers.size} came; ${JSON.stringify(signer.lines.slice(-5))}`,
    pause,
  );
  assert.ok(anchorCounts.has(1) && anchorCounts.has(2), 'old anchors go, new ones come beside those in use');
  const amiss = node.reasons('web').filter((reason) => /Denied|Failed|Trust/.test(reason));
  assert.deepEqual(amiss, [], 'nothing was amiss');
});

test('of two replicas one answers; when it stops the other goes on at once, and with the same CA', async (t) => {
  const cluster = await bareCluster(t);
  const ask = asker(t, cluster);
  const [one, two] = await Promise.all(
    ['one', 'two'].map((replica) =>
      startReplica(t, cluster.kubeconfigs.admin, { replica, lease: { ...quickLease, durationMs: 60_000 } }),
    ),
  );
  await until(() => [one, two].some((each) => each?.isLeading()), 'one leads', pause);
  const [leader, other] = (one?.isLeading() ? [one, two] : [two, one]) as [Replica, Replica];
  await untilReady(leader);
  assert.equal(other.isLeading(), false);
  const anchors = anchorsIn(cluster);
  await createPod(cluster, 'web');
  await ask('first', 'web');
  assert.equal(await untilAnswered(cluster, 'first'), 'Issued Issued');
  await leader.stop();
  await ask('second', 'web');
  assert.equal(await untilAnswered(cluster, 'second'), 'Issued Issued', 'long before the Lease would have run out');
  assert.equal(other.isLeading(), true);
  assert.equal(anchorsIn(cluster), anchors);
});

test('a leader that cannot renew its Lease stops by itself before another begins', async (t) => {
  const cluster = await bareCluster(t);
  const one = await startReplica(t, cluster.kubeconfigs.admin, { replica: 'one', lease: quickLease });
  await untilReady(one);
  const second = join(makeDirectory(t), 'second.kubeconfig');
  const user = { username: 'second', groups: ['system:masters'], extra: {} };
  writeFileSync(second, cluster.apiServer.kubeconfig(user), { mode: 0o600 });
  const two = await startReplica(t, second, { replica: 'two', lease: quickLease });
  // What befalls a replica whose node has lost the network: its calls go nowhere, and it lives.
  cluster.apiServer.faults.add({ kind: 'hang', match: { user: 'admin' } });
  await one.logged(({ message }) => message === 'this replica answers requests no more');
  assert.equal(two.isLeading(), false, 'the Lease is still good');
  await until(() => two.isLeading(), 'the other one leads', pause);
  assert.equal(one.isLeading(), false);
  cluster.apiServer.faults.clear();
  await untilReady(two);
});

test('two replicas that start over an empty namespace make one CA between them', async (t) => {
  const cluster = await bareCluster(t);
  const replicas = await Promise.all(
    ['one', 'two', 'three'].map((replica) =>
      startReplica(t, cluster.kubeconfigs.admin, { replica, lease: quickLease }),
    ),
  );
  await until(() => anchorsIn(cluster) !== '', 'anchors are published', pause);
  const made = replicas.flatMap(({ lines }) => lines.filter(({ message }) => message === 'a CA was made'));
  assert.equal(made.length, 1);
});

test('a Secret that is deleted holds the same CA again, and nothing is signed while it is away', async (t) => {
  const cluster = await bareCluster(t);
  const ask = asker(t, cluster);
  const signer = await startReplica(t, cluster.kubeconfigs.admin, { tendEveryMs: 50 });
  await untilReady(signer);
  const before = stored(cluster, 'secrets', secretName, namespace)?.['data'];
  cluster.apiServer.faults.add({ kind: 'error', match: { resource: 'secrets', verb: 'create' }, code: 403 });
  const client = createSandboxClient(cluster.kubeconfigs.admin, 'test');
  t.after(() => client.close());
  await client.request({ method: 'DELETE', path: `/api/v1/namespaces/${namespace}/secrets/${secretName}` });
  await signer.logged(({ error }) => String(error).includes(`create secret generic ${secretName}`));
  await createPod(cluster, 'web');
  await ask('first', 'web');
  await until(
    async () => (await askReplica(signer, '/metrics')).text.includes('waiting_requests 1'),
    'it waits',
    pause,
  );
  assert.equal((await askReplica(signer, '/readyz')).status, 503);
  assert.deepEqual(statusOf(cluster, 'first').conditions ?? [], []);
  cluster.apiServer.faults.clear();
  assert.equal(await untilAnswered(cluster, 'first'), 'Issued Issued');
  assert.deepEqual(stored(cluster, 'secrets', secretName, namespace)?.['data'], before);
});

test('a bundle that somebody changes or deletes is put right', async (t) => {
  const cluster = await bareCluster(t);
  const signer = await startReplica(t, cluster.kubeconfigs.admin, { tendEveryMs: 50 });
  await untilReady(signer);
  const anchors = anchorsIn(cluster);
  const client = createSandboxClient(cluster.kubeconfigs.admin, 'test');
  t.after(() => client.close());
  await client.request({
    method: 'DELETE',
    path: '/apis/certificates.k8s.io/v1beta1/clustertrustbundles/example.com:mesh:trial-signer',
  });
  await until(() => anchorsIn(cluster) === anchors, 'the same anchors are published again', pause);
});

test('requests that do not fit the pod are denied, whatever it is that does not fit', async (t) => {
  const cluster = await bareCluster(t);
  const ask = asker(t, cluster);
  await startReplica(t, cluster.kubeconfigs.admin);
  await createPod(cluster, 'web');
  const forgeries: Readonly<Record<string, object>> = {
    'no-such-pod': { podName: 'other' },
    'wrong-uid': { podUID: 'another' },
    'wrong-account': { serviceAccountName: 'admin' },
    'wrong-account-uid': { serviceAccountUID: 'older' },
    'wrong-node': { nodeName: 'node-9' },
  };
  for (const [name, more] of Object.entries(forgeries)) {
    await ask(name, 'web', more);
    assert.equal(await untilAnswered(cluster, name), 'Denied PodMismatch', name);
  }
  await ask('honest', 'web');
  assert.equal(await untilAnswered(cluster, 'honest'), 'Issued Issued');
});

test('a thousand requests at once are all answered, each once, and nothing is left waiting', async (t) => {
  const cluster = await bareCluster(t);
  const ask = asker(t, cluster);
  await createPod(cluster, 'web');
  const names = Array.from({ length: 1000 }, (_, index) => `request-${index}`);
  await Promise.all(names.map((name) => ask(name, 'web')));
  const signer = await startReplica(t, cluster.kubeconfigs.admin);
  const issuedOf = (lines: Replica['lines']) => lines.filter(({ message }) => message === 'certificate issued');
  // The bound is for each fifty: a loaded machine takes its time for all of them.
  for (let count = 50; count <= names.length; count += 50) {
    await until(() => issuedOf(signer.lines).length >= count, `${count} answers`, pause);
  }
  const issued = issuedOf(signer.lines);
  assert.deepEqual(
    names.filter((name) => statusOf(cluster, name).conditions?.[0]?.type !== 'Issued'),
    [],
  );
  assert.equal(new Set(issued.map(({ request }) => request)).size, issued.length);
  const { text } = await askReplica(signer, '/metrics');
  assert.match(text, /_waiting_requests 0\n/);
  assert.match(text, /outcome="issued"\} 1000\n/);
});

test('an API server that fails and conflicts is asked again until each request is answered', async (t) => {
  const cluster = await bareCluster(t);
  const ask = asker(t, cluster);
  await startReplica(t, cluster.kubeconfigs.admin);
  await createPod(cluster, 'web');
  cluster.apiServer.faults.add({
    kind: 'error',
    match: { resource: 'podcertificaterequests', verb: 'update' },
    code: 503,
    count: 2,
  });
  cluster.apiServer.faults.add({ kind: 'error', match: { resource: 'pods', verb: 'get' }, code: 500, count: 2 });
  await ask('patient', 'web');
  assert.equal(await untilAnswered(cluster, 'patient'), 'Issued Issued');
});
