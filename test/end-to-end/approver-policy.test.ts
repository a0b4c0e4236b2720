/**
 * The policy for CertificateSigningRequests that docs/issuers.md gives: the agent's own requests pass, forged ones do not.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { parseAllDocuments } from 'yaml';
import type { CertificateSigningRequest } from '../../agent/kubernetes/objects.ts';
import type { UserInfo } from '../../sandbox/base/cluster-rules.ts';
import { call } from '../sandbox/serving/client.ts';
import { signerName, startNode, type TestNode, written } from './node.ts';
import { signingRequests, startSigner, untilRequests } from './signing-request-signer.ts';

const document = readFileSync(join(import.meta.dirname, '../../docs/issuers.md'), 'utf8');
const rule = [{ signers: ['*'], certificateSigningRequest: {} }];
const flags = ['--trust-domain', 'mesh.example', '--issuers', JSON.stringify(rule)];
const sources = [{ podCertificate: { signerName, keyType: 'ECDSAP256', credentialBundlePath: 'tls.pem' } }];
const requests = '/apis/certificates.k8s.io/v1/certificatesigningrequests';
const kinds = new Map([
  ['ValidatingAdmissionPolicy', 'validatingadmissionpolicies'],
  ['ValidatingAdmissionPolicyBinding', 'validatingadmissionpolicybindings'],
]);

/** A node whose cluster has the policy, and a way to ask its API server as anybody. */
async function startWithPolicy(t: TestContext) {
  const node = await startNode(t, { flags });
  const { url, caPem, userToken } = node.cluster.apiServer;
  const as = (user: UserInfo, path: string, body: object) =>
    call({ url, caPem, token: userToken(user) }, path, { method: 'POST', body });
  const admin = { username: 'admin', groups: ['system:masters', 'system:authenticated'], extra: {} };
  for (const object of policyOfDocument()) {
    const path = `/apis/admissionregistration.k8s.io/v1/${kinds.get(object.kind)}`;
    const { status, body } = await as(admin, path, object);
    assert.equal(status, 201, JSON.stringify(body));
  }
  return { node, as, admin };
}

function policyOfDocument(): readonly { readonly kind: string }[] {
  const [, yaml = ''] = /```yaml\n(apiVersion: admissionregistration[\s\S]+?)```/.exec(document) ?? [];
  const objects = parseAllDocuments(yaml).map((each) => each.toJS());
  assert.deepEqual(
    objects.map(({ kind }) => kind),
    [...kinds.keys()],
    'the document holds the policy',
  );
  return objects;
}

/** The agent's request, as somebody else would send it. */
function forged(request: CertificateSigningRequest | undefined, labels: Readonly<Record<string, string>> = {}): object {
  const { metadata, spec } = request ?? assert.fail('there is no request');
  return {
    metadata: { name: 'forged', annotations: metadata.annotations, labels: { ...metadata.labels, ...labels } },
    spec: { request: spec.request, signerName: spec.signerName, usages: spec.usages },
  };
}

async function firstRequest(node: TestNode): Promise<CertificateSigningRequest | undefined> {
  await node.cluster.admin.createPod({ name: 'web', volumes: [{ name: 'mtls', sources }] });
  await untilRequests(node, 1);
  return signingRequests(node)[0];
}

test('the requests of the agent pass the policy, and say which pod they are for', async (t) => {
  const { node } = await startWithPolicy(t);
  const { signer } = await startSigner(t, node, signerName, 'silent');
  const request = await firstRequest(node);
  assert.equal(request?.metadata.annotations?.['podcert.io/pod'], 'default/web');
  signer.setBehaviour('approve and sign');
  await node.logged(written('web', true));
});

test('a request in the name of another node, without its pod, or by anybody else is refused', async (t) => {
  const { node, as, admin } = await startWithPolicy(t);
  await startSigner(t, node, signerName, 'silent');
  const request = await firstRequest(node);
  const nodeOf = (name: string): UserInfo => ({
    username: `system:node:${name}`,
    groups: ['system:nodes', 'system:authenticated'],
    extra: {},
  });
  const other = await as(nodeOf('other-node'), requests, forged(request));
  assert.equal(other.status, 422, JSON.stringify(other.body));
  assert.match(String(other.body['message']), /made by the node of the pod, or by its agent/);
  const anybody = await as(admin, requests, forged(request));
  assert.match(String(anybody.body['message']), /made by the node of the pod, or by its agent/);

  const own = await as(nodeOf('other-node'), requests, forged(request, { 'podcert.io/node': 'other-node' }));
  assert.equal(own.status, 201, 'a node speaks for itself');
  const { metadata, ...rest } = JSON.parse(JSON.stringify(forged(request, { 'podcert.io/node': 'other-node' })));
  const bare = { ...rest, metadata: { name: 'bare', labels: metadata.labels } };
  const anonymous = await as(nodeOf('other-node'), requests, bare);
  assert.match(String(anonymous.body['message']), /names its node, its UID, and its namespace and name/);
});
