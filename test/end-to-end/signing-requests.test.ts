/**
 * The main job through the CertificateSigningRequest API: the pod's YAML is the same, a rule of the operator's says where
 * its signer is asked.
 */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { CertificateSigningRequest } from '../../agent/kubernetes/objects.ts';
import { createSandboxClient } from '../../sandbox/base/client.ts';
import { createAuthority } from '../../sandbox/signers/authority.ts';
import { type SigningBehaviour, startSigningRequestSigner } from '../../sandbox/signers/signing-requests.ts';
import { startNode, type TestNode, written } from './node.ts';

const signerName = 'example.org/approved';
const sources = [{ podCertificate: { signerName, keyType: 'ECDSAP384', credentialBundlePath: 'tls.pem' } }];
const rule = JSON.stringify([{ signers: ['example.org/*'], certificateSigningRequest: {} }]);

async function startWithSigner(t: TestContext, behaviour: SigningBehaviour, lifetimeSeconds = 3600) {
  const node = await startNode(t, { flags: ['--issuers', rule, '--trust-domain', 'mesh.example'] });
  const client = createSandboxClient(node.cluster.kubeconfigs.signer, 'signing-request-signer');
  t.after(() => client.close());
  const authority = await createAuthority('approved', Date.now());
  const problems: string[] = [];
  const onProblem = (problem: string): void => void problems.push(problem);
  const signer = startSigningRequestSigner(
    { client, signerName, authority, lifetimeSeconds, now: Date.now, onProblem },
    behaviour,
  );
  t.after(() => signer.close());
  const create = () => node.cluster.admin.createPod({ name: 'web', volumes: [{ name: 'mtls', sources }] });
  return { node, signer, problems, create };
}

function signingRequests(node: TestNode): readonly CertificateSigningRequest[] {
  return JSON.parse(
    JSON.stringify(node.cluster.apiServer.store.list('certificatesigningrequests.certificates.k8s.io')),
  );
}

/** Resolves when the API server holds as many requests as are wanted. */
function untilRequests(node: TestNode, count: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (end: () => void): void => {
      clearTimeout(limit);
      unsubscribe();
      end();
    };
    const limit = setTimeout(() => settle(() => reject(new Error(`there are not ${count} requests`))), 30_000);
    const look = (): void => {
      if (signingRequests(node).length === count) {
        settle(resolve);
      }
    };
    const unsubscribe = node.cluster.apiServer.store.subscribe(look);
    queueMicrotask(look);
  });
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
  assert.match(await node.get('/statusz?json'), /waits for its approval/);
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
