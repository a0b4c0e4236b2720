/** What a refusal of the API server says about a PodCertificateRequest: another version of the API, a pod that is gone, or neither. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { CallOptions } from '../../../agent/base/call.ts';
import type { AgentError } from '../../../agent/base/errors.ts';
import { createPodCertificateIssuer } from '../../../agent/issuance/pod-certificate-request.ts';
import type { RequestEvent } from '../../../agent/issuance/request-calls.ts';
import { createKeyMaker } from '../../../agent/keys/key-maker.ts';
import type { PodCertificateApi } from '../../../agent/kubernetes/discovery.ts';
import { replyError } from '../../../agent/kubernetes/failure.ts';
import type { NodeRequest, Status } from '../../../agent/kubernetes/objects.ts';
import { describeCall } from '../../../agent/kubernetes/paths.ts';
import type { CertificateOrder, Outcome } from '../../../agent/lifecycle/ports.ts';

const served = (version: string, evidence: PodCertificateApi['evidence']): PodCertificateApi => ({
  apiVersion: `certificates.k8s.io/${version}`,
  pathPrefix: `/apis/certificates.k8s.io/${version}`,
  evidence,
  userAnnotations: true,
});
const v1 = served('v1', 'stub');
const v1beta1 = served('v1beta1', 'stub');
const withProof = served('v1beta1', 'keyAndProof');

const key = await createKeyMaker().generate('ED25519');
const { signal } = new AbortController();
const order: CertificateOrder = {
  requestName: 'mtls-0-abc',
  identity: {
    pod: { namespace: 'shop', name: 'web', uid: 'pod-uid', serviceAccountName: 'web' },
    ...{ serviceAccountUID: 'sa-uid', nodeName: 'node-1', nodeUID: 'node-uid', ended: false },
  },
  ...{ signerName: 'example.com/mesh', userAnnotations: {}, priority: 'first' },
};

/** An issuer over a server that refuses with these errors one after the other, and what was done about it. */
function issuerOver(versions: readonly PodCertificateApi[], refusals: readonly AgentError[]) {
  const [remaining, known] = [[...refusals], [...versions]];
  const done: string[] = [];
  const calls: CallOptions[] = [];
  const listeners = new Set<(event: RequestEvent<NodeRequest>) => void>();
  const forget = (what: string) => () => {
    done.push(what);
    known.shift();
  };
  const unused = (): never => assert.fail('nobody asks for that');
  const issuer = createPodCertificateIssuer(
    {
      async served() {
        done.push('look');
        return known[0] ?? unused();
      },
      notServed: forget('not served'),
      stubRefused: forget('stub refused'),
      async create({ apiVersion, evidence }, _, call) {
        done.push(`create ${apiVersion} ${evidence}`);
        calls.push(call);
        const refusal = remaining.shift();
        if (refusal !== undefined) {
          throw refusal;
        }
      },
      get: unused,
    },
    {
      get: () => undefined,
      subscribe(listener) {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
      lists: () => ({ begun: 0, taken: 0 }),
    },
  );
  return { issuer, done, calls, listeners };
}

/** The error that the API server's reply becomes. */
function reply(httpStatus: number, status: Omit<Status, 'kind'>): AgentError {
  const call = describeCall('POST', '/apis/certificates.k8s.io/v1/namespaces/shop/podcertificaterequests', false, 'me');
  return replyError(call, httpStatus, { kind: 'Status', message: 'no', ...status });
}

const invalid = (...fields: readonly string[]): AgentError =>
  reply(422, {
    reason: 'Invalid',
    details: { causes: fields.map((field) => ({ reason: 'FieldValueRequired', field })) },
  });

describe('a refusal', () => {
  it('that misses key or proof, whatever else it finds, comes of a server that has dropped the stub', async () => {
    for (const fields of [
      ['spec.pkixPublicKey', 'spec.podUID'],
      ['spec.nodeUID', 'spec.proofOfPossession'],
    ]) {
      const { issuer, done } = issuerOver([v1beta1, withProof], [invalid(...fields)]);
      await issuer.submit(order, key, signal);
      const [stub, proof] = ['stub', 'keyAndProof'].map((evidence) => `create certificates.k8s.io/v1beta1 ${evidence}`);
      assert.deepEqual(done, ['look', stub, 'stub refused', 'look', proof]);
    }
  });

  it('of a key that came with its proof, or of other fields, is about the request: no other version is looked for', async () => {
    const refused = [
      [withProof, invalid('spec.pkixPublicKey')],
      [v1beta1, invalid('spec.maxExpirationSeconds')],
      [v1beta1, invalid()],
    ] as const;
    for (const [api, refusal] of refused) {
      const { issuer, done } = issuerOver([api, v1], [refusal]);
      await assert.rejects(issuer.submit(order, key, signal), refusal);
      assert.deepEqual(done, ['look', `create certificates.k8s.io/v1beta1 ${api.evidence}`]);
    }
  });

  it('of a version that is no longer served leads to another one that takes the same evidence', async () => {
    const { issuer, done } = issuerOver([v1, v1beta1], [reply(404, { reason: 'NotFound' })]);
    await issuer.submit(order, key, signal);
    assert.equal(done.at(-1), 'create certificates.k8s.io/v1beta1 stub');
  });

  it('that is about another object, or is no 404, does not say that the pod’s namespace is gone', async () => {
    const others = [
      reply(404, { reason: 'NotFound', details: { kind: 'secrets', name: 'shop' } }),
      reply(404, { reason: 'NotFound', details: { kind: 'namespaces', name: 'bank' } }),
      reply(403, { reason: 'Forbidden', details: { kind: 'namespaces', name: 'shop' } }),
    ];
    for (const refusal of others) {
      const { issuer } = issuerOver([v1, v1], [refusal]);
      await assert.rejects(issuer.submit(order, key, signal), refusal);
    }
  });
});

it('a request that is begun ahead of its pod goes with the ranks of those who join it, any other with its own', async () => {
  const { issuer, calls } = issuerOver([v1], []);
  assert.equal(issuer.beginsAhead?.('shop', order.signerName), true, 'nothing about the pod is missing ahead of it');
  const alsoFor = [{ priority: 'first', owner: 'pod-uid' }] as const;
  await issuer.submit({ ...order, alsoFor }, key, signal);
  await issuer.submit({ ...order, priority: 'refresh', expiresAt: 9 }, key, signal);
  assert.deepEqual(calls, [
    { priority: 'first', expiresAt: undefined, alsoFor, owner: 'pod-uid', signal },
    { priority: 'refresh', expiresAt: 9, alsoFor: undefined, owner: 'pod-uid', signal },
  ]);
});

it('a request that was removed before it is followed, such as one begun ahead of its pod, is gone as soon as it is followed', async () => {
  const { issuer, listeners } = issuerOver([v1], []);
  await issuer.submit(order, key, signal);
  const { requestName, signerName, identity } = order;
  const { namespace } = identity.pod;
  const spec = { signerName, podUID: identity.pod.uid, nodeName: identity.nodeName };
  for (const listener of listeners) {
    listener({ type: 'deleted', object: { metadata: { name: requestName, namespace }, spec } });
  }
  const outcomes: Outcome[] = [];
  issuer.follow({ namespace, requestName, signerName }, (outcome) => outcomes.push(outcome));
  await Promise.resolve();
  assert.deepEqual(outcomes, [{ type: 'gone' }]);
});
