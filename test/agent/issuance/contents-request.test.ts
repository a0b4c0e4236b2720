/** What the answers of the two APIs mean, and how their requests are made, found again and removed. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { inspect } from 'node:util';
import { AgentError } from '../../../agent/base/errors.ts';
import { apiOf, issuerByRule } from '../../../agent/issuance/by-rule.ts';
import { certificateRequests } from '../../../agent/issuance/cert-manager.ts';
import { certificateSigningRequests } from '../../../agent/issuance/certificate-signing-request.ts';
import { verifyChain } from '../../../agent/issuance/chain.ts';
import { createContentsIssuer, nodeLabelValue } from '../../../agent/issuance/contents-request.ts';
import { type IssuerRules, issuerFor, readIssuerRules } from '../../../agent/issuance/issuer-rules.ts';
import type { PodTokens } from '../../../agent/issuance/pod-account.ts';
import type { RequestEvent } from '../../../agent/issuance/request-calls.ts';
import { createKeyMaker } from '../../../agent/keys/key-maker.ts';
import type { CertificateRequest } from '../../../agent/kubernetes/objects.ts';
import type { CertificateOrder, Issuer, Outcome } from '../../../agent/lifecycle/ports.ts';
import { withinBound } from '../../support/bounded.ts';
import { createRootAuthority } from '../../support/certificates.ts';

const key = await createKeyMaker().generate('ECDSAP256');
const hour = 3_600_000;
const now = Math.floor(Date.now() / 1000) * 1000;
const leaf = await (await createRootAuthority()).issueLeaf({
  spki: key.spki,
  notBefore: now,
  notAfter: now + 6 * hour,
});
const certificate = Buffer.from(leaf).toString('base64');
const signerName = 'clusterissuers.cert-manager.io/ca';
const { signal } = new AbortController();

function condition(type: string, status: string, reason = '', message = '') {
  return { type, status, reason, message };
}

describe("a CertificateRequest's answer", () => {
  const spec = { request: '', issuerRef: { name: 'ca' } };
  const outcomeOf = (status: CertificateRequest['status']) =>
    certificateRequests.outcome({ metadata: { name: 'a' }, spec, ...(status && { status }) }, 0.5);

  it('is none while it is pending, approved or not', () => {
    assert.equal(outcomeOf(undefined), undefined);
    assert.equal(
      outcomeOf({ conditions: [condition('Approved', 'True'), condition('Ready', 'False', 'Pending')] }),
      undefined,
    );
    assert.equal(
      outcomeOf({ conditions: [condition('Ready', 'True', 'Issued')] }),
      undefined,
      'not without certificate',
    );
  });

  it('is the certificate, to be renewed after the given part of its life', () => {
    assert.deepEqual(outcomeOf({ conditions: [condition('Ready', 'True', 'Issued')], certificate }), {
      type: 'issued',
      certificateChain: leaf,
      notBefore: now,
      notAfter: now + 6 * hour,
      beginRefreshAt: now + 3 * hour,
    });
  });

  it('is not taken apart where it is longer than a chain may be: OpenSSL takes long over some certificates', () => {
    const padded = (bytes: number) => Buffer.from(leaf + '#'.repeat(bytes - leaf.length)).toString('base64');
    const longest = outcomeOf({ conditions: [condition('Ready', 'True', 'Issued')], certificate: padded(102_400) });
    assert.ok(longest?.type === 'issued' && longest.notAfter === now + 6 * hour, 'the longest that may be is');
    const long = padded(102_401);
    for (const outcome of [
      outcomeOf({ conditions: [condition('Ready', 'True', 'Issued')], certificate: long }),
      certificateSigningRequests.outcome(
        { metadata: { name: 'a' }, spec: { request: '', signerName: 'a/b' }, status: { certificate: long } },
        0.5,
      ),
    ]) {
      assert.ok(outcome?.type === 'issued', 'what was issued is refused with the checks on the chain');
      assert.deepEqual([outcome.notBefore, outcome.notAfter], [Number.NaN, Number.NaN]);
      assert.throws(() => verifyChain(outcome, key.spki, now), /more than 102400/);
    }
  });

  it('is a refusal when it was denied, is invalid or has failed', () => {
    const denied = [condition('Denied', 'True', 'policy', 'no'), condition('Ready', 'False', 'Denied', 'was denied')];
    assert.deepEqual(outcomeOf({ conditions: denied }), { type: 'denied', reason: 'policy', message: 'no' });
    const invalid = [condition('InvalidRequest', 'True', '', 'bad usages')];
    assert.deepEqual(outcomeOf({ conditions: invalid }), {
      type: 'failed',
      reason: 'InvalidRequest',
      message: 'bad usages',
    });
    const failed = [condition('Ready', 'False', 'Failed', 'boom')];
    assert.deepEqual(outcomeOf({ conditions: failed }), { type: 'failed', reason: 'Failed', message: 'boom' });
  });

  it('has no times when the certificate cannot be read, so that the checks refuse it', () => {
    const outcome = outcomeOf({ conditions: [condition('Ready', 'True')], certificate: 'AAAA' });
    assert.ok(outcome?.type === 'issued' && Number.isNaN(outcome.notAfter), inspect(outcome));
  });
});

it("a CertificateSigningRequest's lifetime is at least what the API takes", () => {
  const choice = issuerFor(rulesOf([{ signers: ['*'], certificateSigningRequest: {} }]), 'shop', 'example.com/a');
  assert.ok(choice.api === 'certificateSigningRequest', inspect(choice));
  const body = certificateSigningRequests.body({ ...order, maxExpirationSeconds: 60 }, '', choice, 'node-a');
  assert.equal(body.spec.expirationSeconds, 600);
});

it('the lifetime asked for is the shorter one of what the pod and the rule say', () => {
  const seconds = (lifetimeSeconds: number | undefined, maxExpirationSeconds: number | undefined) => {
    const rule = lifetimeSeconds === undefined ? {} : { lifetimeSeconds };
    const choice = issuerFor(rulesOf([{ signers: ['*'], certManager: rule }]), 'shop', signerName);
    assert.ok(choice.api === 'certManager', inspect(choice));
    const wish = maxExpirationSeconds === undefined ? {} : { maxExpirationSeconds };
    return certificateRequests.body({ ...order, ...wish }, '', choice, 'node-a').spec.duration;
  };
  assert.deepEqual(
    [seconds(undefined, undefined), seconds(600, undefined), seconds(600, 3600), seconds(7200, 3600)],
    [undefined, '600s', '600s', '3600s'],
  );
});

it('a node whose name is longer than a label has a label of its own', () => {
  const long = 'n'.repeat(200);
  assert.equal(nodeLabelValue('node-a'), 'node-a');
  assert.ok(nodeLabelValue(long).length <= 63, `${nodeLabelValue(long).length} is more than 63`);
  assert.notEqual(nodeLabelValue(long), nodeLabelValue(`${long}2`));
});

function rulesOf(written: unknown): IssuerRules {
  const reading = readIssuerRules(written);
  assert.ok(reading.ok, 'the rules are good');
  return reading.value;
}

const order: CertificateOrder = {
  requestName: 'mtls-0-abc.cr',
  identity: {
    pod: { namespace: 'shop', name: 'web', uid: 'u1', serviceAccountName: 'web' },
    serviceAccountUID: 's',
    nodeName: 'node-a',
    nodeUID: 'n',
    ended: false,
  },
  signerName,
  userAnnotations: {},
  priority: 'first',
};

/** An API that keeps what is created, with its watch. */
function api() {
  const objects = new Map<string, CertificateRequest>();
  const listeners = new Set<(event: RequestEvent<CertificateRequest>) => void>();
  const removed: string[] = [];
  const keyOf = (namespace: string, name: string) => `${namespace}/${name}`;
  return {
    objects,
    removed,
    calls: {
      async create(body: CertificateRequest) {
        const name = keyOf(body.metadata.namespace ?? '', body.metadata.name);
        if (objects.has(name)) {
          throw new AgentError('Conflict', 'exists', { actor: 'nobody' });
        }
        objects.set(name, body);
      },
      get: async (namespace: string, name: string) => {
        const found = objects.get(keyOf(namespace, name));
        assert.ok(found, 'only what exists is asked for');
        return found;
      },
      remove: async (namespace: string, name: string) => void removed.push(keyOf(namespace, name)),
    },
    cache: {
      get: (name: string) => objects.get(name),
      list: () => [...objects.values()],
      subscribe(listener: (event: RequestEvent<CertificateRequest>) => void) {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
      lists: () => ({ begun: 1, taken: 1 }),
    },
    answer(status: NonNullable<CertificateRequest['status']>) {
      for (const [name, object] of objects) {
        const answered = { ...object, status };
        objects.set(name, answered);
        for (const listener of [...listeners]) {
          listener({ type: 'modified', object: answered });
        }
      }
    },
  };
}

const noTokens: PodTokens = {
  ready: () => assert.fail('no rule asks for tokens'),
  bearer: () => assert.fail('no rule asks for tokens'),
};

function issuerOver(world: ReturnType<typeof api>, rules: IssuerRules = []): Issuer {
  return createContentsIssuer({
    kind: certificateRequests,
    tokens: noTokens,
    calls: world.calls,
    cache: world.cache,
    nodeName: 'node-a',
    trustDomain: () => 'mesh.example',
    choice: (namespace, name) => issuerFor(rules, namespace, name),
    onFault: (error) => assert.fail(error),
  });
}

describe('what a request waits for', () => {
  it('is an approval, with the command for it, and then its signature', () => {
    const spec = { request: '', signerName: 'example.com/a' };
    const metadata = { name: 'mtls-0-abc.csr' };
    const waiting = certificateSigningRequests.hurdle({ metadata, spec });
    assert.equal(waiting.turn, 'approver');
    assert.match(waiting.text, /signer example\.com\/a does it with "kubectl certificate approve mtls-0-abc\.csr"/);
    const status = { conditions: [condition('Approved', 'True')] };
    assert.equal(certificateSigningRequests.hurdle({ metadata, spec, status }).turn, 'signer');
  });

  it("is told with cert-manager's own words, cut to a length", () => {
    const spec = { request: '', issuerRef: { name: 'ca', kind: 'ClusterIssuer' } };
    const metadata = { namespace: 'shop', name: 'mtls-0-abc.cr' };
    const waiting = certificateRequests.hurdle({ metadata, spec });
    assert.equal(waiting.turn, 'approver');
    assert.match(
      waiting.text,
      /"cmctl approve -n shop mtls-0-abc\.cr"; with approver-policy, a CertificateRequestPolicy/,
    );
    const message = `Referenced "ClusterIssuer" not found: ${'x'.repeat(5_000)}`;
    const conditions = [condition('Approved', 'True'), condition('Ready', 'False', 'Pending', message)];
    const pending = certificateRequests.hurdle({ metadata, spec, status: { conditions } });
    assert.equal(pending.turn, 'signer');
    assert.match(pending.text, /is approved, and ClusterIssuer ca has not issued its certificate$/);
    assert.ok(
      message.startsWith(pending.detail ?? '?') && (pending.detail?.length ?? 0) <= 1024,
      'the beginning of it',
    );
  });

  it('is heard when it changes, and no more after the outcome', async () => {
    const world = api();
    const issuer = issuerOver(world);
    await issuer.submit(order, key, signal);
    const heard: (string | undefined)[] = [];
    const told = new Promise<Outcome>((resolve) => {
      const request = { namespace: 'shop', requestName: order.requestName, signerName };
      issuer.follow(request, resolve, ({ turn, detail }) => heard.push(detail ?? turn));
    });
    const approved = condition('Approved', 'True');
    const pending = (message: string) => ({ conditions: [approved, condition('Ready', 'False', 'Pending', message)] });
    world.answer({});
    world.answer(pending('not found'));
    world.answer(pending('not found'));
    world.answer(pending('not ready'));
    world.answer({ conditions: [approved, condition('Ready', 'True', 'Issued')], certificate });
    await withinBound(told, 'the outcome');
    world.answer(pending('late'));
    assert.deepEqual(heard, ['approver', 'not found', 'not ready']);
  });
});

describe('a request of cert-manager', () => {
  it('is owned by its pod, labelled, and removed when it is of no more use, not before', async () => {
    const world = api();
    const issuer = issuerOver(world);
    await issuer.submit(order, key, signal);
    const made = world.objects.get('shop/mtls-0-abc.cr');
    assert.deepEqual(made?.metadata.ownerReferences, [{ apiVersion: 'v1', kind: 'Pod', name: 'web', uid: 'u1' }]);
    assert.deepEqual(made?.metadata.labels, { 'podcert.io/node': 'node-a', 'podcert.io/pod-uid': 'u1' });
    assert.deepEqual(made?.spec.issuerRef, { name: 'ca', kind: 'ClusterIssuer', group: 'cert-manager.io' });
    const reference = { namespace: 'shop', requestName: order.requestName, signerName };
    const outcome = new Promise<Outcome>((resolve) => issuer.follow(reference, resolve));
    world.answer({ conditions: [condition('Ready', 'True', 'Issued')], certificate });
    const told = await withinBound(outcome, 'the outcome');
    assert.equal(told.type, 'issued');
    assert.deepEqual(world.removed, [], 'the answer is nowhere else yet');
    issuer.abandon?.(reference);
    assert.deepEqual(world.removed, ['shop/mtls-0-abc.cr']);
    assert.ok(told.type === 'issued', inspect(told));
    assert.equal(issuer.verify(told, key.spki, now + 1000).certificates.length, 1);
  });

  it('takes along what is left over of its source, and nothing else', async () => {
    const world = api();
    const issuer = issuerOver(world);
    const name = (source: string, digit: string) => `${source}-${digit.repeat(40)}.cr`;
    const asked = { ...order, requestName: name('mtls-0', 'a') };
    await issuer.submit(asked, key, signal);
    const ours = world.objects.get(`shop/${asked.requestName}`);
    assert.ok(ours !== undefined, 'the request is there');
    const put = (namespace: string, other: string, podUID: string): void => {
      const labels = { ...ours.metadata.labels, 'podcert.io/pod-uid': podUID };
      world.objects.set(`${namespace}/${other}`, { ...ours, metadata: { name: other, namespace, labels } });
    };
    put('shop', name('mtls-0', 'b'), 'u1');
    put('shop', name('mtls-0', 'c'), 'u1');
    put('shop', name('mtls-0', 'd'), 'u2');
    put('bank', name('mtls-0', 'e'), 'u1');
    put('shop', name('mtls-1', 'f'), 'u1');
    put('shop', name('mtls-0-0', 'a'), 'u1');
    put('shop', 'mtls-0-by-hand.cr', 'u1');
    put('shop', name('mtls-0', '9'), 'u1');
    const next = { namespace: 'shop', requestName: name('mtls-0', '9'), signerName };
    const request = { namespace: 'shop', requestName: asked.requestName, signerName };
    const outcome = new Promise<Outcome>((resolve) => issuer.follow(request, resolve));
    world.answer({ conditions: [condition('Ready', 'True', 'Issued')], certificate });
    await withinBound(outcome, 'the outcome');
    issuer.follow(next, () => undefined);
    issuer.abandon?.(request);
    assert.deepEqual(
      world.removed.sort(),
      ['a', 'b', 'c'].map((digit) => `shop/${name('mtls-0', digit)}`),
    );
  });

  it('is made once, also when its reply was lost', async () => {
    const world = api();
    const issuer = issuerOver(world);
    await issuer.submit(order, key, signal);
    await issuer.submit(order, key, signal);
    assert.equal(world.objects.size, 1);
  });

  it('with another key or for another issuer is somebody else’s', async () => {
    const world = api();
    const issuer = issuerOver(world);
    await issuer.submit(order, key, signal);
    const other = await createKeyMaker().generate('ECDSAP256');
    await assert.rejects(issuer.submit(order, other, signal), { code: 'Conflict' });
    other.destroy();
    const elsewhere = { ...order, signerName: 'clusterissuers.cert-manager.io/other' };
    await assert.rejects(issuer.submit(elsewhere, key, signal), { code: 'Conflict' });
    // An issuer of the same name and kind, made by somebody else than cert-manager.
    const reference = { name: 'ca', kind: 'ClusterIssuer', group: 'issuers.example.com' };
    const foreign = rulesOf([{ signers: ['*'], certManager: { issuer: reference } }]);
    await assert.rejects(issuerOver(world, foreign).submit(order, key, signal), { code: 'Conflict' });
  });

  it('is not made when the rules have turned to another API meanwhile: a new key is made, with a name of that API', async () => {
    const world = api();
    const turned = rulesOf([{ signers: ['*'], podCertificateRequest: {} }]);
    await assert.rejects(issuerOver(world, turned).submit(order, key, signal), { code: 'Conflict' });
    assert.equal(world.objects.size, 0);
  });
});

it('a request is taken to the API that its name tells, a new one to the API that the rules say', () => {
  assert.deepEqual(['mtls-0-ab', 'mtls-0-ab.csr', 'mtls-0-ab.cr'].map(apiOf), [
    'podCertificateRequest',
    'certificateSigningRequest',
    'certManager',
  ]);
  const named = (name: string): Issuer => ({ ...issuerOver(api()), requestName: () => name });
  const rules = rulesOf([{ signers: ['example.org/*'], certificateSigningRequest: {} }]);
  const issuer = issuerByRule(
    {
      podCertificateRequest: named('pcr'),
      certificateSigningRequest: named('csr'),
      certManager: named('cr'),
    },
    () => rules,
  );
  const { pod } = order.identity;
  const nameFor = (signer: string) =>
    issuer.requestName({ pod, volumeName: 'v', sourceIndex: 0, signerName: signer }, key.spki);
  assert.deepEqual(['example.com/a', 'example.org/a', signerName].map(nameFor), ['pcr', 'csr', 'cr']);
  assert.throws(() => nameFor('issuers.cert-manager.io/bank.ca'), { code: 'SignerNotAllowed' });
});

it('a pod that asks for names of an API that carries none is told so, unless the rule leads elsewhere by now', async () => {
  const submitted: string[] = [];
  const issuers = issuerOver(api());
  const recording = (name: string): Issuer => ({ ...issuers, submit: async () => void submitted.push(name) });
  const over = (rules: IssuerRules) =>
    issuerByRule(
      {
        podCertificateRequest: recording('pcr'),
        certificateSigningRequest: recording('csr'),
        certManager: recording('cr'),
      },
      () => rules,
    );
  const names = { dnsNames: ['a.example'], uris: [], ipAddresses: [] };
  const asked = { ...order, signerName: 'example.com/a', requestName: 'mtls-0-ab', names };
  await assert.rejects(over([]).submit(asked, key, signal), {
    code: 'Rejected',
    actor: 'pod author',
    message: /signer example\.com\/a is asked by PodCertificateRequest, which carries none/,
  });
  const turned = rulesOf([{ signers: ['*'], certificateSigningRequest: {} }]);
  await assert.rejects(over(turned).submit(asked, key, signal), { code: 'Conflict', actor: 'nobody' });
  await over(turned).submit({ ...asked, requestName: 'mtls-0-ab.csr' }, key, signal);
  assert.deepEqual(submitted, ['csr']);
});
