/** Requests that wait: however long they are and however many, they take the signer next to no memory, and each is read when its turn comes. */
import 'reflect-metadata';
import assert from 'node:assert/strict';
import { generateKeyPairSync, sign, webcrypto } from 'node:crypto';
import { type TestContext, test } from 'node:test';
import { Pkcs10CertificateRequestGenerator } from '@peculiar/x509';
import { createDiscovery } from '../../agent/kubernetes/discovery.ts';
import type { ListWatch } from '../../agent/kubernetes/list-watch.ts';
import type { KubernetesObject } from '../../agent/kubernetes/objects.ts';
import { createSandboxClient } from '../../sandbox/base/client.ts';
import { type Cluster, startCluster } from '../../sandbox/cluster/cluster.ts';
import { readPodCertificateRequest, watchPodCertificateRequests } from '../../signer/api/pod-certificate-requests.ts';
import { readSigningRequest, watchSigningRequests } from '../../signer/api/signing-requests.ts';
import { until } from '../support/bounded.ts';
import { makeDirectory } from '../support/directory.ts';
import { ask, signerName, startReplica, stored, untilReady } from './replica.ts';

const signingRequests = 'certificatesigningrequests.certificates.k8s.io';
const podRequests = 'podcertificaterequests.certificates.k8s.io';
const pause = () => new Promise((resolve) => setTimeout(resolve, 20));
const longText = 'QUFB'.repeat(25_000);
const many = 20;
/** Name, UID, version and maker of each, and what is between them. */
const fewCharacters = 600 * many;

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
const csr = await Pkcs10CertificateRequestGenerator.create({ keys, signingAlgorithm: algorithm });
/** The API server takes any text around a block of PEM. */
const longRequest = Buffer.from(`${csr.toString('pem')}\n${longText}`).toString('base64');
const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const podKey = {
  podUID: 'any',
  pkixPublicKey: publicKey.export({ type: 'spki', format: 'der' }).toString('base64'),
  proofOfPossession: sign('sha256', Buffer.from('any'), privateKey).toString('base64'),
};

async function bareCluster(t: TestContext) {
  const cluster = await startCluster({ directory: makeDirectory(t), kubernetes: '1.36', kubelet: 'none' });
  t.after(() => cluster.close());
  const client = createSandboxClient(cluster.kubeconfigs.admin, 'test');
  t.after(() => client.close());
  const make = async (path: string, body: object): Promise<void> => {
    await client.request({ method: 'POST', path, body });
  };
  return {
    cluster,
    client,
    discovery: createDiscovery({ client }),
    makeSigningRequest: (name: string) =>
      make('/apis/certificates.k8s.io/v1/certificatesigningrequests', {
        metadata: { name, annotations: { long: longText } },
        spec: { signerName, usages: ['client auth'], request: longRequest },
      }),
    makePodRequest: (name: string) =>
      make('/apis/certificates.k8s.io/v1beta1/namespaces/default/podcertificaterequests', {
        metadata: { name, annotations: { long: longText } },
        spec: {
          ...{ signerName, podName: 'web', serviceAccountName: 'default', serviceAccountUID: 'any' },
          ...{ nodeName: cluster.nodeName, nodeUID: 'any', ...podKey },
        },
      }),
  };
}

function setStatus({ apiServer: { store } }: Cluster, resource: string, type: string, within = ''): void {
  for (const { metadata } of store.list(resource)) {
    const current = store.get(resource, within, metadata.name ?? '');
    if (current !== undefined) {
      const conditions = [{ type, status: 'True', reason: 'Test', message: longText }];
      store.update(resource, { ...current, status: { conditions } });
    }
  }
}

async function all<T extends KubernetesObject>(watch: ListWatch<T>, count = many): Promise<readonly T[]> {
  await until(() => watch.health().synced && watch.list().length === count, 'all of them', pause);
  return watch.list();
}

function assertLittle(held: readonly object[]): void {
  const { length } = JSON.stringify(held);
  assert.ok(length < fewCharacters, `${length} characters are held of ${held.length} requests`);
}

const numbers = Array.from({ length: many }, (_, index) => index);

test('of CertificateSigningRequests that wait, or are answered, next to nothing is held', async (t) => {
  const { cluster, client, makeSigningRequest } = await bareCluster(t);
  await Promise.all(numbers.map((index) => makeSigningRequest(`request-${index}`)));
  const watch = watchSigningRequests(client, signerName, true, assert.ifError);
  t.after(watch.stop);
  const waiting = await all(watch);
  assert.ok(
    waiting.every(({ open }) => open?.owner === 'user admin'),
    'each belongs to its maker',
  );
  assertLittle(waiting);
  setStatus(cluster, signingRequests, 'Denied');
  await until(() => watch.list().every(({ open }) => open === undefined), 'all are answered', pause);
  assertLittle(watch.list());
});

test('of PodCertificateRequests that wait, next to nothing is held', async (t) => {
  const { client, discovery, makePodRequest } = await bareCluster(t);
  await Promise.all(numbers.map((index) => makePodRequest(`request-${index}`)));
  const watch = watchPodCertificateRequests(client, discovery, signerName, assert.ifError);
  t.after(watch.stop);
  const waiting = await all(watch);
  assert.ok(
    waiting.every(({ open }) => open?.owner === 'default'),
    'each belongs to its namespace',
  );
  assertLittle(waiting);
});

test('to who only signs, a CertificateSigningRequest is open once somebody has approved it', async (t) => {
  const { cluster, client, makeSigningRequest } = await bareCluster(t);
  await makeSigningRequest('request');
  const watch = watchSigningRequests(client, signerName, false, assert.ifError);
  t.after(watch.stop);
  const [request] = await all(watch, 1);
  assert.equal(request?.open, undefined);
  setStatus(cluster, signingRequests, 'Approved');
  await until(() => watch.list().every(({ open }) => open !== undefined), 'it is open', pause);
});

test('a request whose turn comes is read whole, and not when it is gone, another one, or answered by then', async (t) => {
  const { cluster, client, discovery, makeSigningRequest, makePodRequest } = await bareCluster(t);
  const { signal } = new AbortController();
  await makeSigningRequest('request');
  await makePodRequest('request');
  const uidOf = (resource: string, within = ''): string =>
    stored(cluster, resource, 'request', within)?.metadata.uid ?? '';
  const signing = { name: 'request', uid: uidOf(signingRequests) };
  const ofPod = { name: 'request', namespace: 'default', uid: uidOf(podRequests, 'default') };
  const readSigning = (metadata: typeof signing) => readSigningRequest(client, { metadata }, signal);
  const readOfPod = (metadata: typeof ofPod) => readPodCertificateRequest(client, discovery, { metadata }, signal);
  assert.equal((await readSigning(signing))?.request.spec.request, longRequest);
  assert.equal((await readOfPod(ofPod))?.request.spec.podName, 'web');
  for (const other of [{ uid: 'another' }, { name: 'no-such-request' }]) {
    assert.equal(await readSigning({ ...signing, ...other }), undefined);
    assert.equal(await readOfPod({ ...ofPod, ...other }), undefined);
  }
  setStatus(cluster, signingRequests, 'Failed');
  setStatus(cluster, podRequests, 'Issued', 'default');
  assert.equal(await readSigning(signing), undefined);
  assert.equal(await readOfPod(ofPod), undefined);
});

test('a CertificateSigningRequest that is too long is denied, and fails where somebody has approved it; the reason names the limit', async (t) => {
  for (const [mode, outcome] of [
    ['approve', 'Denied'],
    ['sign', 'Failed'],
  ] as const) {
    const { cluster, makeSigningRequest } = await bareCluster(t);
    const signer = await startReplica(t, cluster.kubeconfigs.admin, { signingRequests: mode });
    await untilReady(signer);
    await makeSigningRequest('request');
    if (mode === 'sign') {
      setStatus(cluster, signingRequests, 'Approved');
    }
    const conditions = () => JSON.stringify(stored(cluster, signingRequests, 'request')?.status ?? {});
    await until(() => conditions().includes(`"${outcome}"`), `it is ${outcome}`, pause);
    assert.match(conditions(), /spec\.request has \d{6} characters; up to 65536 are read/);
    await until(async () => (await ask(signer, '/metrics')).text.includes('waiting_requests 0\n'), 'none waits', pause);
  }
});
