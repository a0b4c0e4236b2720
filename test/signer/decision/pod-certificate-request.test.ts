/** What a PodCertificateRequest gets: a certificate with the names of its pod, or a refusal that says what does not fit. */
import assert from 'node:assert/strict';
import { generateKeyPairSync, webcrypto } from 'node:crypto';
import { test } from 'node:test';
import 'reflect-metadata';
import { Pkcs10CertificateRequestGenerator } from '@peculiar/x509';
import fc from 'fast-check';
import { suggestedKeyType } from '../../../agent/issuance/key-type-suggestion.ts';
import type { Pod } from '../../../agent/kubernetes/objects.ts';
import type { Decision } from '../../../signer/decision/decision.ts';
import { namesOf } from '../../../signer/decision/names.ts';
import type { Evidence } from '../../../signer/decision/pod.ts';
import { decidePodCertificateRequest } from '../../../signer/decision/pod-certificate-request.ts';
import type { Policy } from '../../../signer/decision/policy.ts';
import { evidence, farEnd, now, pod, policy, publicKey, request } from './parts.ts';

function decide(
  more: Parameters<typeof request>[0] = {},
  seen: Evidence = evidence,
  own: Policy = policy,
  end = farEnd,
): Decision {
  return decidePodCertificateRequest(request(more), seen, own, end, now);
}

const reasonOf = (decision: Decision): string => (decision.type === 'refuse' ? decision.reason : decision.type);

async function stub(name: string): Promise<string> {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const csr = await Pkcs10CertificateRequestGenerator.create({ name, keys, signingAlgorithm: algorithm });
  return Buffer.from(csr.rawData).toString('base64');
}

test('a request that fits its pod gets the names of its service account and nothing else', () => {
  const decision = decide();
  assert.deepEqual(decision.type === 'issue' && decision.order, {
    publicKey: new Uint8Array(publicKey),
    uris: ['spiffe://mesh.example/ns/shop/sa/web'],
    dnsNames: ['web.shop.svc', 'web.shop.svc.cluster.local'],
    usages: ['digital signature', 'server auth', 'client auth'],
    notBefore: Date.parse('2026-11-26T11:58:00Z'),
    notAfter: Date.parse('2026-11-27T11:58:00Z'),
  });
  assert.equal(decision.type === 'issue' && decision.beginRefreshAt, Date.parse('2026-11-26T23:58:00Z'));
});

test('a stub request is taken when it is empty', async () => {
  const empty = { stubPKCS10Request: await stub(''), pkixPublicKey: '', proofOfPossession: '' };
  assert.equal(decide(empty).type, 'issue');
  const named = { ...empty, stubPKCS10Request: await stub('CN=admin') };
  assert.equal(reasonOf(decide(named)), 'InvalidRequest');
  assert.equal(reasonOf(decide({ ...empty, stubPKCS10Request: 'AAAA' })), 'InvalidRequest');
  assert.equal(reasonOf(decide({ pkixPublicKey: '' })), 'UnsupportedKeyType');
});

const changes: Readonly<Record<string, Partial<Pod>>> = {
  'another UID': { metadata: { ...pod.metadata, uid: 'other' } },
  'another node': { spec: { ...pod.spec, nodeName: 'node-2' } },
  'no node yet': { spec: { serviceAccountName: 'web' } },
  'another service account': { spec: { ...pod.spec, serviceAccountName: 'admin' } },
  'ended well': { status: { phase: 'Succeeded' } },
  'ended badly': { status: { phase: 'Failed' } },
  'a file on its node': { metadata: { ...pod.metadata, annotations: { 'kubernetes.io/config.mirror': 'x' } } },
};

for (const [title, change] of Object.entries(changes)) {
  test(`a request for a pod that has ${title} is denied`, () => {
    assert.equal(reasonOf(decide({}, { ...evidence, pod: { ...pod, ...change } })), 'PodMismatch');
  });
}

test('a request for a pod that does not exist, or whose service account is gone or was made anew, is denied', () => {
  assert.equal(reasonOf(decide({}, {})), 'PodMismatch');
  assert.equal(reasonOf(decide({}, { pod })), 'PodMismatch');
  assert.equal(reasonOf(decide({}, { pod, serviceAccountUID: 'newer' })), 'PodMismatch');
});

test('what is not said is not taken for equal', () => {
  const { uid: _, ...metadata } = pod.metadata;
  assert.equal(reasonOf(decide({ podUID: '' }, { ...evidence, pod: { ...pod, metadata } })), 'PodMismatch');
});

test('any annotation of the pod author is denied under the name that Kubernetes has for that', () => {
  const decision = decide({ unverifiedUserAnnotations: { 'example.com/san': 'admin.example.com' } });
  assert.equal(reasonOf(decision), 'InvalidUnverifiedUserAnnotations');
  assert.match(decision.type === 'refuse' ? decision.message : '', /"example\.com\/san"/);
});

test('a key of a type that is not allowed is denied, and the agent understands which one to use', () => {
  const decision = decide({}, evidence, { ...policy, keyTypes: ['ED25519', 'RSA4096'] });
  assert.equal(reasonOf(decision), 'UnsupportedKeyType');
  const message = decision.type === 'refuse' ? decision.message : '';
  assert.equal(suggestedKeyType('UnsupportedKeyType', message, 'ECDSAP256'), 'ED25519');
});

test('keys that Kubernetes does not know, or that are weak, are denied', () => {
  const weak = [
    generateKeyPairSync('rsa', { modulusLength: 2048 }),
    generateKeyPairSync('rsa', { modulusLength: 3072, publicExponent: 3 }),
    generateKeyPairSync('ec', { namedCurve: 'secp256k1' }),
    generateKeyPairSync('x25519'),
  ];
  for (const pair of weak) {
    const pkixPublicKey = pair.publicKey.export({ type: 'spki', format: 'der' }).toString('base64');
    assert.equal(reasonOf(decide({ pkixPublicKey })), 'UnsupportedKeyType');
  }
});

test('a certificate ends before its CA, and is waited for where too little is left', () => {
  const end = now + 5 * 3_600_000;
  const decision = decide({}, evidence, policy, end);
  assert.equal(decision.type === 'issue' && decision.order.notAfter, Math.floor(end / 1000) * 1000);
  assert.equal(decide({}, evidence, policy, now + 3_000_000).type, 'wait');
});

test('times are such as the API server takes them, for every lifetime that can be asked for', () => {
  const lifetimes = fc.integer({ min: 3600, max: 91 * 86_400 });
  fc.assert(
    fc.property(lifetimes, lifetimes, (maxExpirationSeconds, leafSeconds) => {
      const decision = decide({ maxExpirationSeconds }, evidence, { ...policy, leafMs: leafSeconds * 1000 });
      assert.ok(decision.type === 'issue', 'it is granted');
      const { order, beginRefreshAt } = decision;
      const life = order.notAfter - order.notBefore;
      assert.ok(Math.abs(order.notBefore - now) < 300_000, 'notBefore is near the clock');
      assert.ok(life >= 3_600_000 && life <= Math.min(maxExpirationSeconds, leafSeconds) * 1000, 'it lives as asked');
      assert.ok(beginRefreshAt >= order.notBefore + 600_000 && beginRefreshAt <= order.notAfter - 600_000, 'margins');
      assert.ok(
        [order.notBefore, order.notAfter, beginRefreshAt].every((time) => time % 1000 === 0),
        'whole seconds',
      );
    }),
  );
});

test('DNS names are those of a Service of the namespace, and never the API server or a public name', () => {
  const dns = (namespace: string, account: string, own = policy) => namesOf(namespace, account, own).dnsNames;
  assert.deepEqual(dns('default', 'kubernetes'), []);
  assert.deepEqual(dns('shop', 'a.b'), []);
  assert.deepEqual(dns('com', 'example'), ['example.com.svc', 'example.com.svc.cluster.local']);
  assert.deepEqual(dns('shop', 'w'.repeat(64)), []);
  assert.deepEqual(dns('shop', 'web', { ...policy, dnsNames: 'none' }), []);
});
