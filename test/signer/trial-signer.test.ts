/** The whole way on every version of Kubernetes: a pod's volume, the real agent, the real trial signer, and OpenSSL's opinion. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { KubernetesVersion } from '../../sandbox/base/cluster-rules.ts';
import { keyTypes } from '../../volumes/declaration/key-types.ts';
import { startNode, usualSources, written } from '../end-to-end/node.ts';
import { createOpenSsl } from '../support/openssl.ts';
import { anchorsIn, ask, type Settings, startReplica, untilReady } from './replica.ts';

const openSsl = createOpenSsl();

async function startWith(t: TestContext, kubernetes: KubernetesVersion, settings: Settings = {}) {
  const node = await startNode(t, { kubernetes, signers: [] });
  const signer = await startReplica(t, node.cluster.kubeconfigs.admin, settings);
  return { node, signer };
}

for (const kubernetes of ['1.34', '1.35', '1.36', '1.37'] as const) {
  test(`on ${kubernetes} a pod starts with a certificate that its trust anchors verify`, async (t) => {
    const { node, signer } = await startWith(t, kubernetes);
    await node.cluster.admin.createPod({ name: 'web', volumes: [{ name: 'mtls', sources: usualSources }] });
    const pod = await node.cluster.admin.podRunning('default', 'web');
    const [leaf, anchors] = [Buffer.from(node.leaf(pod).toString()), Buffer.from(node.read(pod, 'ca.pem'))];
    for (const purpose of ['sslserver', 'sslclient']) {
      const verified = await openSsl.run('verify', '-x509_strict', '-purpose', purpose, '-CAfile', anchors, leaf);
      assert.match(String(verified), /: OK/);
    }
    const service = 'default.default.svc';
    assert.equal(
      node.leaf(pod).subjectAltName,
      `URI:spiffe://cluster.local/ns/default/sa/default, DNS:${service}, DNS:${service}.cluster.local`,
    );
    const chain = node.read(pod, 'tls.pem').match(/BEGIN CERTIFICATE/g);
    assert.equal(chain?.length, 1, 'the root is not in the chain, and there is no intermediate');
    assert.equal(node.read(pod, 'ca.pem').trim(), anchorsIn(node.cluster).trim());
    await untilReady(signer);
    const { text } = await ask(signer, '/metrics');
    assert.match(text, /answers_total\{api="PodCertificateRequest",outcome="issued"\} 1\n/);
    assert.match(text, /_leader 1\n/);
    assert.ok(!JSON.stringify(signer.lines).includes('PRIVATE'), 'no key is logged');
  });
}

test('every key type is signed for', async (t) => {
  const { node } = await startWith(t, '1.36');
  const sources = keyTypes.map((keyType) => ({
    podCertificate: { signerName: 'example.com/mesh', keyType, credentialBundlePath: `${keyType}.pem` },
  }));
  const anchorsFile = { clusterTrustBundle: { signerName: 'example.com/mesh', labelSelector: {}, path: 'ca.pem' } };
  await node.cluster.admin.createPod({ name: 'web', volumes: [{ name: 'mtls', sources: [...sources, anchorsFile] }] });
  const pod = await node.cluster.admin.podRunning('default', 'web');
  const anchors = Buffer.from(node.read(pod, 'ca.pem'));
  for (const keyType of keyTypes) {
    const leaf = Buffer.from(node.leaf(pod, `${keyType}.pem`).toString());
    assert.match(String(await openSsl.run('verify', '-x509_strict', '-CAfile', anchors, leaf)), /: OK/);
  }
});

test('annotations of the pod author are denied, and the pod is told which', async (t) => {
  const { node } = await startWith(t, '1.36');
  const podCertificate = { signerName: 'example.com/mesh', keyType: 'ECDSAP256', credentialBundlePath: 'tls.pem' };
  const userAnnotations = { 'example.com/san': 'admin' };
  const sources = [{ podCertificate: { ...podCertificate, userAnnotations } }];
  await node.cluster.admin.createPod({ name: 'web', volumes: [{ name: 'mtls', sources }] });
  const event = await node.event('web', 'Denied');
  assert.match(event.message ?? '', /InvalidUnverifiedUserAnnotations.*"example\.com\/san"/);
});

test('a key type that is not wanted is denied with one that the agent can follow', async (t) => {
  const node = await startNode(t, { signers: [], flags: ['--follow-suggested-key-type'] });
  await startReplica(t, node.cluster.kubeconfigs.admin, { policy: { keyTypes: ['ECDSAP384'] } });
  await node.cluster.admin.createPod({ name: 'web', volumes: [{ name: 'mtls', sources: usualSources }] });
  await node.logged(written('web', true));
  const pod = await node.cluster.admin.podRunning('default', 'web');
  assert.equal(node.leaf(pod).publicKey.asymmetricKeyDetails?.namedCurve, 'secp384r1');
});

test('a restart of the signer answers nothing twice, and goes on with the CA that it had', async (t) => {
  const { node, signer } = await startWith(t, '1.36');
  await node.cluster.admin.createPod({ name: 'one', volumes: [{ name: 'mtls', sources: usualSources }] });
  await node.cluster.admin.podRunning('default', 'one');
  const anchors = anchorsIn(node.cluster);
  await signer.stop();
  const next = await startReplica(t, node.cluster.kubeconfigs.admin);
  await untilReady(next);
  await node.cluster.admin.createPod({ name: 'two', volumes: [{ name: 'mtls', sources: usualSources }] });
  await node.cluster.admin.podRunning('default', 'two');
  assert.equal(anchorsIn(node.cluster), anchors);
  const answered = next.lines.filter(({ message }) => message === 'certificate issued').map(({ pod }) => pod);
  assert.deepEqual(answered, ['two']);
});
