import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { generateKeyPairSync, sign } from 'node:crypto';
import { existsSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type ApiClient, createApiClient } from '../../../agent/kubernetes/client.ts';
import { createIdentity } from '../../../agent/kubernetes/identity.ts';
import type { PodCertificateRequest } from '../../../agent/kubernetes/objects.ts';
import { corePrefix } from '../../../agent/kubernetes/paths.ts';
import { createMonotonicClock } from '../../../agent/time/monotonic-clock.ts';
import { asSent } from '../../../sandbox/base/client.ts';
import type { KubernetesVersion } from '../../../sandbox/base/cluster-rules.ts';
import { type Cluster, type ClusterOptions, startCluster } from '../../../sandbox/cluster/cluster.ts';
import type { BoundPod } from '../../../sandbox/kubelet/pod.ts';
import { eventOf, until, withinBound } from '../../support/bounded.ts';
import { makeDirectory } from '../../support/directory.ts';

/** A test that waits for something that never comes fails instead of hanging. */
const limit = { timeout: 60_000 };

const signerName = 'example.com/mesh';
const volumes = [{ name: 'mtls', sources: '[]' }];
let directory: string;
let cluster: Cluster | undefined;
let driver: ChildProcess | undefined;
const clients: ApiClient[] = [];

beforeEach(() => {
  directory = makeDirectory();
});
afterEach(async () => {
  for (const client of clients.splice(0)) {
    client.close();
  }
  await cluster?.close();
  cluster = undefined;
  if (driver !== undefined && driver.exitCode === null) {
    const exited = eventOf(driver, 'exit', 'the driver to end');
    driver.kill('SIGKILL');
    await exited;
  }
  driver = undefined;
});

async function start(options: Partial<ClusterOptions> = {}): Promise<Cluster> {
  cluster = await startCluster({ directory, signers: [{ signerName }], kubelet: { backoffFactor: 0.02 }, ...options });
  return cluster;
}

async function startDriver(...args: string[]): Promise<void> {
  const script = fileURLToPath(new URL('../kubelet/csi-process.ts', import.meta.url));
  const child = spawn(process.execPath, [script, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  driver = child;
  const begun = new Promise((resolve, reject) => {
    child.stdout.once('data', resolve);
    child.once('exit', () => reject(new Error('the driver ended')));
  });
  await withinBound(begun, 'the driver to begin');
}

/** A client of the agent's service account that can impersonate its node. */
function agentClient(running: Cluster): ApiClient {
  const clock = createMonotonicClock();
  const identity = createIdentity({ kind: 'kubeconfig', path: running.kubeconfigs.agent }, { clock });
  const client = createApiClient({
    identity,
    clock,
    ...(running.impersonateNode ? { impersonateNode: running.nodeName } : {}),
  });
  clients.push(client);
  return client;
}

const requestVersions: Readonly<Record<KubernetesVersion, string>> = {
  '1.34': 'v1alpha1',
  '1.35': 'v1beta1',
  '1.36': 'v1beta1',
  '1.37': 'v1',
};

const collection = (kubernetes: KubernetesVersion) =>
  `/apis/certificates.k8s.io/${requestVersions[kubernetes]}/namespaces/demo/podcertificaterequests`;

/** Makes a certificate request as the agent does, and waits for its answer. */
async function request(running: Cluster, kubernetes: KubernetesVersion, pod: BoundPod) {
  const uidOf = async (path: string) => {
    const object = await running.admin.client.request({
      decode: asSent<BoundPod>,
      method: 'GET',
      path: `${corePrefix}${path}`,
    });
    return object.metadata.uid ?? '';
  };
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const podUID = pod.metadata.uid ?? '';
  const keyFile = join(directory, 'key.pem');
  writeFileSync(keyFile, privateKey.export({ type: 'pkcs8', format: 'pem' }));
  const stub = execFileSync('openssl', ['req', '-new', '-key', keyFile, '-subj', '/', '-outform', 'DER']);
  const evidence =
    kubernetes === '1.34' || kubernetes === '1.35'
      ? {
          pkixPublicKey: publicKey.export({ type: 'spki', format: 'der' }).toString('base64'),
          proofOfPossession: sign(null, Buffer.from(podUID), privateKey).toString('base64'),
        }
      : { stubPKCS10Request: stub.toString('base64') };
  const body = {
    metadata: { generateName: 'req-' },
    spec: {
      signerName,
      podName: pod.metadata.name,
      podUID,
      serviceAccountName: 'web',
      serviceAccountUID: await uidOf('/namespaces/demo/serviceaccounts/web'),
      nodeName: running.nodeName,
      nodeUID: await uidOf(`/nodes/${running.nodeName}`),
      ...evidence,
    },
  };
  const path = collection(kubernetes);
  const created = await agentClient(running).request({
    decode: asSent<PodCertificateRequest>,
    method: 'POST',
    path,
    body,
    as: 'node',
  });
  const answered = await running.admin.waitFor<PodCertificateRequest>(
    path,
    created.metadata.name,
    (each) => (each?.status?.conditions ?? []).length > 0,
  );
  return answered?.status;
}

for (const kubernetes of ['1.34', '1.35', '1.36', '1.37'] as const) {
  test(`on Kubernetes ${kubernetes} the agent's account may ask, and the signer answers`, limit, async () => {
    const running = await start({ kubernetes });
    const pod = await running.admin.createPod({ name: 'web', namespace: 'demo', serviceAccountName: 'web', volumes });
    const status = await request(running, kubernetes, pod);
    assert.equal(status?.conditions?.[0]?.type, 'Issued');
    assert.match(status?.certificateChain ?? '', /BEGIN CERTIFICATE/);
    assert.equal(running.signer(signerName).issued(), 1);
  });
}

test('a wrong answer, which the API server would refuse, stands in the status all the same', limit, async () => {
  const running = await start({ signers: [{ signerName, behaviour: { type: 'garbage' } }] });
  const pod = await running.admin.createPod({ name: 'web', namespace: 'demo', serviceAccountName: 'web', volumes });
  const status = await request(running, '1.36', pod);
  assert.match(Buffer.from(status?.certificateChain?.split('\n')[1] ?? '', 'base64').toString(), /not a certificate/);
});

test('an exchange of authorities goes through the API: one root, both, the new one', limit, async () => {
  const running = await start({ timeScale: 3600, signers: [{ signerName, lifetimeSeconds: 2 }] });
  const signer = running.signer(signerName);
  const roots = async () => {
    const path = `/apis/certificates.k8s.io/v1beta1/clustertrustbundles/${signer.trustBundleName}`;
    const bundle = await running.admin.client.request({
      decode: asSent<{ spec: { trustBundle: string } }>,
      method: 'GET',
      path,
    });
    return bundle.spec.trustBundle;
  };
  const old = signer.authority().rootPem;
  assert.equal(await roots(), old);
  await signer.publishNextRoot();
  assert.match(await roots(), new RegExp(`^${old.replaceAll(/[+/]/g, '.')}`));
  signer.issueFromNext();
  await signer.withdrawOldRoots();
  assert.equal(await roots(), signer.authority().rootPem);
});

test(
  'a pod runs once its volume is published, says why it does not yet, and is gone after its deletion',
  limit,
  async () => {
    const running = await start();
    const pod = await running.admin.createPod({ name: 'web', namespace: 'demo', serviceAccountName: 'web', volumes });
    await until(async () => (await running.admin.events('demo', 'web')).length > 0, 'an event on the pod');
    const [event] = await running.admin.events('demo', 'web');
    assert.equal(event?.reason, 'FailedMount');
    assert.equal(event?.involvedObject?.uid, pod.metadata.uid);

    await startDriver(running.csiSocket);
    await running.admin.podRunning('demo', 'web');
    const target = join(running.kubeletRoot, `pods/${pod.metadata.uid}/volumes/kubernetes.io~csi/mtls/mount`);
    assert.equal(existsSync(target), true, `${target} is missing`);

    await running.stopKubelet();
    running.startKubelet();
    await running.admin.deletePod('demo', 'web');
    assert.equal(existsSync(target), false);
  },
);

test('a driver that registers itself is found through the registration directory', limit, async () => {
  const running = await start({ kubelet: { backoffFactor: 0.02, registration: true } });
  await running.admin.createPod({ name: 'web', namespace: 'demo', serviceAccountName: 'web', volumes });
  const registrationSocket = join(running.registrationDirectory, 'driver.sock');
  await startDriver(join(directory, 'elsewhere.sock'), registrationSocket, running.driverName, '1.0.0');
  await running.admin.podRunning('demo', 'web');
});

test('closing ends what waits', limit, async () => {
  const running = await start({ kubelet: 'none' });
  const waiting = running.admin.podRunning('demo', 'nowhere');
  await running.close();
  await assert.rejects(waiting, /the cluster was closed/);
});

test('kubeconfig files can be read by their owner only', limit, async () => {
  const running = await start({ kubelet: 'none', signers: [] });
  for (const path of Object.values(running.kubeconfigs)) {
    assert.equal(statSync(path).mode & 0o777, 0o600);
  }
  assert.throws(() => running.signer('other.example.com/x'), /there is no signer/);
});
