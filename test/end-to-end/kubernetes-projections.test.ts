/**
 * Kubernetes' own end-to-end tests of the podCertificate and clusterTrustBundle projections, rewritten for this driver: the same sources
 * in the same pods, with the same expectations. Each title begins with the words of the test that it mirrors.
 *
 * https://github.com/kubernetes/kubernetes/blob/master/test/e2e/auth/projected_podcertificate.go
 * https://github.com/kubernetes/kubernetes/blob/master/test/e2e/auth/projected_clustertrustbundle.go
 */
import assert from 'node:assert/strict';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { connect, createServer, type TLSSocket } from 'node:tls';
import type { VolumeRequest } from '../../sandbox/cluster/admin.ts';
import type { BoundPod } from '../../sandbox/kubelet/pod.ts';
import { eventOf, withinBound } from '../support/bounded.ts';
import { createRootAuthority } from '../support/certificates.ts';
import { signerName, startNode, type TestNode, usualSources } from './node.ts';

const hourMs = 60 * 60 * 1000;
const pathAnnotation = 'spiffe/path-overriding';

/** A pod that runs, with these volumes. */
async function runningPod(node: TestNode, name: string, volumes: readonly VolumeRequest[]): Promise<BoundPod> {
  await node.cluster.admin.createPod({ name, volumes });
  return await node.cluster.admin.podRunning('default', name);
}

/** The podCertificate source of the tests, with more fields. */
function certificate(more: object): readonly VolumeRequest[] {
  const podCertificate = { signerName, keyType: 'ED25519', credentialBundlePath: 'tls.pem', ...more };
  return [{ name: 'mtls', sources: [{ podCertificate }] }];
}

test('should allow server and client pods to establish an mTLS connection', async (t) => {
  const node = await startNode(t);
  const volumes = [{ name: 'mtls', sources: usualSources }];
  const [server, client] = [await runningPod(node, 'server', volumes), await runningPod(node, 'client', volumes)];
  const files = (pod: BoundPod) => {
    const bundle = node.read(pod, 'tls.pem');
    return { key: bundle, cert: bundle, ca: node.read(pod, 'ca.pem') };
  };
  const listener = createServer({ ...files(server), requestCert: true, rejectUnauthorized: true });
  const accepted = Promise.withResolvers<TLSSocket>();
  listener.on('secureConnection', accepted.resolve);
  listener.listen(0, '127.0.0.1');
  t.after(() => listener.close());
  await eventOf(listener, 'listening', 'the server to listen');
  const address = listener.address();
  assert.ok(typeof address === 'object' && address !== null, 'the server has an address');
  const servername = 'default.default.svc';
  const dialled = connect({ ...files(client), host: '127.0.0.1', port: address.port, servername });
  t.after(() => dialled.destroy());
  await eventOf(dialled, 'secureConnect', 'the handshake to succeed');
  const seen = await withinBound(accepted.promise, 'the server to accept the client');
  t.after(() => seen.destroy());
  assert.ok(dialled.authorized && seen.authorized, 'each verifies the other by its own anchors');
});

test('should honor UserAnnotations for SPIFFE URI path', async (t) => {
  const node = await startNode(t, { signers: [{ signerName, trustDomain: 'example.com', pathAnnotation }] });
  const pod = await runningPod(
    node,
    'inspector',
    certificate({ userAnnotations: { [pathAnnotation]: 'custom/path' } }),
  );
  assert.match(node.leaf(pod).subjectAltName ?? '', /URI:spiffe:\/\/example\.com\/custom\/path(,|$)/);
});

for (const [what, more, lifetimeMs] of [
  ['with default life time (24h) when MaxExpirationSeconds is not set', {}, 24 * hourMs],
  ['with specified duration (1h) when MaxExpirationSeconds is set', { maxExpirationSeconds: 3600 }, hourMs],
] as const) {
  test(`should issue certificate ${what}`, async (t) => {
    const node = await startNode(t);
    const { validFromDate, validToDate } = node.leaf(await runningPod(node, 'web', certificate(more)));
    assert.equal(validToDate.getTime() - validFromDate.getTime(), lifetimeMs);
  });
}

for (const [what, maxExpirationSeconds] of [
  ['exceeds maximum (91d)', 91 * 24 * 3600 + 1],
  ['is less than minimum (1h)', 3599],
] as const) {
  test(`should fail pod startup when MaxExpirationSeconds ${what}: the pod is told which field, and nothing is asked`, async (t) => {
    const node = await startNode(t);
    await node.cluster.admin.createPod({ name: 'web', volumes: certificate({ maxExpirationSeconds }) });
    const { message = '' } = await node.event('web', 'FailedMount');
    assert.match(message, /sources\[0\]\.podCertificate\.maxExpirationSeconds: must be from 3600 to 7862400 seconds/);
    assert.equal(node.requests().length, 0);
  });
}

const signerOne = 'test.test/signer-one';

/** The bundles of Kubernetes' tests: two signers with live and dead ones, and one of no signer. */
async function publishBundles(node: TestNode) {
  const made = new Map<string, string>();
  const bundles: readonly (readonly [name: string, signer: string | undefined, labels: Record<string, string>])[] = [
    ['test.test:signer-one:0', signerOne, { 'signer.alive': 'true' }],
    ['test.test:signer-one:1', signerOne, { 'signer.alive': 'true' }],
    ['test.test:signer-one:2', signerOne, { 'signer.alive': 'false' }],
    ['test.test:signer-two:3', 'test.test/signer-two', { 'signer.alive': 'true' }],
    ['test.test.signer-one.4', undefined, {}],
  ];
  for (const [name, signer, labels] of bundles) {
    const { pem } = await createRootAuthority(`CN=${name}`);
    made.set(name, pem);
    await publish(node, name, signer, pem, labels);
  }
  /** The certificates of these bundles, in any order. */
  return (...names: readonly string[]) => names.map((name) => made.get(name) ?? '').toSorted();
}

async function publish(
  node: TestNode,
  name: string,
  signer: string | undefined,
  trustBundle: string,
  labels: Record<string, string> = {},
): Promise<void> {
  const body = { metadata: { name, labels }, spec: { trustBundle, ...(signer && { signerName: signer }) } };
  await node.cluster.admin.create('/apis/certificates.k8s.io/v1beta1', { resource: 'clustertrustbundles' }, body);
}

function blocksOf(pem: string): readonly string[] {
  return (pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\n/g) ?? []).toSorted();
}

/** Mode of a file as everybody in the pod sees it. */
function modeOf(node: TestNode, pod: BoundPod, file: string, volume = 'mtls'): number {
  return statSync(join(node.volume(pod, volume), file)).mode & 0o777;
}

function anchors(more: object): readonly VolumeRequest[] {
  return [{ name: 'mtls', sources: [{ clusterTrustBundle: { path: 'trust-bundle.crt', ...more } }] }];
}

test('should be able to mount a single ClusterTrustBundle by name: an existing one, and one that does not exist with optional=true', async (t) => {
  const node = await startNode(t);
  const pems = await publishBundles(node);
  const [name] = ['test.test.signer-one.4'];
  const named = await runningPod(node, 'named', anchors({ name }));
  assert.deepEqual(blocksOf(node.read(named, 'trust-bundle.crt')), pems(name));
  const absent = await runningPod(node, 'absent', anchors({ name: 'does-not-exist.at.all', optional: true }));
  assert.equal(node.read(absent, 'trust-bundle.crt'), '');
  for (const pod of [named, absent]) {
    assert.equal(modeOf(node, pod, 'trust-bundle.crt'), 0o644);
  }
});

for (const [title, more, expected] of [
  [
    'can combine multiple CTBs with signer name and label selector',
    { labelSelector: { matchLabels: { 'signer.alive': 'true' } } },
    ['test.test:signer-one:0', 'test.test:signer-one:1'],
  ],
  ['should start if only signer name and nil label selector + optional=true', { optional: true }, []],
  [
    'should start if only signer name and explicit label selector matches nothing + optional=true',
    { labelSelector: { matchLabels: { thismatches: 'nothing' } }, optional: true },
    [],
  ],
  [
    'can combine all signer CTBs with an empty label selector',
    { labelSelector: {} },
    ['test.test:signer-one:0', 'test.test:signer-one:1', 'test.test:signer-one:2'],
  ],
] as const) {
  test(`should be capable to mount multiple trust bundles by signer+labels: ${title}`, async (t) => {
    const node = await startNode(t);
    const pems = await publishBundles(node);
    const pod = await runningPod(node, 'trust', anchors({ signerName: signerOne, ...more }));
    assert.deepEqual(blocksOf(node.read(pod, 'trust-bundle.crt')), pems(...expected));
    assert.equal(modeOf(node, pod, 'trust-bundle.crt'), 0o644);
  });
}

for (const [title, more] of [
  [
    'sets optional=false and no trust bundle matches query',
    { signerName: signerOne, labelSelector: { matchLabels: { 'signer.alive': 'unknown' } }, optional: false },
  ],
  ['sets optional=false and the configured CTB does not exist', { name: 'does-not-exist', optional: false }],
] as const) {
  test(`should prevent a pod from starting if: ${title}`, async (t: TestContext) => {
    const node = await startNode(t);
    await publishBundles(node);
    await node.cluster.admin.createPod({ name: 'held', volumes: anchors(more) });
    await node.event('held', 'TrustBundleMissing');
    const [pod] = node.cluster.apiServer.store.list('pods').filter(({ metadata }) => metadata.name === 'held');
    assert.ok(pod !== undefined && !JSON.stringify(pod).includes('"Running"'), 'the pod has not started');
  });
}

test('should be able to specify multiple CTB volumes', async (t) => {
  const node = await startNode(t);
  const pems = await publishBundles(node);
  const [name] = ['test.test.signer-one.4'];
  const dead = { signerName: signerOne, labelSelector: { matchLabels: { 'signer.alive': 'false' } } };
  const pod = await runningPod(node, 'two', [
    { name: 'by-name', sources: [{ clusterTrustBundle: { name, path: 'trust-anchors.pem' } }] },
    { name: 'by-signer', sources: [{ clusterTrustBundle: { ...dead, path: 'trust-bundle.crt' } }] },
  ]);
  const blocks = (volume: string, file: string) => {
    assert.equal(modeOf(node, pod, file, volume), 0o644);
    return blocksOf(node.readFrom(pod, volume, file));
  };
  assert.deepEqual(blocks('by-name', 'trust-anchors.pem'), pems(name));
  assert.deepEqual(blocks('by-signer', 'trust-bundle.crt'), pems('test.test:signer-one:2'));
});

test('should be able to mount a big number (>100) of CTBs: as a single projection with many sources, as separate projections, joined in a single file', async (t) => {
  const node = await startNode(t);
  const hundreds = 'test.test/signer-hundreds';
  const { pem: first } = await createRootAuthority('CN=root 0');
  const names = Array.from({ length: 150 }, (_unused, index) => `test.test:signer-hundreds:${index}`);
  const pems = new Map<string, string>();
  for (const [index, name] of names.entries()) {
    const pem = index === 0 ? first : (await createRootAuthority(`CN=root ${index}`)).pem;
    pems.set(name, pem);
    await publish(node, name, hundreds, pem);
  }
  const sourceOf = (name: string, index: number) => ({
    clusterTrustBundle: { name, path: `trust-anchors-${index}.pem` },
  });

  const single = await runningPod(node, 'single', [{ name: 'mtls', sources: names.map(sourceOf) }]);
  for (const [index, name] of names.entries()) {
    assert.equal(node.read(single, `trust-anchors-${index}.pem`), pems.get(name), name);
    assert.equal(modeOf(node, single, `trust-anchors-${index}.pem`), 0o644);
  }
  assert.equal(readdirSync(node.volume(single)).filter((name) => name.startsWith('trust-anchors-')).length, 150);

  const volumes = names.map((name, index) => ({ name: `ctb-volume-${index}`, sources: [sourceOf(name, index)] }));
  const separate = await runningPod(node, 'separate', volumes);
  for (const [index, name] of names.entries()) {
    assert.equal(node.readFrom(separate, `ctb-volume-${index}`, `trust-anchors-${index}.pem`), pems.get(name), name);
  }

  const joined = await runningPod(node, 'joined', anchors({ signerName: hundreds, labelSelector: {} }));
  assert.deepEqual(blocksOf(node.read(joined, 'trust-bundle.crt')), [...pems.values()].toSorted());
});

test('one volume holds as many sources as it may, certificates among them: the limit of 256', async (t) => {
  const node = await startNode(t);
  const sources = Array.from({ length: 256 }, (_unused, index) =>
    index % 16 === 0
      ? { podCertificate: { signerName, keyType: 'ED25519', credentialBundlePath: `tls-${index}.pem` } }
      : { clusterTrustBundle: { signerName, labelSelector: {}, path: `ca-${index}.pem` } },
  );
  const pod = await runningPod(node, 'many', [{ name: 'mtls', sources }]);
  const files = readdirSync(node.volume(pod)).filter((name) => !name.startsWith('..'));
  assert.equal(files.length, 256);
  assert.equal(
    new Set(files.filter((name) => name.startsWith('tls-')).map((name) => node.leaf(pod, name).serialNumber)).size,
    16,
  );
});
