/**
 * Certificates that name the pod's addresses, which nobody knows when the volume is published: the pod starts at once with a
 * certificate without them, and gets one with them as soon as the API server shows them.
 */
import 'reflect-metadata';
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Pkcs10CertificateRequest, SubjectAlternativeNameExtension } from '@peculiar/x509';
import type { CertificateSigningRequest } from '../../agent/kubernetes/objects.ts';
import { signerName, startNode, type TestNode, written } from './node.ts';
import { startSigner } from './signing-request-signer.ts';

const rule = [{ signers: ['*'], certificateSigningRequest: { ipAddresses: [`\${podIPs}`] } }];
const flags = ['--trust-domain', 'mesh.example', '--issuers', JSON.stringify(rule)];
const sources = [{ podCertificate: { signerName, keyType: 'ECDSAP256', credentialBundlePath: 'tls.pem' } }];

/** The addresses that each request for a certificate has asked for, in their order. */
function requestedAddresses(t: TestContext, node: TestNode): string[][] {
  const asked = new Map<string, string[]>();
  const { store } = node.cluster.apiServer;
  const look = (): void => {
    const requests: readonly CertificateSigningRequest[] = JSON.parse(
      JSON.stringify(store.list('certificatesigningrequests.certificates.k8s.io')),
    );
    for (const { metadata, spec } of requests) {
      asked.set(metadata.name, asked.get(metadata.name) ?? addressesIn(spec.request));
    }
    all.splice(0, all.length, ...asked.values());
  };
  const all: string[][] = [];
  t.after(store.subscribe(look));
  return all;
}

function addressesIn(request: string): string[] {
  const csr = new Pkcs10CertificateRequest(Buffer.from(request, 'base64').toString('utf8'));
  const names = [...csr.extensions].flatMap((each) =>
    each instanceof SubjectAlternativeNameExtension ? [...each.names.items] : [],
  );
  return names.filter(({ type }) => type === 'ip').map(({ value }) => value);
}

/** What the kubelet says once the pod's network is there. */
function giveAddresses(node: TestNode, name: string, ...ips: string[]): void {
  const { store } = node.cluster.apiServer;
  const pod = store.get('pods', 'default', name);
  assert.ok(pod, 'the pod is there');
  store.update('pods', {
    ...pod,
    status: { ...(pod['status'] ?? {}), podIP: ips[0], podIPs: ips.map((ip) => ({ ip })) },
  });
}

test('a pod starts without its addresses and has them in its certificate as soon as they are known; its volume is never empty', async (t) => {
  const node = await startNode(t, { flags });
  await startSigner(t, node, signerName, 'approve and sign');
  const asked = requestedAddresses(t, node);
  await node.cluster.admin.createPod({ name: 'web', volumes: [{ name: 'mtls', sources }] });
  const pod = await node.cluster.admin.podRunning('default', 'web');
  const file = join(node.volume(pod), 'tls.pem');
  const first = node.leaf(pod).serialNumber;
  assert.deepEqual(asked, [[]]);

  const missing: string[] = [];
  t.after(
    node.cluster.apiServer.store.subscribe(() => {
      try {
        readFileSync(file);
      } catch (error) {
        missing.push(String(error));
      }
    }),
  );
  giveAddresses(node, 'web', '10.244.1.7', 'fd00::7');
  const renewed = await node.logged(written('web', false));
  assert.notEqual(node.leaf(pod).serialNumber, first);
  assert.equal(node.leaf(pod).serialNumber, renewed['serial']);
  assert.deepEqual(asked, [[], ['10.244.1.7', 'fd00::7']]);
  assert.deepEqual(missing, [], 'the file was there all the time');
});

test('an agent that starts after the pod has got its addresses asks for them, once', async (t) => {
  const node = await startNode(t, { flags });
  await startSigner(t, node, signerName, 'approve and sign');
  const asked = requestedAddresses(t, node);
  await node.cluster.admin.createPod({ name: 'web', volumes: [{ name: 'mtls', sources }] });
  await node.cluster.admin.podRunning('default', 'web');
  await node.stopAgent();
  giveAddresses(node, 'web', '10.244.1.7');
  await node.startAgent();
  await node.logged(written('web', false));
  await node.stopAgent();
  const before = node.lines.length;
  await node.startAgent();
  await node.logged((line) => line.message === 'certificate adopted' && node.lines.indexOf(line) >= before);
  assert.deepEqual(asked, [[], ['10.244.1.7']]);
});
