/**
 * The main job through cert-manager: the pod's YAML is the same, and its signer's name, or a rule of the operator's, says
 * which issuer of cert-manager answers.
 */
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { type TestContext, test } from 'node:test';
import { capabilities } from '../../agent/issuance/capabilities.ts';
import type { CertManagerBehaviour } from '../../sandbox/signers/cert-manager.ts';
import {
  certificateRequests,
  deleteRequest,
  putIssuer,
  requestsMade,
  startIssuers,
  untilRequests,
} from './cert-manager-issuer.ts';
import { startNode, written } from './node.ts';

const issuerName = 'mesh-ca';
const signerName = `clusterissuers.cert-manager.io/${issuerName}`;
const podCertificate = { signerName, keyType: 'ECDSAP256', credentialBundlePath: 'tls.pem' };
const sources = [{ podCertificate }];
const atOnce: CertManagerBehaviour = { approver: 'approve', issuer: 'sign' };
const trust = ['--trust-domain', 'mesh.example'];

/** @param flags rules of the operator's, where the signer's name is not enough */
async function start(
  t: TestContext,
  behaviour: CertManagerBehaviour = atOnce,
  { lifetimeSeconds = 3600, flags = [] as readonly string[], isReady = true } = {},
) {
  const node = await startNode(t, { certManager: true, flags: [...trust, ...flags] });
  await putIssuer(node, issuerName, isReady);
  const { certManager, authority, problems } = await startIssuers(t, node, behaviour, lifetimeSeconds);
  const made = requestsMade(node);
  const create = (volumeSources: readonly object[] = sources) =>
    node.cluster.admin.createPod({ name: 'web', volumes: [{ name: 'mtls', sources: volumeSources }] });
  return { node, certManager, authority, problems, made, create };
}

const none = (requests: readonly object[]) => requests.length === 0;
const one = (requests: readonly object[]) => requests.length === 1;

test('a pod gets a certificate for a key of each type, with its SPIFFE ID, and the answered requests are removed', async (t) => {
  const { node, problems, made, create } = await start(t);
  const { keyTypes } = capabilities.certManager;
  await create(
    keyTypes.map((keyType) => ({ podCertificate: { signerName, keyType, credentialBundlePath: `${keyType}.pem` } })),
  );
  const pod = await node.cluster.admin.podRunning('default', 'web');
  const keys = keyTypes.map((keyType) => {
    const leaf = node.leaf(pod, `${keyType}.pem`);
    assert.equal(leaf.subjectAltName, 'URI:spiffe://mesh.example/ns/default/sa/default');
    const { modulusLength, namedCurve } = leaf.publicKey.asymmetricKeyDetails ?? {};
    return modulusLength ?? namedCurve ?? leaf.publicKey.asymmetricKeyType;
  });
  assert.deepEqual(keys, [3072, 4096, 'prime256v1', 'secp384r1', 'secp521r1', 'ed25519']);
  const blocks = node.read(pod, 'ECDSAP256.pem').match(/-----BEGIN CERTIFICATE-----/g);
  assert.equal(blocks?.length, 2, 'the leaf and its intermediate');
  assert.deepEqual(node.requests(), [], 'no PodCertificateRequest is made');
  assert.equal(made.length, keyTypes.length, 'one request for each key');
  await untilRequests(node, 'no request is left', none);
  assert.deepEqual(problems, []);
});

test('a request is made by the agent for the pod that owns it, and waits for its approval without an error', async (t) => {
  const { node, certManager, create } = await start(t, { approver: 'wait for a command', issuer: 'sign' });
  const pod = await create();
  const [request] = await untilRequests(node, 'one request', one);
  assert.ok(request !== undefined, 'there is a request');
  const { metadata, spec } = request;
  assert.deepEqual(metadata.ownerReferences, [{ apiVersion: 'v1', kind: 'Pod', name: 'web', uid: pod.metadata.uid }]);
  assert.deepEqual(metadata.labels, {
    'podcert.io/node': node.cluster.nodeName,
    'podcert.io/pod-uid': pod.metadata.uid,
  });
  assert.deepEqual(spec.issuerRef, { name: issuerName, kind: 'ClusterIssuer', group: 'cert-manager.io' });
  assert.deepEqual(spec.usages, ['digital signature', 'key encipherment', 'server auth', 'client auth']);
  assert.equal(spec.username, 'system:serviceaccount:kube-system:pod-certificate-agent');
  const event = await node.event('web', 'WaitingForApproval');
  assert.equal(event.type, 'Normal');
  assert.ok(event.message?.includes(`"cmctl approve -n default ${metadata.name}"`), event.message);
  assert.match(await node.get('/statusz?format=json'), /waits for its approval/);
  assert.ok(!node.reasons('web').some((reason) => reason === 'Failed' || reason === 'Denied'), 'nothing has failed');
  await certManager.decide('default', metadata.name, 'Approved');
  await node.logged(written('web', true));
});

test('where no policy matches a request, its pod is told so in the words of the approver', async (t) => {
  const { node, certManager, problems, create } = await start(t, { approver: 'match no policy', issuer: 'sign' });
  await create();
  const event = await node.event('web', 'WaitingForApproval');
  assert.match(event.message ?? '', /It is said: Unprocessed: Request is not applicable for any policy so ignoring\./);
  assert.match(await node.get('/statusz?format=json'), /not applicable for any policy/);
  certManager.setBehaviour(atOnce);
  await node.logged(written('web', true));
  assert.deepEqual(problems, []);
});

test('an issuer that is not there, or not ready, is named in the words of cert-manager, and answers once it is ready', async (t) => {
  const { node, create } = await start(t, atOnce, {
    flags: [
      '--issuers',
      JSON.stringify([{ signers: ['*'], certManager: { issuer: { name: 'late', kind: 'ClusterIssuer' } } }]),
    ],
  });
  await create();
  const event = await node.event('web', 'WaitingForSigner');
  assert.match(event.message ?? '', /ClusterIssuer late/);
  assert.match(event.message ?? '', /Referenced "ClusterIssuer" not found/);
  await putIssuer(node, 'late', false);
  const unready = /Referenced issuer does not have a Ready status condition/;
  await untilRequests(node, 'an issuer that is not ready', ([request]) =>
    unready.test(JSON.stringify(request?.status)),
  );
  assert.match(await node.get('/statusz?format=json'), unready);
  await putIssuer(node, 'late', true);
  await node.logged(written('web', true));
});

const ends: readonly (readonly [string, Partial<CertManagerBehaviour>, string, RegExp])[] = [
  ['denied', { approver: 'deny' }, 'Denied', /denied at once/],
  ['failed', { issuer: 'fail' }, 'Failed', /Error signing: the authority cannot be reached/],
  ['called invalid', { issuer: 'call invalid' }, 'Failed', /such names are not issued/],
];
for (const [title, behaviour, reason, says] of ends) {
  test(`a request that is ${title} tells the pod why, and makes way for another one with another key`, async (t) => {
    const { node, certManager, made, create } = await start(t, { ...atOnce, ...behaviour });
    await create();
    const event = await node.event('web', reason);
    assert.match(event.message ?? '', says);
    assert.equal(made.length, 1, 'it is not tried again at once');
    certManager.setBehaviour(atOnce);
    await node.logged(written('web', true));
    const [first, second, ...others] = made;
    assert.deepEqual(others, []);
    assert.notEqual(second?.metadata.name, first?.metadata.name);
    assert.notEqual(second?.spec.request, first?.spec.request);
    await untilRequests(node, 'no request is left', none);
  });
}

test('a request that somebody deletes is made anew, whether it was approved or not', async (t) => {
  const { node, certManager, made, create } = await start(t, {
    approver: 'wait for a command',
    issuer: 'keep pending',
  });
  await create();
  const [first] = await untilRequests(node, 'a request', one);
  assert.ok(first !== undefined, 'there is a request');
  await deleteRequest(node, first);
  const isAnother =
    (uid = '') =>
    (requests: readonly { readonly metadata: { readonly uid?: string } }[]) =>
      requests.some(({ metadata }) => metadata.uid !== uid);
  const [second] = await untilRequests(node, 'another request', isAnother(first.metadata.uid));
  assert.ok(second !== undefined, 'there is another request');
  await certManager.decide('default', second.metadata.name, 'Approved');
  await untilRequests(node, 'a pending request', ([request]) => /"Pending"/.test(JSON.stringify(request?.status)));
  await deleteRequest(node, second);
  await untilRequests(node, 'a third request', isAnother(second.metadata.uid));
  certManager.setBehaviour(atOnce);
  await node.logged(written('web', true));
  assert.equal(made.length, 3);
});

test('the request of a pod that is deleted while it waits goes with it', async (t) => {
  const { node, create } = await start(t, { approver: 'wait for a command', issuer: 'sign' });
  await create();
  await untilRequests(node, 'a request', one);
  await node.cluster.admin.deletePod('default', 'web');
  await untilRequests(node, 'no request is left', none);
});

test('a restarted agent takes up the request of the one before it, and loses none that was answered meanwhile', async (t) => {
  const { node, certManager, made, create } = await start(t, { approver: 'wait for a command', issuer: 'sign' });
  await create();
  const [before] = await untilRequests(node, 'a request', one);
  await node.stopAgent();
  certManager.setBehaviour(atOnce);
  await untilRequests(node, 'an answer', ([request]) => request?.status?.certificate !== undefined);
  await node.startAgent();
  await node.logged(written('web', true));
  assert.deepEqual(
    made.map(({ metadata }) => metadata.uid),
    [before?.metadata.uid],
  );
  await untilRequests(node, 'no request is left', none);
});

test('a renewal that is denied takes no certificate away, and the next one that is approved follows', async (t) => {
  const rule = { issuer: { name: issuerName, kind: 'ClusterIssuer' }, refreshAfter: 0.02 };
  const flags = ['--issuers', JSON.stringify([{ signers: ['*'], certManager: rule }])];
  const { node, certManager, create } = await start(t, atOnce, { lifetimeSeconds: 120, flags });
  await create();
  const pod = await node.cluster.admin.podRunning('default', 'web');
  certManager.setBehaviour({ approver: 'deny' });
  await node.event('web', 'Denied');
  const { serialNumber } = node.leaf(pod);
  const [key] = /-----BEGIN [A-Z ]*PRIVATE KEY-----[^-]+/.exec(node.read(pod, 'tls.pem')) ?? [];
  assert.ok(key !== undefined, 'the key is there');
  certManager.setBehaviour(atOnce);
  await node.logged((line) => written('web', false)(line) && line['serial'] !== serialNumber);
  assert.notEqual(node.leaf(pod).serialNumber, serialNumber);
  assert.ok(!node.read(pod, 'tls.pem').includes(key), 'with another key');
});

test('a rule may have requests made by the account of the pod, whose name cert-manager stamps on them', async (t) => {
  const rule = { signers: ['*'], as: 'pod', certManager: { issuer: { name: issuerName, kind: 'ClusterIssuer' } } };
  const { node, made, create } = await start(t, atOnce, { flags: ['--issuers', JSON.stringify([rule])] });
  await create();
  const event = await node.event('web', 'AccountForbidden');
  assert.match(event.message ?? '', /certificaterequests/);
  const rbac = '/apis/rbac.authorization.k8s.io/v1';
  const metadata = { name: 'workload-requests' };
  const rules = [{ apiGroups: ['cert-manager.io'], resources: ['certificaterequests'], verbs: ['create'] }];
  const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: metadata.name };
  const subjects = [{ kind: 'ServiceAccount', namespace: 'default', name: 'default' }];
  const { admin } = node.cluster;
  await admin.create(rbac, { resource: 'clusterroles' }, { metadata, rules });
  await admin.create(rbac, { resource: 'clusterrolebindings' }, { metadata, roleRef, subjects });
  await node.logged(written('web', true));
  assert.deepEqual(
    made.map(({ spec }) => spec.username),
    ['system:serviceaccount:default:default'],
  );
  await untilRequests(node, 'no request is left', none);
});

test('trust anchors that come with the certificate lie where the source wants them', async (t) => {
  const { node, authority, create } = await start(t);
  await create([{ podCertificate: { ...podCertificate, caPath: 'ca.pem' } }]);
  const pod = await node.cluster.admin.podRunning('default', 'web');
  const anchors = node.read(pod, 'ca.pem');
  const root = new X509Certificate(authority.rootPem);
  assert.equal(new X509Certificate(anchors).fingerprint256, root.fingerprint256);
  assert.equal(anchors.match(/-----BEGIN CERTIFICATE-----/g)?.length, 1, 'the intermediate is no anchor');
});

test('a certificate is renewed at the part of its life that the rule says, and one request a volume is the most there is', async (t) => {
  const certManager = { issuer: { name: issuerName, kind: 'ClusterIssuer' }, refreshAfter: 0.02 };
  const flags = ['--issuers', JSON.stringify([{ signers: ['*'], certManager }])];
  const { node, made, create } = await start(t, atOnce, { lifetimeSeconds: 120, flags });
  let most = 0;
  node.cluster.apiServer.store.subscribe(() => {
    most = Math.max(most, certificateRequests(node).length);
  });
  await create();
  const pod = await node.cluster.admin.podRunning('default', 'web');
  const renewed = await node.logged(written('web', false));
  assert.equal(node.leaf(pod).serialNumber, renewed['serial']);
  await untilRequests(node, 'no request is left', none);
  assert.ok(made.length >= 2, 'a renewal asks anew');
  assert.equal(most, 1);
});

test('an issuer of a namespace serves its pods by its name, and those of no other namespace', async (t) => {
  const { node, create } = await start(t);
  const { admin } = node.cluster;
  await create([{ podCertificate: { ...podCertificate, signerName: 'issuers.cert-manager.io/default.own' } }]);
  const [request] = await untilRequests(node, 'a request', one);
  assert.deepEqual(request?.spec.issuerRef, { name: 'own', kind: 'Issuer', group: 'cert-manager.io' });
  await putIssuer(node, 'own', true, 'default');
  await node.logged(written('web', true));
  const stolen = [{ podCertificate: { ...podCertificate, signerName: 'issuers.cert-manager.io/default.own' } }];
  await admin.createPod({ name: 'thief', namespace: 'bank', volumes: [{ name: 'mtls', sources: stolen }] });
  const event = await node.event('thief', 'SignerNotAllowed');
  assert.match(event.message ?? '', /an issuer of another namespace than bank/);
  await untilRequests(node, 'no request is left', none);
});

test('a request that a policy of the cluster refuses is told to the pod, with its reason', async (t) => {
  const { node, made, create } = await start(t, atOnce);
  const path = '/apis/admissionregistration.k8s.io/v1';
  const rule = { apiGroups: ['cert-manager.io'], apiVersions: ['*'], resources: ['certificaterequests'] };
  const validations = [{ expression: 'false', message: 'mesh-ca is not for pods' }];
  const objects = {
    validatingadmissionpolicies: {
      matchConstraints: { resourceRules: [{ ...rule, operations: ['CREATE'] }] },
      validations,
    },
    validatingadmissionpolicybindings: { policyName: 'no-pods', validationActions: ['Deny'] },
  };
  for (const [resource, spec] of Object.entries(objects)) {
    const body = { metadata: { name: 'no-pods' }, spec };
    await node.cluster.admin.client.request({ method: 'POST', path: `${path}/${resource}`, body });
  }
  await create();
  const event = await node.event('web', 'RequestRejected');
  assert.match(event.message ?? '', /'no-pods' denied request: mesh-ca is not for pods.*Ask the cluster operator/);
  assert.deepEqual(made, []);
});

test('an agent without the right to make requests names the right that it lacks', async (t) => {
  const node = await startNode(t, { certManager: true, agentObjects: [], flags: trust, agentIdentity: 'kubelet' });
  await node.cluster.admin.createPod({ name: 'web', volumes: [{ name: 'mtls', sources }] });
  const event = await node.event('web', 'RequestForbidden');
  assert.match(event.message ?? '', /cannot create resource "certificaterequests" in API group "cert-manager\.io"/);
  assert.match(
    event.message ?? '',
    /Ask the cluster operator\. The agent needs the permissions that its chart gives it/,
  );
});

test('cert-manager that is taken away while a request waits costs the pod no more than another request', async (t) => {
  const { node, certManager, made, create } = await start(t, { approver: 'wait for a command', issuer: 'sign' });
  const { faults } = node.cluster.apiServer;
  await create();
  const [request] = await untilRequests(node, 'a request', one);
  assert.ok(request !== undefined, 'there is a request');
  // With the definitions of its types go all objects of them, and every watch.
  await deleteRequest(node, request);
  faults.unserve('cert-manager.io', 'v1');
  faults.dropConnections();
  await node.event('web', 'CertificateAPIMissing');
  node.cluster.apiServer.installCertManager();
  certManager.setBehaviour(atOnce);
  await node.logged(written('web', true));
  assert.ok(made.length >= 2, 'it is asked anew');
});

test('a request that could not be removed goes with the next one that is answered', async (t) => {
  const certManager = { issuer: { name: issuerName, kind: 'ClusterIssuer' }, refreshAfter: 0.02 };
  const flags = ['--issuers', JSON.stringify([{ signers: ['*'], certManager }])];
  const { node, create } = await start(t, atOnce, { lifetimeSeconds: 120, flags });
  const match = { verb: 'delete', resource: 'certificaterequests' };
  const mend = node.cluster.apiServer.faults.add({ kind: 'error', match, code: 403, reason: 'Forbidden' });
  await create();
  const told = await node.logged(({ message }) => message.startsWith('an answered certificate request could not be'));
  assert.equal(told.level, 'warn');
  assert.equal(certificateRequests(node).length, 1);
  mend();
  await node.logged(written('web', false));
  await untilRequests(node, 'no request is left', none);
});

test('a cluster without cert-manager says what is missing, and its pods get their certificates once it is installed', async (t) => {
  const node = await startNode(t, { flags: trust });
  await node.cluster.admin.createPod({ name: 'web', volumes: [{ name: 'mtls', sources }] });
  const event = await node.event('web', 'CertificateAPIMissing');
  assert.match(
    event.message ?? '',
    /does not serve CertificateRequests \(cert-manager\.io\/v1\): install cert-manager/,
  );
  assert.deepEqual(node.requests(), [], 'the name of the signer decides, not what is served');
  node.cluster.apiServer.installCertManager();
  await putIssuer(node, issuerName, true);
  const { problems } = await startIssuers(t, node, atOnce);
  await node.logged(written('web', true));
  assert.deepEqual(problems, []);
});
