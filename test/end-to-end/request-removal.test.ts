/**
 * The chart's policy for the removal of certificate requests: an agent removes those of its own node, also where the node's name is
 * too long for a label, and whoever has its token removes no others.
 */
import 'reflect-metadata';
import assert from 'node:assert/strict';
import { webcrypto } from 'node:crypto';
import { type TestContext, test } from 'node:test';
import { Pkcs10CertificateRequestGenerator } from '@peculiar/x509';
import { requestLabels } from '../../agent/issuance/contents-request.ts';
import { resourcePath } from '../../agent/kubernetes/paths.ts';
import type { UserInfo } from '../../sandbox/base/cluster-rules.ts';
import { startCluster } from '../../sandbox/cluster/cluster.ts';
import { chartObjects } from '../cluster/chart.ts';
import { call } from '../sandbox/serving/client.ts';
import { makeDirectory } from '../support/directory.ts';
import { written } from './node.ts';
import { createPod, signerName, startPodAccountNode } from './pod-account.ts';
import { startSigner, untilRequests } from './signing-request-signer.ts';

const issuers = [
  { signers: ['csr.example.org/*'], certificateSigningRequest: {} },
  { signers: ['cr.example.org/*'], certManager: { issuer: { name: 'ca' } } },
];
const inMode = (mode: 'impersonatedNode' | 'serviceAccount', rules: readonly object[] = issuers) => {
  const chart = chartObjects(mode, [], rules);
  return chart.type === 'objects' ? { objects: chart.objects, skip: false } : { objects: [], skip: chart.reason };
};

const long = `ip-192-0-2-1.${'a'.repeat(40)}.compute.example.internal`;
const longToo = `ip-192-0-2-2.${'a'.repeat(40)}.compute.example.internal`;
const ofNode = 'authentication.kubernetes.io/node-name';

/** Whose token says that node, or none. Makers may do everything: what they may make is not the question here. */
function account(name: string, node?: string, isMaker = false): UserInfo {
  const groups = [...(isMaker ? ['system:masters'] : []), 'system:serviceaccounts', 'system:authenticated'];
  return { username: `system:serviceaccount:${name}`, groups, extra: node === undefined ? {} : { [ofNode]: [node] } };
}
const agentName = 'kube-system:pod-certificate-agent';
const nodeUser = (node: string): UserInfo => ({
  ...{ username: `system:node:${node}`, groups: ['system:masters', 'system:nodes'], extra: {} },
});
const somebody: UserInfo = { username: 'somebody', groups: ['system:masters'], extra: {} };

interface Case {
  readonly title: string;
  readonly maker: UserInfo;
  /** For which the request says that it is; undefined: it has no such label. */
  readonly labelled: string | undefined;
  readonly remover: UserInfo;
  readonly refused?: RegExp;
}

const otherNodes = /remove no certificate requests but those of the node that its token is bound to/;
const a = account(agentName, 'node-a');
const cases: readonly Case[] = [
  { title: 'of its node', maker: nodeUser('node-a'), labelled: 'node-a', remover: a },
  {
    title: 'of its node that a pod has made',
    ...{ maker: account('shop:web', 'node-a', true), labelled: 'node-a', remover: a },
  },
  { title: 'of another node', maker: nodeUser('node-b'), labelled: 'node-b', remover: a, refused: otherNodes },
  { title: 'of nobody’s node', maker: nodeUser('node-a'), labelled: undefined, remover: a, refused: otherNodes },
  {
    title: 'with a token of no node',
    ...{ maker: somebody, labelled: 'node-a', remover: account(agentName), refused: /bound to no node/ },
  },
  {
    title: 'of a node with a long name, with the token of another',
    ...{ maker: nodeUser(long), labelled: long, remover: a, refused: otherNodes },
  },
  {
    title: 'of its node with a long name, that the node has made',
    ...{ maker: nodeUser(long), labelled: long, remover: account(agentName, long) },
  },
  {
    title: 'of its node with a long name, that the agent has made',
    ...{ maker: account(agentName, long, true), labelled: long, remover: account(agentName, long) },
  },
  {
    title: 'of its node with a long name, that a pod has made',
    ...{ maker: account('shop:web', long, true), labelled: long, remover: account(agentName, long) },
  },
  {
    title: 'of a node with a long name, with the token of another such',
    ...{ maker: nodeUser(long), labelled: long, remover: account(agentName, longToo), refused: otherNodes },
  },
  {
    title: 'that another agent has made for such a node',
    maker: account(agentName, longToo, true),
    ...{ labelled: longToo, remover: account(agentName, long), refused: otherNodes },
  },
  {
    title: 'of a kubelet with a long name, which has no label',
    ...{ maker: nodeUser(long), labelled: undefined, remover: account(agentName, long), refused: otherNodes },
  },
  { title: 'of whatever node, by whoever else may', maker: nodeUser('node-b'), labelled: 'node-b', remover: somebody },
];

const contents = await pkcs10();
const apis = {
  CertificateSigningRequest: {
    prefix: '/apis/certificates.k8s.io/v1',
    place: { resource: 'certificatesigningrequests' },
    spec: { request: contents, signerName: 'csr.example.org/x', usages: ['client auth'] },
  },
  CertificateRequest: {
    prefix: '/apis/cert-manager.io/v1',
    place: { resource: 'certificaterequests', namespace: 'default' },
    spec: { request: contents, issuerRef: { name: 'ca' }, usages: ['client auth'] },
  },
};

async function pkcs10(): Promise<string> {
  const signingAlgorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const keys = await webcrypto.subtle.generateKey(signingAlgorithm, true, ['sign', 'verify']);
  const request = await Pkcs10CertificateRequestGenerator.create({ name: '', keys, signingAlgorithm });
  return Buffer.from(request.toString('pem')).toString('base64');
}

async function withPolicy(t: TestContext) {
  const cluster = await startCluster({
    ...{ directory: makeDirectory(t), kubelet: 'none', certManager: true },
    ...{ agentIdentity: 'serviceAccount', agentObjects: inMode('serviceAccount').objects },
  });
  t.after(() => cluster.close());
  const { url, caPem, userToken } = cluster.apiServer;
  return (user: UserInfo, method: string, path: string, body?: object) =>
    call({ url, caPem, token: userToken(user) }, path, { method, ...(body === undefined ? {} : { body }) });
}

for (const [kind, { prefix, place, spec }] of Object.entries(apis)) {
  test(`the agent's token is good for the removal of ${kind}s of its own node and of no others`, {
    skip: inMode('serviceAccount').skip,
  }, async (t) => {
    const ask = await withPolicy(t);
    for (const [index, { title, maker, labelled, remover, refused }] of cases.entries()) {
      const name = `request-${index}`;
      const labels = labelled === undefined ? {} : requestLabels(labelled, 'uid');
      const made = await ask(maker, 'POST', resourcePath(prefix, place), { metadata: { name, labels }, spec });
      assert.equal(made.status, 201, `${title}: ${JSON.stringify(made.body)}`);
      const { status, body } = await ask(remover, 'DELETE', resourcePath(prefix, { ...place, name }));
      assert.equal(status, refused === undefined ? 200 : 422, `${title}: ${JSON.stringify(body)}`);
      assert.match(refused === undefined ? '' : String(body['message']), refused ?? /^$/, title);
    }
    const own = { metadata: { name: 'own', labels: requestLabels('node-a', 'uid') }, spec };
    const path = resourcePath(prefix, { ...place, name: 'own' });
    await ask(somebody, 'POST', resourcePath(prefix, place), own);
    const relabelled = { ...own, metadata: { ...own.metadata, labels: requestLabels('node-b', 'uid') } };
    assert.equal((await ask(account(agentName, 'node-b'), 'PUT', path, relabelled)).status, 403, 'it changes no label');
    assert.equal((await ask(a, 'DELETE', resourcePath(prefix, place))).status, 403, 'it removes no collection');
  });
}

for (const [mode, as] of [
  ['impersonatedNode', 'agent'],
  ['serviceAccount', 'agent'],
  ['serviceAccount', 'pod'],
] as const) {
  const { objects: agentObjects, skip } = inMode(mode, [{ signers: ['*'], as, certificateSigningRequest: {} }]);
  test(`on a node with a long name answered requests are removed, in mode ${mode} as ${as}`, { skip }, async (t) => {
    const node = await startPodAccountNode(t, { nodeName: long, agentIdentity: mode, agentObjects, rule: { as } });
    await startSigner(t, node, signerName, 'approve and sign');
    await createPod(node);
    await node.logged(written('web', true));
    await untilRequests(node, 0);
  });
}
