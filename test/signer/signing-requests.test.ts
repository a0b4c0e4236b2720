/** CertificateSigningRequests of the real agent: approved by somebody and signed, or approved as well, and never for other names. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { startNode, type TestNode, written } from '../end-to-end/node.ts';
import { until } from '../support/bounded.ts';
import { createOpenSsl } from '../support/openssl.ts';
import { anchorsIn, type Settings, signerName, startReplica } from './replica.ts';

const openSsl = createOpenSsl();
const resource = 'certificatesigningrequests.certificates.k8s.io';
const pause = () => new Promise((resolve) => setTimeout(resolve, 20));
const sources = [{ podCertificate: { signerName, keyType: 'ECDSAP256', credentialBundlePath: 'tls.pem' } }];

async function startWith(t: TestContext, signingRequests: 'sign' | 'approve', rule: object = {}, more: Settings = {}) {
  const rules = [{ signers: ['example.com/*'], certificateSigningRequest: rule }];
  const node = await startNode(t, { signers: [], flags: ['--issuers', JSON.stringify(rules)] });
  const signer = await startReplica(t, node.cluster.kubeconfigs.admin, { signingRequests, ...more });
  await node.cluster.admin.createPod({ name: 'web', volumes: [{ name: 'mtls', sources }] });
  return { node, signer };
}

/** As `kubectl certificate approve` does. */
async function approve({ cluster }: TestNode): Promise<void> {
  const { store } = cluster.apiServer;
  await until(() => store.list(resource).length > 0, 'a request', pause);
  const [request] = store.list(resource);
  if (request !== undefined) {
    const conditions = [{ type: 'Approved', status: 'True', reason: 'KubectlApprove', message: 'by hand' }];
    store.update(resource, { ...request, status: { conditions } });
  }
}

async function verified(node: TestNode): Promise<void> {
  const pod = await node.cluster.admin.podRunning('default', 'web');
  const leaf = Buffer.from(node.leaf(pod).toString());
  const anchors = Buffer.from(anchorsIn(node.cluster));
  assert.match(String(await openSsl.run('verify', '-x509_strict', '-CAfile', anchors, leaf)), /: OK/);
  assert.equal(node.leaf(pod).subjectAltName, 'URI:spiffe://cluster.local/ns/default/sa/default');
}

test('a request that fits its pod and was made by its node is approved and signed', async (t) => {
  const { node } = await startWith(t, 'approve');
  await node.logged(written('web', true));
  await verified(node);
});

test('with "sign", a request waits until somebody has approved it', async (t) => {
  const { node, signer } = await startWith(t, 'sign');
  await node.event('web', 'WaitingForApproval');
  assert.equal(
    signer.lines.some(({ message }) => message === 'certificate issued'),
    false,
  );
  await approve(node);
  await node.logged(written('web', true));
  await verified(node);
});

const foreign = { uris: ['spiffe://cluster.local/ns/default/sa/admin'] };

test('names of another service account are denied, and not signed although somebody has approved them', async (t) => {
  const denied = await startWith(t, 'approve', foreign);
  const event = await denied.node.event('web', 'Denied');
  assert.match(event.message ?? '', /may not have the name "spiffe:\/\/cluster\.local\/ns\/default\/sa\/admin"/);
  const approved = await startWith(t, 'sign', foreign);
  await approve(approved.node);
  const failed = await approved.node.event('web', 'Failed');
  assert.match(failed.message ?? '', /SignerValidationFailure/);
});
