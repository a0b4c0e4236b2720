/** What a CertificateSigningRequest gets: it is signed for names of its pod only, and approved for who may ask for that pod. */
import 'reflect-metadata';
import assert from 'node:assert/strict';
import { webcrypto } from 'node:crypto';
import { test } from 'node:test';
import {
  BasicConstraintsExtension,
  ChallengePasswordAttribute,
  ExtendedKeyUsageExtension,
  type Extension,
  KeyUsageFlags,
  KeyUsagesExtension,
  Pkcs10CertificateRequestGenerator,
  SubjectAlternativeNameExtension,
} from '@peculiar/x509';
import type { Decision } from '../../../signer/decision/decision.ts';
import {
  decideSigningRequest,
  podOf,
  requesterFault,
  type SigningRequest,
} from '../../../signer/decision/signing-request.ts';
import { evidence, farEnd, now, pod, policy } from './parts.ts';

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const id = 'spiffe://mesh.example/ns/shop/sa/web';
const clientAuth = '1.3.6.1.5.5.7.3.2';

interface Asked {
  readonly name?: string;
  readonly uris?: readonly string[];
  readonly dnsNames?: readonly string[];
  readonly extensions?: readonly Extension[];
  readonly attributes?: readonly ChallengePasswordAttribute[];
  readonly spec?: Partial<SigningRequest['spec']>;
  readonly metadata?: Partial<SigningRequest['metadata']>;
}

async function asking(asked: Asked): Promise<SigningRequest> {
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const { uris = [id], dnsNames = [] } = asked;
  const names = [
    ...uris.map((value) => ({ type: 'url' as const, value })),
    ...dnsNames.map((value) => ({ type: 'dns' as const, value })),
  ];
  const csr = await Pkcs10CertificateRequestGenerator.create({
    ...{ keys, name: asked.name ?? '', signingAlgorithm: algorithm, attributes: [...(asked.attributes ?? [])] },
    extensions: [
      ...(names.length === 0 ? [] : [new SubjectAlternativeNameExtension(names)]),
      ...(asked.extensions ?? []),
    ],
  });
  return {
    metadata: {
      name: 'request',
      labels: { 'podcert.io/pod-uid': 'pod-uid', 'podcert.io/node': 'node-1' },
      annotations: { 'podcert.io/pod': 'shop/web-0' },
      ...asked.metadata,
    },
    spec: {
      request: Buffer.from(csr.toString('pem')).toString('base64'),
      signerName: policy.signerName,
      usages: ['digital signature', 'client auth'],
      ...asked.spec,
    },
  };
}

async function decide(asked: Asked = {}): Promise<Decision> {
  return decideSigningRequest(await asking(asked), evidence, policy, farEnd, now);
}

test('names of the pod are signed as they were asked for, with the usages of the request', async () => {
  const decision = await decide({
    dnsNames: ['web.shop.svc'],
    extensions: [new KeyUsagesExtension(KeyUsageFlags.digitalSignature), new ExtendedKeyUsageExtension([clientAuth])],
    spec: { expirationSeconds: 600 },
  });
  assert.ok(decision.type === 'issue', JSON.stringify(decision));
  const { uris, dnsNames, usages, notBefore, notAfter } = decision.order;
  assert.deepEqual(
    { uris, dnsNames, usages },
    { uris: [id], dnsNames: ['web.shop.svc'], usages: ['digital signature', 'client auth'] },
  );
  assert.equal(notAfter - notBefore, 600_000);
});

const unfit: Readonly<Record<string, readonly [Asked, string]>> = {
  'the SPIFFE ID of another service account': [{ uris: ['spiffe://mesh.example/ns/shop/sa/admin'] }, 'PodMismatch'],
  'one name of its own and one of somebody else': [{ dnsNames: ['admin.shop.svc'] }, 'PodMismatch'],
  'no name at all': [{ uris: [] }, 'InvalidRequest'],
  'a subject': [{ name: 'CN=web' }, 'InvalidRequest'],
  'an attribute': [{ attributes: [new ChallengePasswordAttribute('x')] }, 'InvalidRequest'],
  'an authority': [{ extensions: [new BasicConstraintsExtension(true, 0, true)] }, 'InvalidRequest'],
  'the right to sign certificates': [
    { extensions: [new KeyUsagesExtension(KeyUsageFlags.keyCertSign)] },
    'InvalidRequest',
  ],
  'the right to sign code': [{ extensions: [new ExtendedKeyUsageExtension(['1.3.6.1.5.5.7.3.3'])] }, 'InvalidRequest'],
  'a usage beyond TLS': [{ spec: { usages: ['cert sign'] } }, 'InvalidRequest'],
  'no pod': [{ metadata: { annotations: {} } }, 'PodMismatch'],
  'a pod of another UID': [{ metadata: { labels: { 'podcert.io/pod-uid': 'older' } } }, 'PodMismatch'],
  'a pod without its UID': [{ metadata: { labels: {} } }, 'PodMismatch'],
  'nothing that can be read': [{ spec: { request: 'AAAA' } }, 'InvalidRequest'],
};

for (const [title, [asked, reason]] of Object.entries(unfit)) {
  test(`a request for ${title} is refused`, async () => {
    const decision = await decide(asked);
    assert.equal(decision.type === 'refuse' ? decision.reason : decision.type, reason);
  });
}

test('a name is compared as a whole: nothing but the pod that the annotation names is looked up', async () => {
  const odd = await asking({ metadata: { annotations: { 'podcert.io/pod': 'a/b/c' } } });
  assert.equal(podOf(odd), undefined);
});

const nodeUser = { username: 'system:node:node-1', groups: ['system:nodes'] };
const agent = 'kube-system:pod-certificate-agent';
const node = (name: string) => ({ 'authentication.kubernetes.io/node-name': [name] });

const requesters: Readonly<Record<string, readonly [Partial<SigningRequest['spec']>, boolean]>> = {
  "the pod's node": [nodeUser, true],
  'another node': [{ ...nodeUser, username: 'system:node:node-2' }, false],
  'somebody who is called like the node': [{ username: nodeUser.username, groups: [] }, false],
  'the agent on the node': [{ username: `system:serviceaccount:${agent}`, extra: node('node-1') }, true],
  'the agent on another node': [{ username: `system:serviceaccount:${agent}`, extra: node('node-2') }, false],
  'the agent with a token of no node': [{ username: `system:serviceaccount:${agent}` }, false],
  'the pod itself': [
    { username: 'system:serviceaccount:shop:web', extra: { 'authentication.kubernetes.io/pod-uid': ['pod-uid'] } },
    true,
  ],
  'another pod of its account': [
    { username: 'system:serviceaccount:shop:web', extra: { 'authentication.kubernetes.io/pod-uid': ['other'] } },
    false,
  ],
  nobody: [{}, false],
};

for (const [title, [spec, may]] of Object.entries(requesters)) {
  test(`a request that ${title} has made is ${may ? 'approved' : 'not approved'}`, async () => {
    assert.equal(requesterFault(await asking({ spec }), pod, agent) === undefined, may);
  });
}

test('an agent whose account nobody has named is not believed', async () => {
  const spec = { username: `system:serviceaccount:${agent}`, extra: node('node-1') };
  assert.notEqual(requesterFault(await asking({ spec }), pod, undefined), undefined);
});
