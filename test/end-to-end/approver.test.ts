/**
 * The approver of CertificateSigningRequests between the agent and a signer that issues whatever is approved: with the
 * permissions that docs/issuers.md gives it, and no other.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { parseAllDocuments } from 'yaml';
import { createApiClient } from '../../agent/kubernetes/client.ts';
import { defaultUris, defaultUsages } from '../../sandbox/signers/approval.ts';
import { startApprover } from '../../sandbox/signers/approver.ts';
import { call } from '../sandbox/serving/client.ts';
import { until } from '../support/bounded.ts';
import { startNode, written } from './node.ts';
import { signingRequests, startSigner, untilRequests } from './signing-request-signer.ts';

const document = readFileSync(join(import.meta.dirname, '../../docs/issuers.md'), 'utf8');
const signerName = 'example.org/reviewed';
const account = 'system:serviceaccount:pod-certificate-agent:pod-certificate-approver';
const sources = [{ podCertificate: { signerName, keyType: 'ECDSAP256', credentialBundlePath: 'tls.pem' } }];
const volumes = [{ name: 'mtls', sources }];

interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
}

interface Manifest {
  readonly kind: string;
  readonly rules?: readonly Rule[];
}

function manifests(): readonly Manifest[] {
  const yaml = [...document.matchAll(/```yaml\n([\s\S]+?)```/g)].map(([, text = '']) => text);
  const found = yaml.find((text) => text.includes('name: pod-certificate-approver')) ?? assert.fail('no manifest');
  return parseAllDocuments(found).map((each) => each.toJS());
}

const permissions = manifests();
const [role] = permissions;

async function startWithApprover(
  t: TestContext,
  rules: readonly Rule[],
  settings: object = {},
  trustDomain = 'mesh.example',
) {
  const rule = JSON.stringify([{ signers: ['example.org/*'], certificateSigningRequest: settings }]);
  const node = await startNode(t, { flags: ['--issuers', rule, '--trust-domain', trustDomain] });
  const { url, caPem, userToken } = node.cluster.apiServer;
  const admin = { username: 'admin', groups: ['system:masters', 'system:authenticated'], extra: {} };
  for (const manifest of permissions) {
    const path = `/apis/rbac.authorization.k8s.io/v1/${manifest.kind.toLowerCase()}s`;
    const body = manifest.rules === undefined ? manifest : { ...manifest, rules };
    const reply = await call({ url, caPem, token: userToken(admin) }, path, { method: 'POST', body });
    assert.equal(reply.status, 201, JSON.stringify(reply.body));
  }
  await startSigner(t, node, signerName, 'sign when approved');
  const token = userToken({ username: account, groups: ['system:serviceaccounts', 'system:authenticated'], extra: {} });
  const credentials = { server: url, tls: { ca: caPem }, headers: { authorization: `Bearer ${token}` } };
  const identity = { name: 'the approver', current: async () => credentials, renew: async () => false };
  const client = createApiClient({ identity });
  const problems: string[] = [];
  const approver = startApprover({
    ...{ client, signers: ['example.org/*'], trustDomain: 'mesh.example', uris: defaultUris, dnsNames: [] },
    ...{ usages: defaultUsages, maxLifetimeSeconds: 86_400, allowPodIPs: false, allowPodAccounts: false },
    onProblem: (problem) => void problems.push(problem),
  });
  t.after(() => {
    approver.close();
    client.close();
  });
  return { node, problems };
}

test('with its permissions the approver lets the agent’s requests pass, and nothing goes wrong', async (t) => {
  const { node, problems } = await startWithApprover(t, role?.rules ?? []);
  await node.cluster.admin.createPod({ name: 'web', volumes });
  await node.logged(written('web', true));
  assert.deepEqual(problems, []);
});

test('an agent whose rule gives other names or usages is denied, and its pod is told what differs', async (t) => {
  for (const [settings, trustDomain, difference] of [
    [{}, 'elsewhere.example', /PodMismatch: its pod is "spiffe:\/\/mesh\.example\/.*not "spiffe:\/\/elsewhere/],
    [{ dnsNames: ['web.example.com'] }, 'mesh.example', /may not be called "web\.example\.com"/],
    [{ usages: ['digital signature', 'code signing'] }, 'mesh.example', /usages "code signing" are not for pods/],
  ] as const) {
    const { node } = await startWithApprover(t, role?.rules ?? [], settings, trustDomain);
    await node.cluster.admin.createPod({ name: 'web', volumes });
    assert.match((await node.event('web', 'Denied')).message ?? '', difference);
    await node.stopAgent();
  }
});

for (const [index, { resources, verbs }] of (role?.rules ?? []).entries()) {
  for (const verb of verbs) {
    test(`the approver needs to ${verb} ${resources.join()}`, async (t) => {
      const rules = (role?.rules ?? []).map((rule, at) =>
        at === index ? { ...rule, verbs: rule.verbs.filter((other) => other !== verb) } : rule,
      );
      const { node, problems } = await startWithApprover(
        t,
        rules.filter((rule) => rule.verbs.length > 0),
      );
      await node.cluster.admin.createPod({ name: 'web', volumes });
      await untilRequests(node, 1);
      await until(() => problems.length > 0, 'the approver to miss it');
      assert.match(problems.join('\n'), /forbidden|may not|403/i);
      const isApproved = signingRequests(node).some(({ status }) => status?.conditions !== undefined);
      // It lists before it watches: what is there already it decides on without.
      assert.ok(verb === 'watch' || !isApproved, 'and decides nothing without');
    });
  }
}
