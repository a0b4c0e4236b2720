/** Each call goes to the API that the request's name or the rules in force tell, and what cannot be told is no. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { inspect } from 'node:util';
import { AgentError } from '../../../agent/base/errors.ts';
import { issuerByRule } from '../../../agent/issuance/by-rule.ts';
import { type CertificateApi, readIssuerRules } from '../../../agent/issuance/issuer-rules.ts';
import { createKeyMaker } from '../../../agent/keys/key-maker.ts';
import type { CertificateOrder, Issuer } from '../../../agent/lifecycle/ports.ts';
import { createRootAuthority } from '../../support/certificates.ts';

const key = await createKeyMaker().generate('ED25519');
const { pem } = await createRootAuthority();
const { signal } = new AbortController();
const order: CertificateOrder = {
  requestName: 'a.csr',
  identity: {
    pod: { namespace: 'shop', name: 'web', uid: 'u1', serviceAccountName: 'web' },
    ...{ serviceAccountUID: 's', nodeName: 'node-a', nodeUID: 'n', ended: false },
  },
  ...{ signerName: 'example.com/mesh', userAnnotations: {}, priority: 'first' },
};
const issued = { type: 'issued', certificateChain: '', notBefore: 0, notAfter: 9, beginRefreshAt: 5 } as const;
const chain = { certificates: [], serialNumber: '1', notBefore: 0, notAfter: 9, beginRefreshAt: 5 };

const failure = (code: AgentError['code']) => new AgentError(code, 'no', { actor: 'nobody' });

/** Issuers that write down what they are called for, and one over them by these rules. */
function open(rules: unknown = [], more: Partial<Record<CertificateApi, Partial<Issuer>>> = {}) {
  const reading = readIssuerRules(rules);
  assert.ok(reading.ok, inspect(reading));
  const done: string[] = [];
  const recording = (api: CertificateApi): Issuer => ({
    requestName: () => api,
    async submit({ requestName }) {
      done.push(`${api} submit ${requestName}`);
    },
    follow({ requestName }, listener, onHurdle) {
      listener({ type: 'gone' });
      onHurdle?.({ turn: 'signer', text: api });
      return () => done.push(`${api} end ${requestName}`);
    },
    verify: () => chain,
    ...more[api],
  });
  const issuer = issuerByRule(
    {
      podCertificateRequest: recording('podCertificateRequest'),
      certificateSigningRequest: recording('certificateSigningRequest'),
      certManager: recording('certManager'),
    },
    () => reading.value,
    (api) => done.push(`${api} missing`),
  );
  return { issuer, done };
}

const signing = [{ signers: ['*'], certificateSigningRequest: {} }];

describe('a request', () => {
  it('is prepared for, followed and let go by the API of its name, where that has something to do', async () => {
    const done: string[] = [];
    const { issuer, done: others } = open(signing, {
      certificateSigningRequest: {
        async prepare({ requestName }, _signal, onWait) {
          done.push(`prepare ${requestName}`);
          onWait('a token');
        },
        abandon: ({ requestName }) => void done.push(`abandon ${requestName}`),
      },
    });
    for (const requestName of ['a.csr', 'a.cr']) {
      const { pod } = order.identity;
      const subject = { pod, volumeName: 'v', sourceIndex: 0, signerName: order.signerName, requestName };
      await issuer.prepare?.(subject, signal, (what) => done.push(what));
      const reference = { namespace: 'shop', requestName, signerName: order.signerName };
      issuer.abandon?.(reference);
      const end = issuer.follow(
        reference,
        ({ type }) => done.push(type),
        ({ text }) => done.push(text),
      );
      end();
    }
    assert.deepEqual(done, [
      ...['prepare a.csr', 'a token', 'abandon a.csr', 'gone', 'certificateSigningRequest'],
      ...['gone', 'certManager'],
    ]);
    assert.deepEqual(others, ['certificateSigningRequest end a.csr', 'certManager end a.cr']);
  });

  it('that fails is told apart by whether its API is missing', async () => {
    for (const { code, expected } of [
      { code: 'ApiMissing', expected: ['certificateSigningRequest missing'] },
      { code: 'Unavailable', expected: [] },
    ] as const) {
      const fault = failure(code);
      const { issuer, done } = open(signing, { certificateSigningRequest: { submit: () => Promise.reject(fault) } });
      await assert.rejects(issuer.submit(order, key, signal), fault);
      assert.deepEqual(done, expected);
    }
    const fault = new RangeError('a fault');
    const { issuer, done } = open(signing, { certificateSigningRequest: { submit: () => Promise.reject(fault) } });
    await assert.rejects(issuer.submit(order, key, signal), fault);
    assert.deepEqual(done, []);
  });

  it('goes on where nobody wants to hear of a missing API', async () => {
    const { issuer: any } = open();
    const missing: Issuer = { ...any, submit: () => Promise.reject(failure('ApiMissing')) };
    const all = { podCertificateRequest: missing, certificateSigningRequest: missing, certManager: missing };
    await assert.rejects(issuerByRule(all, () => []).submit(order, key, signal), { code: 'ApiMissing' });
  });

  it('for anchors goes to cert-manager only: who asks elsewhere is told so, or asks again by the rule in force', async () => {
    const wanting = { ...order, wantsAnchors: true };
    await assert.rejects(open(signing).issuer.submit(wanting, key, signal), {
      code: 'Rejected',
      actor: 'pod author',
      message:
        /^the source cannot be served with caPath and truststorePath: signer example\.com\/mesh is asked by Certi/,
    });
    await assert.rejects(open().issuer.submit(wanting, key, signal), {
      code: 'Conflict',
      actor: 'nobody',
      message: 'signer example.com/mesh is asked through another API by now',
    });
    const { issuer, done } = open();
    await issuer.submit({ ...wanting, requestName: 'a.cr' }, key, signal);
    await issuer.submit({ ...order, wantsAnchors: false }, key, signal);
    await issuer.submit({ ...order, requestName: 'a' }, key, signal);
    const submitted = ['certManager submit a.cr', 'certificateSigningRequest submit a.csr'];
    assert.deepEqual(done, [...submitted, 'podCertificateRequest submit a']);
  });
});

it('anchors come with a chain where they are wanted, and are not looked at elsewhere', () => {
  const { issuer } = open();
  const withAnchors = { ...issued, anchors: pem };
  const { anchors } = issuer.verify(withAnchors, key.spki, 0, true);
  assert.equal(anchors?.length, 1);
  assert.deepEqual(issuer.verify(withAnchors, key.spki, 0), chain);
  assert.throws(() => issuer.verify(issued, key.spki, 0, true), { code: 'InvalidChain' });
});

describe('whether', () => {
  const foreign = 'issuers.cert-manager.io/bank.ca';
  const faulty = () =>
    issuerByRule(
      { podCertificateRequest: open().issuer, certificateSigningRequest: open().issuer, certManager: open().issuer },
      () => {
        throw new RangeError('a fault');
      },
    );

  it('a request may be made ahead of its pod is for its API to say, and no where none is named', () => {
    const rules = [{ signers: ['example.org/*'], certificateSigningRequest: {} }];
    for (const begins of [true, false]) {
      const { issuer } = open(rules, {
        podCertificateRequest: { beginsAhead: (namespace, name) => begins && `${namespace} ${name}` === 'shop a.b/c' },
      });
      assert.equal(issuer.beginsAhead?.('shop', 'a.b/c'), begins);
      assert.equal(issuer.beginsAhead?.('shop', 'example.org/a'), false, 'that API says nothing');
      assert.equal(issuer.beginsAhead?.('shop', foreign), false, 'no API is named');
    }
    assert.throws(() => faulty().beginsAhead?.('shop', 'a.b/c'), RangeError);
  });

  it('a certificate names the addresses of its pod is in the rule, and no where there is none', () => {
    const { issuer } = open([
      { signers: ['example.org/with'], certificateSigningRequest: { ipAddresses: [`\${podIPs}`] } },
      { signers: ['example.org/without'], certificateSigningRequest: { ipAddresses: ['10.0.0.1'] } },
    ]);
    const names = ['example.org/with', 'example.org/without', 'a.b/c', foreign];
    assert.deepEqual(
      names.map((name) => issuer.namesAddresses?.('shop', name)),
      [true, false, false, false],
    );
    assert.throws(() => faulty().namesAddresses?.('shop', 'a.b/c'), RangeError);
  });
});
