/** cert-manager's part in the sandbox answers as cert-manager does, where the agent would not show the difference. */
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { type TestContext, test } from 'node:test';
import { certificationRequestInfo } from '../../../agent/issuance/certification-request.ts';
import { createKeyMaker } from '../../../agent/keys/key-maker.ts';
import type { CertificateRequest } from '../../../agent/kubernetes/objects.ts';
import { createSandboxClient } from '../../../sandbox/base/client.ts';
import { startCluster } from '../../../sandbox/cluster/cluster.ts';
import { createAuthority } from '../../../sandbox/signers/authority.ts';
import { type CertManagerBehaviour, startCertManager } from '../../../sandbox/signers/cert-manager.ts';
import { makeDirectory } from '../../support/directory.ts';

const prefix = '/apis/cert-manager.io/v1';
const key = await createKeyMaker().generate('ED25519');

type Answered = CertificateRequest & { readonly status?: { readonly failureTime?: string } };
const readyOf = ({ status }: Answered) => status?.conditions?.find(({ type }) => type === 'Ready');

/** A cluster with cert-manager, an Issuer `ca` that is ready, and a way to ask it. */
async function start(t: TestContext, behaviour: CertManagerBehaviour) {
  const cluster = await startCluster({ directory: makeDirectory(), kubelet: 'none', certManager: true });
  t.after(() => cluster.close());
  const { admin } = cluster;
  const location = { resource: 'issuers', namespace: 'default' };
  const issuer = await admin.create(prefix, location, { metadata: { name: 'ca' }, spec: { ca: {} } });
  const status = { conditions: [{ type: 'Ready', status: 'True' }] };
  const path = `${prefix}/namespaces/default/issuers/ca/status`;
  await admin.client.request({ method: 'PUT', path, body: { ...issuer, status } });
  const client = createSandboxClient(cluster.kubeconfigs.signer, 'cert-manager');
  const problems: string[] = [];
  const onProblem = (problem: string): void => void problems.push(problem);
  const authority = await createAuthority('ca', Date.now());
  const certManager = startCertManager(
    { client, authority: () => authority, lifetimeSeconds: 3600, now: Date.now, onProblem },
    behaviour,
  );
  t.after(() => {
    certManager.close();
    client.close();
    assert.deepEqual(problems, []);
  });
  const names = { uris: ['spiffe://mesh.example/a'], dnsNames: [], ipAddresses: [], organizations: [] };
  const info = await certificationRequestInfo(key.spki, names, ['digital signature', 'server auth', 'client auth']);
  const body = Buffer.from(await key.signedRequest(info)).toString('base64');
  const pem = `-----BEGIN CERTIFICATE REQUEST-----\n${body}\n-----END CERTIFICATE REQUEST-----\n`;
  const usages = ['digital signature', 'server auth', 'client auth'];
  const collection = { resource: 'certificaterequests', namespace: 'default' };
  return {
    certManager,
    ask: async (name: string, spec: object = {}): Promise<void> => {
      const request = Buffer.from(pem).toString('base64');
      const whole = { request, issuerRef: { name: 'ca' }, usages, ...spec };
      await admin.create(prefix, collection, { metadata: { name }, spec: whole });
    },
    answer: async (name: string, accept: (request: Answered) => boolean): Promise<Answered> => {
      const path = `${prefix}/namespaces/default/certificaterequests`;
      const found = await admin.waitFor<Answered>(path, name, (request) => request !== undefined && accept(request));
      assert.ok(found !== undefined, 'the request is there');
      return found;
    },
  };
}

const hasEnded = (request: Answered) =>
  readyOf(request)?.status === 'True' || request.status?.failureTime !== undefined;

test('a certificate lives as long as the request wishes, and comes with its chain and its authority', async (t) => {
  const { ask, answer } = await start(t, { approver: 'approve', issuer: 'sign' });
  await ask('a', { duration: '1h30m0s' });
  const { status } = await answer('a', hasEnded);
  const chain = Buffer.from(status?.certificate ?? '', 'base64').toString();
  const { validFromDate, validToDate } = new X509Certificate(chain);
  assert.equal(validToDate.getTime() - validFromDate.getTime(), 5_400_000);
  assert.equal(chain.match(/BEGIN CERTIFICATE/g)?.length, 2);
  assert.match(Buffer.from(status?.ca ?? '', 'base64').toString(), /^-----BEGIN CERTIFICATE-----/);
  assert.equal(status?.failureTime, undefined);
});

test('a denied request is called so, once and for all', async (t) => {
  const { certManager, ask, answer } = await start(t, { approver: 'wait for a command', issuer: 'sign' });
  await ask('a');
  await certManager.decide('default', 'a', 'Denied');
  const request = await answer('a', hasEnded);
  assert.equal(readyOf(request)?.reason, 'Denied');
  certManager.setBehaviour({ approver: 'approve' });
  await ask('b');
  await answer('b', hasEnded);
  assert.equal(readyOf(await answer('a', () => true))?.reason, 'Denied');
});

test('a request to an issuer of another group is left to whoever that is', async (t) => {
  const { ask, answer } = await start(t, { approver: 'approve', issuer: 'sign' });
  await ask('a', { issuerRef: { name: 'ca', group: 'issuers.example.com' } });
  await ask('b');
  await answer('b', hasEnded);
  assert.deepEqual((await answer('a', () => true)).status?.conditions ?? [], []);
});
