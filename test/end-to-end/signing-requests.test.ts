/**
 * The main job through the CertificateSigningRequest API: the pod's YAML is the same, a rule of the operator's says where
 * its signer is asked.
 */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { SigningBehaviour } from '../../sandbox/signers/signing-requests.ts';
import { startNode, written } from './node.ts';
import { signingRequests, startSigner, untilRequests } from './signing-request-signer.ts';

const signerName = 'example.org/approved';
const sources = [{ podCertificate: { signerName, keyType: 'ECDSAP384', credentialBundlePath: 'tls.pem' } }];
const rule = JSON.stringify([{ signers: ['example.org/*'], certificateSigningRequest: {} }]);

async function startWithSigner(t: TestContext, behaviour: SigningBehaviour, lifetimeSeconds = 3600) {
  const node = await startNode(t, { flags: ['--issuers', rule, '--trust-domain', 'mesh.example'] });
  const { signer, problems } = await startSigner(t, node, signerName, behaviour, lifetimeSeconds);
  const create = () => node.cluster.admin.createPod({ name: 'web', volumes: [{ name: 'mtls', sources }] });
  return { node, signer, problems, create };
}

test('a pod gets a certificate with its SPIFFE ID, and the answered request is removed', async (t) => {
  const { node, problems, create } = await startWithSigner(t, 'approve and sign');
  await create();
  const pod = await node.cluster.admin.podRunning('default', 'web');
  const leaf = node.leaf(pod);
  assert.equal(leaf.subjectAltName, 'URI:spiffe://mesh.example/ns/default/sa/default');
  assert.deepEqual(node.requests(), [], 'no PodCertificateRequest is made');
  const event = await node.event('web', 'Issued');
  assert.equal(event.type, 'Normal');
  await untilRequests(node, 0);
  assert.deepEqual(problems, []);
});

test('a request that nobody has approved yet is no error, and is answered once somebody does', async (t) => {
  const { node, signer, create } = await startWithSigner(t, 'silent');
  await create();
  await untilRequests(node, 1);
  const [request] = signingRequests(node);
  assert.equal(request?.spec.signerName, signerName);
  assert.deepEqual(request?.spec.usages, ['digital signature', 'key encipherment', 'server auth', 'client auth']);
  assert.equal(request?.metadata.labels?.['podcert.io/node'], node.cluster.nodeName);
  const name = request?.metadata.name ?? '';
  const event = await node.event('web', 'WaitingForApproval');
  assert.equal(event.type, 'Normal');
  assert.match(event.message ?? '', new RegExp(`"kubectl certificate approve ${name.replaceAll('.', '\\.')}"`));
  assert.ok(!node.reasons('web').some((reason) => reason === 'Failed' || reason === 'Denied'), 'nothing has failed');
  assert.match(await node.get('/statusz?format=json'), /waits for its approval/);
  signer.setBehaviour('approve and sign');
  await node.logged(written('web', true));
});

test('a restarted agent takes up the request of the one before it', async (t) => {
  const { node, signer, create } = await startWithSigner(t, 'silent');
  await create();
  await untilRequests(node, 1);
  const [before] = signingRequests(node);
  await node.stopAgent();
  await node.startAgent();
  await node.logged((line) => line.message.includes('earlier run'));
  assert.deepEqual(
    signingRequests(node).map(({ metadata }) => metadata.uid),
    [before?.metadata.uid],
  );
  signer.setBehaviour('approve and sign');
  await node.logged(written('web', true));
  assert.equal(signingRequests(node).filter(({ metadata }) => metadata.uid !== before?.metadata.uid).length, 0);
});

test('a denied and a failed request tell the pod why', async (t) => {
  for (const behaviour of ['deny', 'fail'] as const) {
    const { node, create } = await startWithSigner(t, behaviour);
    await create();
    const event = await node.event('web', behaviour === 'deny' ? 'Denied' : 'Failed');
    assert.match(event.message ?? '', behaviour === 'deny' ? /Policy: no/ : /Sandbox: cannot/);
    await node.stopAgent();
  }
});

test('the request of a pod that is deleted before anybody has approved it goes with it', async (t) => {
  const { node, create } = await startWithSigner(t, 'silent');
  await create();
  await untilRequests(node, 1);
  await node.cluster.admin.deletePod('default', 'web');
  await untilRequests(node, 0);
});
