/**
 * The operator's rules for issuers, seen from outside: what the cluster does not serve is told where it is looked for and
 * works once it is there, and a changed rule changes no certificate that a pod has.
 */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { makeDirectory } from '../support/directory.ts';
import { signerName, startNode, type TestNode, written } from './node.ts';
import { signingRequests, startSigner } from './signing-request-signer.ts';

const sources = [{ podCertificate: { signerName, keyType: 'ECDSAP256', credentialBundlePath: 'tls.pem' } }];
const volumes = [{ name: 'mtls', sources }];
const trust = ['--trust-domain', 'mesh.example'];
const byCsr = [...trust, '--issuers', '[{"signers":["*"],"certificateSigningRequest":{}}]'];

/** Restarts the agent while the API server does not serve the resource. */
async function restartWithout(node: TestNode, version: string, resource: string): Promise<void> {
  await node.stopAgent();
  node.cluster.apiServer.faults.unserve('certificates.k8s.io', version, resource);
  await node.startAgent();
}

test('an agent whose rules need no PodCertificateRequests is ready on a cluster that has none, and never asks for them', async (t) => {
  const node = await startNode(t, { flags: byCsr });
  await restartWithout(node, 'v1beta1', 'podcertificaterequests');
  await startSigner(t, node, signerName, 'approve and sign');
  const before = node.lines.length;
  await node.cluster.admin.createPod({ name: 'web', volumes });
  const pod = await node.cluster.admin.podRunning('default', 'web');
  assert.equal(node.leaf(pod).subjectAltName, 'URI:spiffe://mesh.example/ns/default/sa/default');
  assert.match(await node.get('/readyz?verbose'), /certificate-api ok/);
  assert.match(await node.get('/readyz?verbose'), /certificate-request-watch ok/);
  const told = node.lines.slice(before).filter((line) => JSON.stringify(line).includes('PodCertificateRequest'));
  assert.deepEqual(told, []);
});

test('a rule whose API is not served is told to pod and operator, and works once the API appears', async (t) => {
  const node = await startNode(t, { flags: byCsr });
  await restartWithout(node, 'v1', 'certificatesigningrequests');
  await startSigner(t, node, signerName, 'approve and sign');
  await node.logged((line) => line.message === 'the agent cannot work yet: the check of certificate-api fails');
  await node.cluster.admin.createPod({ name: 'web', volumes });
  const event = await node.event('web', 'CertificateAPIMissing');
  assert.match(event.message ?? '', /does not serve CertificateSigningRequests \(certificates\.k8s\.io\/v1\)/);
  assert.match(await node.get('/readyz?verbose'), /certificate-api failed: .*CertificateSigningRequests/);
  assert.match(await node.get('/statusz?format=json'), /does not serve CertificateSigningRequests/);
  assert.deepEqual(node.requests(), [], 'the choice is made by rules, not by what is served');

  node.cluster.apiServer.faults.serve('certificates.k8s.io', 'v1', 'certificatesigningrequests');
  await node.logged((line) => line.message === 'the check of certificate-api passes now');
  await node.logged(written('web', true));
  assert.match(await node.get('/readyz?verbose'), /certificate-api ok/);
});

function rulesFile(t: TestContext): { readonly path: string; write(rules: string): void } {
  const directory = makeDirectory(t);
  const path = join(directory, 'config.yaml');
  const write = (rules: string) => writeFileSync(path, `issuers:\n- signers: ["*"]\n  ${rules}\n`);
  return { path, write };
}

test('a changed rule leaves the certificate in the files, and counts from the next refresh on', async (t) => {
  const file = rulesFile(t);
  file.write('podCertificateRequest: {}');
  const signers = [{ signerName, lifetimeSeconds: 60, refreshAtFraction: 0.2 }];
  const node = await startNode(t, { timeScale: 600, signers, flags: [...trust, '--config', file.path] });
  await startSigner(t, node, signerName, 'approve and sign');
  await node.cluster.admin.createPod({ name: 'web', volumes });
  const pod = await node.cluster.admin.podRunning('default', 'web');
  const { serialNumber } = node.leaf(pod);

  file.write('certificateSigningRequest: {}');
  await node.logged((line) => line.message === 'the configuration file has changed');
  assert.equal(node.leaf(pod).serialNumber, serialNumber, 'nothing is renewed for the rule');
  assert.deepEqual(signingRequests(node), []);
  const renewed = await node.logged(written('web', false));
  assert.equal(node.leaf(pod).serialNumber, renewed['serial']);
  assert.equal(node.leaf(pod).subjectAltName, 'URI:spiffe://mesh.example/ns/default/sa/default');
  const asked = node.lines.flatMap(({ message, request }) =>
    message === 'certificate requested' ? [String(request)] : [],
  );
  assert.deepEqual(
    asked.map((name) => name.endsWith('.csr')),
    [false, true],
  );
});
