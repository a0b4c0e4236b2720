/**
 * Layouts in a cluster: the folder that SPIFFE programs look into, with bundles that come and go with the federation; Istio's files; and
 * gRPC's map. On real mounts where this run may mount.
 */
import assert from 'node:assert/strict';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import type { ClusterTrustBundle } from '../../agent/kubernetes/objects.ts';
import type { Cluster } from '../../sandbox/cluster/cluster.ts';
import { until } from '../support/bounded.ts';
import { createRootAuthority } from '../support/certificates.ts';
import { withFields } from '../support/fields.ts';
import { mountSkip } from '../volumes/support.ts';
import { type Line, signerName, startNode } from './node.ts';
import { startRealNode } from './real-node.ts';

const prefix = '/apis/certificates.k8s.io/v1beta1';
const resource = 'clustertrustbundles';
const own = 'a.example';
const credentials = 'credential-bundle.private-key.pem';
const bundleOf = (trustDomain: string): string => `${trustDomain}.spiffe-trust-bundle.pem`;

/** A pod with the sources of a layout. */
function podWith(name: string, layout: string, more: object = {}) {
  const podCertificate = { signerName, keyType: 'ECDSAP256', layout };
  const sources = [{ podCertificate }, { clusterTrustBundle: { signerName, layout, trustDomain: own, ...more } }];
  return { name, volumes: [{ name: 'mtls', sources }] };
}

function administer(cluster: Cluster) {
  const { admin, apiServer } = cluster;
  return {
    /** Publishes a bundle of the signer for workloads of the pod's trust domain. */
    async publish(name: string, trustBundle: string, peer: string, canarying = 'live'): Promise<void> {
      const labels = {
        'k8s.spiffe.io/canarying': canarying,
        'k8s.spiffe.io/workload-trust-domain': own,
        'k8s.spiffe.io/peer-trust-domain': peer,
      };
      const metadata = { name: `${signerName.replace('/', ':')}:${name}`, labels };
      await admin.create(prefix, { resource }, { metadata, spec: { signerName, trustBundle } });
    },
    async remove(name: string): Promise<void> {
      const path = `${prefix}/${resource}/${signerName.replace('/', ':')}:${name}`;
      await admin.client.request({ method: 'DELETE', path });
    },
    /** The anchors that the signer has published itself. */
    anchors(): string {
      const [bundle] = apiServer.store
        .list('clustertrustbundles.certificates.k8s.io')
        .map((object) => withFields<ClusterTrustBundle>(object, 'metadata', 'spec'))
        .filter(({ metadata }) => metadata.name.endsWith(':anchors'));
      return bundle?.spec.trustBundle ?? '';
    },
  };
}

test('a SPIFFE credential folder follows the federation while the pod runs, and while no agent does', {
  skip: mountSkip,
  timeout: 600_000,
}, async (t) => {
  const node = await startRealNode(t, { signers: [{ signerName, trustDomain: own }] });
  const { publish, remove, anchors } = administer(node.cluster);
  const [peer, other] = [(await createRootAuthority('CN=peer')).pem, (await createRootAuthority('CN=other')).pem];
  const agent = await node.startAgent();
  await publish('own', anchors(), own);
  await publish('peer', peer, 'b.example');
  await publish('soon', other, 'c.example', 'preview');
  await node.cluster.admin.createPod(podWith('web', 'spiffe'));
  const pod = await node.cluster.admin.podRunning('default', 'web');
  const files = (): readonly string[] =>
    readdirSync(node.volume(pod))
      .filter((name) => !name.startsWith('..'))
      .toSorted();
  const come = (...trustDomains: readonly string[]): Promise<void> => {
    const expected = [...trustDomains.map(bundleOf), credentials].toSorted();
    const look = () => files().join() === expected.join();
    return until(
      look,
      () => `${expected.join()}, there are ${files().join()}`,
      () => pause(20),
    );
  };
  await come(own, 'b.example');
  assert.equal(node.read(pod, bundleOf('b.example')), peer, 'never merged with another');
  const [key = '', ...chain] = blocksOf(node.read(pod, credentials));
  assert.match(key, /^-----BEGIN PRIVATE KEY-----/);
  assert.equal([key, ...chain].join(''), node.read(pod, credentials), 'nothing between the blocks');
  const [leaf, ...above] = chain.map((pem) => new X509Certificate(pem));
  assert.ok(leaf?.checkPrivateKey(createPrivateKey(key)), 'the leaf holds the key');
  assert.match(leaf?.subjectAltName ?? '', /^URI:spiffe:\/\/a\.example\//);
  assert.ok(
    above.every((authority) => !authority.checkIssued(authority)),
    'no root in the chain',
  );

  await publish('third', other, 'd.example');
  await come(own, 'b.example', 'd.example');
  await remove('peer');
  await come(own, 'd.example');
  const changed = await agent.logged((line) => isChange(line, own, 'd.example'));
  assert.equal(changed['certificates'], 2);

  // A federation that ends while nobody looks has ended when somebody does; the pod's own trust domain stays.
  await agent.end('SIGKILL');
  await remove('third');
  await remove('own');
  await publish('fourth', peer, 'e.example');
  assert.deepEqual(files(), [bundleOf(own), bundleOf('d.example'), credentials].toSorted());
  await node.startAgent();
  await come(own, 'e.example');
  assert.equal(node.read(pod, bundleOf(own)), anchors());
  assert.equal(node.created.length, 1, 'the certificate is not asked for again');
});

function isChange(line: Line, ...trustDomains: readonly string[]): boolean {
  return line.message === 'trust anchors changed' && String(line['trustDomains']) === trustDomains.join();
}

function blocksOf(pem: string): readonly string[] {
  return pem.match(/-----BEGIN [A-Z ]+-----\n[^-]+-----END [A-Z ]+-----\n/g) ?? [];
}

test('a pod waits for the bundle of its own trust domain, is told of bundles that are left out, and of each change', async (t) => {
  const node = await startNode(t, { signers: [{ signerName, trustDomain: own }] });
  const { publish, remove, anchors } = administer(node.cluster);
  const { pem } = await createRootAuthority('CN=peer');
  await publish('peer', pem, 'b.example');
  await publish('odd', pem, 'B.example');
  await node.cluster.admin.createPod(podWith('web', 'spiffe'));
  const missing = await node.event('web', 'TrustBundleMissing');
  assert.match(missing.message ?? '', /k8s\.spiffe\.io\/peer-trust-domain both a\.example/);
  const odd = await node.event('web', 'TrustBundleUnusable');
  assert.match(
    odd.message ?? '',
    /left out: ClusterTrustBundle \\?"example\.com:mesh:odd\\?": its label k8s\.spiffe\.io\/peer-trust-domain, \\?"B\.example\\?", is no trust domain/,
  );
  await publish('own', anchors(), own);
  const pod = await node.cluster.admin.podRunning('default', 'web');
  assert.equal(node.read(pod, bundleOf('b.example')), pem);
  const status = async (): Promise<Record<string, unknown>> =>
    JSON.parse(await node.get('/statusz', { accept: 'application/json' })).volumes[0].trustAnchors[0];
  assert.deepEqual(await status(), {
    source: 1,
    of: signerName,
    optional: false,
    file: bundleOf(own),
    trustDomain: own,
    trustDomains: [own, 'b.example'],
  });
  await remove('peer');
  const changed = await node.event('web', 'TrustDomainsChanged');
  assert.equal(
    changed.message,
    'volume "mtls" sources[1]: peers of trust domain b.example cannot be verified any more, since its bundles are gone.',
  );
  assert.ok(!existsSync(join(node.volume(pod), bundleOf('b.example'))), 'the file is gone');
  await remove('own');
  const gone = await node.logged(
    (line) => line.message === 'trust anchors missing' && String(line['detail']).includes('has no'),
  );
  assert.equal(gone.level, 'warn');
  assert.equal(node.read(pod, bundleOf(own)), anchors(), "the pod's own trust domain stays");
});

test('preview pods see what is to come, live pods what is; a pod that needs none of its own starts without', async (t) => {
  const node = await startNode(t, { signers: [{ signerName, trustDomain: own }] });
  const { publish, anchors } = administer(node.cluster);
  const { pem } = await createRootAuthority('CN=peer');
  await publish('own', anchors(), own);
  await publish('own-preview', anchors(), own, 'preview');
  await publish('peer-preview', pem, 'b.example', 'preview');
  await node.cluster.admin.createPod(podWith('live', 'spiffe', { path: 'spiffe' }));
  await node.cluster.admin.createPod(podWith('preview', 'spiffe', { path: 'spiffe', canarying: 'preview' }));
  await node.cluster.admin.createPod(podWith('alone', 'spiffe', { trustDomain: 'z.example', optional: true }));
  const [live, preview, alone] = await Promise.all(
    ['live', 'preview', 'alone'].map((name) => node.cluster.admin.podRunning('default', name)),
  );
  assert.ok(live && preview && alone, 'all run');
  const folder = (pod: typeof live) => readdirSync(join(node.volume(pod), 'spiffe')).toSorted();
  assert.deepEqual(folder(live), [bundleOf(own)]);
  assert.deepEqual(folder(preview), [bundleOf(own), bundleOf('b.example')]);
  assert.deepEqual(
    readdirSync(node.volume(alone)).filter((name) => !name.startsWith('..')),
    [credentials],
  );
});

test("Istio's files and gRPC's map lie where their programs look, and the map follows the federation", async (t) => {
  const node = await startNode(t, { signers: [{ signerName, trustDomain: own }] });
  const { publish, remove, anchors } = administer(node.cluster);
  const { pem } = await createRootAuthority('CN=peer');
  await publish('own', anchors(), own);
  await publish('peer', pem, 'b.example');
  const istio = { layout: 'istio', path: 'istio' };
  const grpc = { layout: 'grpc', path: 'grpc' };
  const sources = [
    { podCertificate: { signerName, keyType: 'ECDSAP256', ...istio } },
    {
      clusterTrustBundle: {
        signerName,
        labelSelector: { matchLabels: { 'k8s.spiffe.io/peer-trust-domain': own } },
        ...istio,
      },
    },
    { podCertificate: { signerName, keyType: 'ECDSAP256', ...grpc } },
    { clusterTrustBundle: { signerName, trustDomain: own, ...grpc } },
  ];
  await node.cluster.admin.createPod({ name: 'web', volumes: [{ name: 'mtls', sources }] });
  const pod = await node.cluster.admin.podRunning('default', 'web');
  const names = (folder: string) => readdirSync(join(node.volume(pod), folder)).toSorted();
  assert.deepEqual(names('istio'), ['cert-chain.pem', 'key.pem', 'root-cert.pem']);
  assert.deepEqual(names('grpc'), ['certificates.pem', 'private_key.pem', 'trust_bundles.json']);
  const map = (): Record<string, { keys: { x5c: string[] }[] }> =>
    JSON.parse(node.read(pod, 'grpc/trust_bundles.json')).trust_domains;
  assert.deepEqual(Object.keys(map()), [own, 'b.example']);
  for (const [name, expected] of [
    [own, anchors()],
    ['b.example', pem],
  ] as const) {
    const x5c = map()[name]?.keys.map((key) => key.x5c.join()) ?? [];
    assert.deepEqual(x5c, [new X509Certificate(expected).raw.toString('base64')]);
  }
  await remove('peer');
  await until(
    () => Object.keys(map()).join() === own,
    'the map to go without b.example',
    () => pause(20),
  );
  assert.equal(node.read(pod, 'istio/root-cert.pem'), anchors());
});
