/** CertificateSigningRequests and cert-manager's CertificateRequests as they go out, are known again, are answered and wait. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { inspect } from 'node:util';
import { certificateRequests } from '../../../agent/issuance/cert-manager.ts';
import { certificateSigningRequests } from '../../../agent/issuance/certificate-signing-request.ts';
import { hurdleOf, nameEndings, nodeLabelValue, shown } from '../../../agent/issuance/contents-request.ts';
import { type IssuerChoice, issuerFor, readIssuerRules } from '../../../agent/issuance/issuer-rules.ts';
import type { CertificateOrder } from '../../../agent/lifecycle/ports.ts';
import { createRootAuthority } from '../../support/certificates.ts';

const { pem: leaf } = await createRootAuthority();
const certificate = Buffer.from(leaf).toString('base64');
const labels = { 'podcert.io/node': 'node-a', 'podcert.io/pod-uid': 'u1' };
const order: CertificateOrder = {
  requestName: 'mtls-0-abc',
  identity: {
    pod: { namespace: 'shop', name: 'web', uid: 'u1', serviceAccountName: 'web' },
    ...{ serviceAccountUID: 's', nodeName: 'node-a', nodeUID: 'n', ended: false },
  },
  ...{ signerName: 'example.com/mesh', userAnnotations: {}, priority: 'first' },
};

function choiceOf(rule: object, signerName = order.signerName): IssuerChoice {
  const reading = readIssuerRules([{ signers: ['*'], ...rule }]);
  assert.ok(reading.ok, inspect(reading));
  return issuerFor(reading.value, 'shop', signerName);
}
const bySigning = certificateSigningRequests.accepts(choiceOf({ certificateSigningRequest: {} })) ?? assert.fail();
const issuer = { name: 'ca', kind: 'ClusterIssuer', group: 'cert-manager.io' };
const byCertManager = certificateRequests.accepts(choiceOf({ certManager: { issuer } })) ?? assert.fail();

function condition(type: string, status: string, reason?: string, message?: string) {
  return { type, status, ...(reason !== undefined && { reason }), ...(message !== undefined && { message }) };
}

describe('a CertificateSigningRequest', () => {
  const metadata = { name: 'a.csr' };
  const spec = { request: '', signerName: order.signerName };
  const outcomeOf = (...conditions: ReturnType<typeof condition>[]) =>
    certificateSigningRequests.outcome({ metadata, spec, status: { conditions, certificate } }, 0.5);

  it('says for which pod and node it is, and asks for a lifetime only where one is wished', () => {
    const body = certificateSigningRequests.body(order, 'cGVt', bySigning, 'node-a');
    assert.deepEqual(body, {
      apiVersion: 'certificates.k8s.io/v1',
      kind: 'CertificateSigningRequest',
      metadata: { name: 'mtls-0-abc', labels, annotations: { 'podcert.io/pod': 'shop/web' } },
      spec: { request: 'cGVt', signerName: 'example.com/mesh', usages: bySigning.usages },
    });
    const wish = { ...order, maxExpirationSeconds: 7200 };
    assert.equal(certificateSigningRequests.body(wish, '', bySigning, 'node-a').spec.expirationSeconds, 7200);
  });

  it('is known by its name alone, and asks for the same where its signer is the same', () => {
    assert.equal(certificateSigningRequests.key('shop', 'a.csr'), 'a.csr');
    assert.equal(nameEndings[certificateSigningRequests.api], '.csr');
    assert.equal(certificateSigningRequests.kind, 'CertificateSigningRequest');
    assert.deepEqual(certificateSigningRequests.outline(metadata), { metadata, spec: { request: '', signerName: '' } });
    const asks = (signerName: string) =>
      certificateSigningRequests.asksForTheSame({ metadata, spec: { ...spec, signerName } }, order, bySigning);
    assert.deepEqual([asks('example.com/mesh'), asks('example.com/other')], [true, false]);
    assert.equal(certificateSigningRequests.accepts(byCertManager), undefined);
  });

  it('is denied or has failed whatever else it says, and is answered with its certificate', () => {
    const denied = { type: 'denied', reason: 'policy', message: 'no' };
    assert.deepEqual(outcomeOf(condition('Denied', 'True', 'policy', 'no')), denied);
    assert.deepEqual(outcomeOf(condition('Failed', 'True')), { type: 'failed', reason: '', message: '' });
    for (const others of [[], [condition('Denied', 'False'), condition('Failed', 'Unknown')]]) {
      assert.equal(outcomeOf(...others)?.type, 'issued');
    }
    assert.equal(certificateSigningRequests.outcome({ metadata, spec, status: {} }, 0.5), undefined);
    assert.equal(certificateSigningRequests.outcome({ metadata, spec }, 0.5), undefined);
  });

  it('waits for its approver, with the command for it, and once it is approved for its signer', () => {
    assert.deepEqual(certificateSigningRequests.hurdle({ metadata, spec }), {
      turn: 'approver',
      text: 'CertificateSigningRequest a.csr waits for its approval: whoever may approve for signer example.com/mesh does it with "kubectl certificate approve a.csr"',
    });
    const status = { conditions: [condition('Approved', 'True')] };
    assert.deepEqual(certificateSigningRequests.hurdle({ metadata, spec, status }), {
      turn: 'signer',
      text: 'CertificateSigningRequest a.csr is approved, and signer example.com/mesh has not signed it',
    });
  });
});

describe('a CertificateRequest', () => {
  const metadata = { namespace: 'shop', name: 'a.cr' };
  const spec = { request: '', issuerRef: { name: 'ca' } };
  const outcomeOf = (...conditions: ReturnType<typeof condition>[]) =>
    certificateRequests.outcome({ metadata, spec, status: { conditions, certificate, ca: certificate } }, 0.25);

  it('belongs to its pod, names its issuer and is for no CA', () => {
    assert.deepEqual(certificateRequests.body(order, 'cGVt', byCertManager, 'node-a'), {
      apiVersion: 'cert-manager.io/v1',
      kind: 'CertificateRequest',
      metadata: {
        ...{ name: 'mtls-0-abc', namespace: 'shop', labels },
        ownerReferences: [{ apiVersion: 'v1', kind: 'Pod', name: 'web', uid: 'u1' }],
      },
      spec: { request: 'cGVt', issuerRef: issuer, usages: byCertManager.usages, isCA: false },
    });
  });

  it('is known by namespace and name, and asks for the same where its issuer is the same, by default one of the namespace', () => {
    assert.equal(certificateRequests.key('shop', 'a.cr'), 'shop/a.cr');
    assert.equal(nameEndings[certificateRequests.api], '.cr');
    assert.equal(certificateRequests.kind, 'CertificateRequest');
    assert.deepEqual(certificateRequests.outline(metadata), {
      metadata,
      spec: { request: '', issuerRef: { name: '' } },
    });
    const own = { ...byCertManager, issuer: { name: 'ca', kind: 'Issuer', group: 'cert-manager.io' } };
    const asks = (issuerRef: { name: string; kind?: string; group?: string }, choice = byCertManager) =>
      certificateRequests.asksForTheSame({ metadata, spec: { request: '', issuerRef } }, order, choice);
    const others = [issuer, { ...issuer, name: 'b' }, { ...issuer, kind: 'b' }, { ...issuer, group: 'b' }];
    assert.deepEqual(
      others.map((reference) => asks(reference)),
      [true, false, false, false],
    );
    assert.deepEqual([asks({ name: 'ca' }), asks({ name: 'ca' }, own), asks(issuer, own)], [false, true, false]);
    assert.equal(certificateRequests.accepts(bySigning), undefined);
  });

  it('is refused in each of the ways in which cert-manager says so, and answered only when it is ready', () => {
    const ready = condition('Ready', 'True');
    const invalid = { type: 'failed', reason: 'why', message: 'bad' };
    assert.deepEqual(outcomeOf(condition('InvalidRequest', 'True', 'why', 'bad'), ready), invalid);
    const denied = { type: 'denied', reason: 'Denied', message: 'no' };
    assert.deepEqual(outcomeOf(condition('Ready', 'False', 'Denied', 'no')), denied);
    assert.equal(outcomeOf(condition('Ready', 'False', 'Pending')), undefined);
    assert.equal(outcomeOf(condition('Ready', 'Unknown', 'Failed')), undefined);
    assert.equal(outcomeOf(), undefined, 'a certificate alone is no answer');
    assert.equal(certificateRequests.outcome({ metadata, spec }, 0.5), undefined);
  });

  it('brings the anchors of its issuer, and the times of its leaf', () => {
    const outcome = outcomeOf(condition('Ready', 'True')) ?? assert.fail('it is answered');
    assert.ok(outcome.type === 'issued', inspect(outcome));
    const { notBefore, notAfter, beginRefreshAt, anchors } = outcome;
    assert.equal(anchors, leaf);
    assert.equal(beginRefreshAt, notBefore + (notAfter - notBefore) / 4);
  });

  it('waits for its approver and then for its issuer, with what cert-manager says about it', () => {
    const text =
      'CertificateRequest shop/a.cr waits for its approval: an approver does it, or "cmctl approve -n shop a.cr"; with approver-policy, a CertificateRequestPolicy must match that the requester may use';
    assert.deepEqual(certificateRequests.hurdle({ metadata, spec }), { turn: 'approver', text });
    const said = condition('Ready', 'False', 'Pending', 'no policy');
    assert.equal(certificateRequests.hurdle({ metadata, spec, status: { conditions: [said] } }).detail, 'no policy');
    const conditions = [condition('Approved', 'True'), condition('Ready', 'Unknown', 'Pending', 'nothing')];
    assert.deepEqual(certificateRequests.hurdle({ metadata, spec, status: { conditions } }), {
      turn: 'signer',
      text: 'CertificateRequest shop/a.cr is approved, and Issuer ca has not issued its certificate',
    });
  });
});

it('a node’s name of up to 63 characters is its label, a longer one has 40 digits instead', () => {
  assert.equal(nodeLabelValue('n'.repeat(63)), 'n'.repeat(63));
  assert.match(nodeLabelValue('n'.repeat(64)), /^[0-9a-f]{40}$/);
});

it('what others chose or say is cut: a name after 100 characters, a detail after 1024', () => {
  assert.equal(shown('s'.repeat(100)), 's'.repeat(100));
  assert.ok(shown('s'.repeat(102)).length <= 101, shown('s'.repeat(102)));
  const hurdle = { turn: 'signer', text: 'text' } as const;
  assert.deepEqual(hurdleOf('signer', 'text', 'd'.repeat(1025)), { ...hurdle, detail: 'd'.repeat(1024) });
  assert.deepEqual(hurdleOf('signer', 'text', ''), hurdle);
});
