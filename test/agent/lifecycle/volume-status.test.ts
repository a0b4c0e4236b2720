/** What a volume is said to wait for, and how a credential is shown, in each state. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Actor, AgentError } from '../../../agent/base/errors.ts';
import type { Attempt, CredentialState, Failure, Trust } from '../../../agent/lifecycle/credential-state.ts';
import { overdueTime } from '../../../agent/lifecycle/pace.ts';
import { credentialSnapshot, type Unready, volumeStatus } from '../../../agent/lifecycle/volume-status.ts';
import type { Source } from '../../../volumes/declaration/types.ts';
import { attempt, certificate, hour, minute, now, podCertificate, recordWith, trust, trustBundle } from './plain.ts';
import { answerOf } from './projection-scene.ts';

const source = podCertificate(0, 'tls.pem');
const record = recordWith([source]);
const answer = { ...answerOf('a'), notBefore: now + minute };

function pausing(failure: Failure, changes: Partial<Attempt> = {}, resubmit?: string): CredentialState {
  return { name: 'pausing', attempt: { ...attempt, ...changes }, until: now + minute, failure, resubmit };
}

function awaiting(changes: Partial<CredentialState & { readonly name: 'awaiting' }> = {}): CredentialState {
  return {
    ...{ name: 'awaiting', attempt, requestName: 'req-2', giveUpAt: now + hour, hurdle: undefined, told: undefined },
    ...{ tellAt: now, ...changes },
  };
}

function ended(changes: Partial<CredentialState & { readonly name: 'ended' }> = {}): CredentialState {
  return {
    ...{ name: 'ended', keyType: 'ECDSAP256', current: undefined, trust, warned: 'nothing', why: 'gone' },
    ...{ since: now - hour, recheckAt: now + minute, checks: 1, ...changes },
  };
}

const submitting = { name: 'submitting', attempt, requestName: 'req-2' } as const satisfies CredentialState;
const maturing = {
  name: 'maturing',
  attempt,
  requestName: 'req-2',
  answer,
  until: now + minute,
} as const satisfies CredentialState;
const projecting = { name: 'projecting', attempt, answer, certificate } as const satisfies CredentialState;
const fresh = { name: 'fresh', keyType: 'ECDSAP256', current: certificate, trust } as const satisfies CredentialState;
const denied: Failure = { kind: 'denied', reason: 'Policy', message: 'not on a Sunday' };
const failed: Failure = { ...denied, kind: 'failed' };

function error(message: string, actor: Actor): Failure {
  return { kind: 'error', phase: 'request', error: new AgentError('Unavailable', message, { actor }) };
}

function waitsFor(state: CredentialState): Unready {
  return { source, credential: { source, state: () => state }, isStaged: false, missing: undefined };
}

const saidOf = (state: CredentialState): string => {
  const status = volumeStatus(record, [waitsFor(state)]);
  return status.type === 'ready' ? status.type : `${status.type}: ${status.message}`;
};

test('a volume of which nothing is missing is ready, and one waits for each of its sources, by field', () => {
  assert.deepEqual(volumeStatus(record, []), { type: 'ready' });
  const unasked: Unready = { source, credential: undefined, isStaged: false, missing: undefined };
  const anchors = (more: Partial<Unready>, of: Source = trustBundle(1, 'ca.pem')): Unready => ({
    ...unasked,
    ...{ source: of, ...more },
  });
  const said = (...parts: readonly Unready[]) => volumeStatus(record, parts);
  const named: Source = {
    ...{ kind: 'clusterTrustBundle', index: 2, optional: false, path: 'named.pem' },
    select: { by: 'name', name: 'roots' },
  };
  assert.deepEqual(said(unasked, anchors({}), anchors({}, named)), {
    type: 'waiting',
    message:
      'sources[0]: not asked for yet from signer example.com/mesh; ' +
      'sources[1]: looking for ClusterTrustBundles of signer example.com/mesh; ' +
      'sources[2]: looking for ClusterTrustBundle roots',
  });
  assert.deepEqual(said(anchors({ missing: 'there is none' })), {
    type: 'waiting',
    message: 'sources[1]: there is none',
  });
  assert.deepEqual(said(anchors({ missing: 'there is none', isStaged: true })), {
    type: 'waiting',
    message: 'sources[1]: its trust anchors are known, and are written with the other sources',
  });
});

test('a pod is told in each state what its certificate waits for, with the request that is under way', () => {
  const field = 'sources[0]: ';
  const [from, until] = [now + minute, now + minute].map((time) => new Date(time).toISOString());
  for (const [state, expected] of [
    [{ name: 'generating', attempt }, 'making a key for signer example.com/mesh'],
    [submitting, 'creating request shop/req-2 for signer example.com/mesh'],
    [{ ...submitting, waitsFor: 'a token' }, 'creating request shop/req-2 for signer example.com/mesh; a token'],
    [awaiting(), 'still waiting for signer example.com/mesh, request shop/req-2'],
    [awaiting({ hurdle: { turn: 'approver', text: 'somebody approves', detail: 'soon' } }), 'somebody approves'],
    [
      maturing,
      `signer example.com/mesh has answered; by this node's clock the certificate is not valid before ${from}, and is written at ${until}`,
    ],
    [projecting, 'signer example.com/mesh has answered; the certificate is written with the other sources'],
    [fresh, 'the certificate of signer example.com/mesh is being written'],
    [ended(), 'the pod has ended: it does not exist any more (it is looked for again)'],
    [ended({ why: 'finished' }), 'the pod has ended: its phase is Succeeded or Failed (it is looked for again)'],
  ] as const) {
    assert.equal(saidOf(state), `waiting: ${field}${expected}`, state.name);
  }
});

test('a pod is refused where somebody has to act, until all that failed has been tried again, and waits where it passes by itself', () => {
  const again = "(asked again without anybody's doing)";
  const signer = 'sources[0]: signer example.com/mesh:';
  for (const [failure, type, expected] of [
    [denied, 'refused', 'the request was denied: Policy: not on a Sunday'],
    [failed, 'refused', 'the signer failed: Policy: not on a Sunday'],
    [error('no such signer', 'pod author'), 'refused', 'no such signer'],
    [error('no answer', 'nobody'), 'waiting', 'no answer'],
    [{ kind: 'lost', why: 'deleted' }, 'waiting', 'the request was deleted before it was answered'],
    [{ kind: 'lost', why: 'unanswered' }, 'waiting', 'the request was not answered'],
    [
      { kind: 'lost', why: 'outdated' },
      'waiting',
      'the certificate ran out while it waited for the other sources of the volume',
    ],
  ] as const satisfies readonly (readonly [Failure, string, string])[]) {
    assert.equal(saidOf(pausing(failure)), `${type}: ${signer} ${expected} ${again}`);
  }
  assert.match(saidOf(pausing(error('refused at 2026-11-26T10:00:00Z', 'signer'))), /refused at … \(asked again/);
  const later = { ...pausing(denied), until: now + hour };
  const status = volumeStatus(record, [waitsFor(pausing(denied)), waitsFor(later), waitsFor(awaiting())]);
  assert.equal(status.type === 'refused' ? status.retryAt : undefined, now + hour);
});

const shown = (state: CredentialState, at = now) => credentialSnapshot(record, { source, state: () => state }, at);

test('a credential is shown with the dates of the certificate in its files, and of no other', () => {
  assert.deepEqual(shown(fresh), {
    ...{ volume: record, source: 0, signerName: 'example.com/mesh', keyType: 'ECDSAP256', state: 'fresh' },
    ...{ serialNumber: '0A', notBefore: certificate.notBefore, notAfter: certificate.notAfter },
    ...{ beginRefreshAt: certificate.beginRefreshAt, refreshAt: certificate.refreshAt, requestName: 'req-1' },
  });
  const first = shown(awaiting());
  assert.deepEqual(first, {
    ...{ volume: record, source: 0, signerName: 'example.com/mesh', keyType: 'ECDSAP256', state: 'not_yet_issued' },
    ...{ requestName: 'req-2', waitingSince: attempt.startedAt },
  });
});

test('a credential is shown with the request that is under way, where one is', () => {
  for (const [state, name] of [
    [{ name: 'generating', attempt }, undefined],
    [submitting, 'req-2'],
    [awaiting(), 'req-2'],
    [maturing, 'req-2'],
    [projecting, 'req-1'],
    [pausing(denied), undefined],
    [pausing(denied, {}, 'req-3'), 'req-3'],
    [fresh, 'req-1'],
    [ended({ current: certificate }), undefined],
  ] as const) {
    assert.equal(shown(state).requestName, name, state.name);
    assert.equal('requestName' in shown(state), name !== undefined, state.name);
  }
});

test('a first certificate is waited for since its volume was asked for, until it is on its way to the files', () => {
  const waiting = (of: Attempt): readonly CredentialState[] => [
    { name: 'generating', attempt: of },
    { name: 'submitting', attempt: of, requestName: 'req-2' },
    awaiting({ attempt: of }),
    { name: 'maturing', attempt: of, requestName: 'req-2', answer, until: now + minute },
    pausing(denied, of),
  ];
  for (const state of waiting(attempt)) {
    assert.equal(shown(state).waitingSince, attempt.startedAt, state.name);
  }
  for (const state of waiting({ ...attempt, current: certificate })) {
    assert.ok(!('waitingSince' in shown(state)), `${state.name}: a refresh is not waited for`);
  }
  for (const state of [projecting, fresh, ended()]) {
    assert.ok(!('waitingSince' in shown(state)), state.name);
  }
});

test('what the files hold counts first, then how the last attempt ended', () => {
  const state = (of: CredentialState, at = now): string => shown(of, at).state;
  const { notAfter, refreshAt } = certificate;
  const overdue = overdueTime(certificate, refreshAt);
  assert.equal(state(fresh, notAfter - 1), 'overdue_for_refresh');
  assert.equal(state(fresh, notAfter), 'expired');
  assert.equal(state(fresh, overdue - 1), 'fresh');
  assert.equal(state(fresh, overdue), 'overdue_for_refresh');
  assert.equal(state(ended({ current: certificate })), 'ended');
  assert.equal(state(ended({ current: certificate }), notAfter), 'expired');
  assert.equal(state(ended()), 'ended');
  assert.equal(state(pausing(denied, { current: certificate, lastFailure: denied })), 'fresh');
  assert.equal(state(pausing(denied, { lastFailure: denied })), 'denied');
  assert.equal(state(awaiting({ attempt: { ...attempt, lastFailure: failed } })), 'failed');
  const lost: Failure = { kind: 'lost', why: 'deleted' };
  assert.equal(state(pausing(lost, { lastFailure: lost })), 'not_yet_issued');
  const answered = { ...attempt, lastFailure: denied };
  for (const held of [
    { ...projecting, attempt: answered },
    { ...maturing, attempt: answered },
  ] as const) {
    assert.equal(state(held), 'not_yet_issued', held.name);
  }
});

test('how the last request was refused is shown until another answer comes, a refresh too', () => {
  const lost: Failure = { kind: 'lost', why: 'deleted' };
  for (const current of [undefined, certificate]) {
    const of = (lastFailure: Failure | undefined): Attempt => ({ ...attempt, current, lastFailure });
    const asking = (lastFailure: Failure): readonly CredentialState[] => [
      { name: 'generating', attempt: of(lastFailure) },
      { ...submitting, attempt: of(lastFailure) },
      awaiting({ attempt: of(lastFailure) }),
      pausing(lastFailure, of(lastFailure)),
    ];
    assert.deepEqual(
      [...asking(denied), ...asking(failed)].map((state) => shown(state).refusal?.outcome),
      [...Array(4).fill('denied'), ...Array(4).fill('failed')],
    );
    assert.equal(shown(pausing(denied, of(denied))).refusal?.reason, 'Policy');
    const others: readonly CredentialState[] = [
      ...asking(lost),
      { ...projecting, attempt: of(denied) },
      { ...maturing, attempt: of(denied) },
      fresh,
      ended(),
    ];
    for (const state of others) {
      assert.ok(!('refusal' in shown(state)), state.name);
    }
  }
});

test('what keeps a certificate from its refresh is shown in full, with when it is tried again', () => {
  const trouble = (of: CredentialState) => [shown(of).lastError, shown(of).nextAttemptAt];
  const last = { ...attempt, lastFailure: denied };
  const said = 'the request was denied: Policy: not on a Sunday';
  const again = `${said} (asked again now)`;
  const hurdle = { turn: 'approver', text: 'somebody approves' } as const;
  for (const [state, text, at] of [
    [pausing(denied), said, now + minute],
    [{ name: 'generating', attempt }, undefined, undefined],
    [{ name: 'generating', attempt: last }, again, undefined],
    [{ ...submitting, attempt: last }, again, undefined],
    [{ ...submitting, attempt: last, waitsFor: 'a token' }, 'a token', undefined],
    [awaiting({ attempt: last }), again, undefined],
    [awaiting({ attempt: last, hurdle }), hurdle.text, undefined],
    [awaiting({ hurdle: { ...hurdle, detail: 'soon' } }), `${hurdle.text}; it is said: soon`, undefined],
    [ended(), 'the pod has ended: it does not exist any more (it is looked for again)', now + minute],
    [projecting, undefined, undefined],
    [fresh, undefined, undefined],
  ] as const) {
    assert.deepEqual(trouble(state), [text, at], state.name);
    assert.deepEqual(
      ['lastError' in shown(state), 'nextAttemptAt' in shown(state)],
      [text !== undefined, at !== undefined],
    );
  }
  assert.match(String(shown(maturing).lastError), /^by this node's clock the certificate is not valid before/);
});

test('a moment that no date can express is shown as unknown, and keeps nobody from being shown', () => {
  const far = 9e15;
  const notYet = { ...maturing, answer: { ...answer, notBefore: far }, until: far };
  const said = "by this node's clock the certificate is not valid before unknown, and is written at unknown";
  assert.equal(shown(notYet).lastError, said);
  assert.equal(saidOf(notYet), `waiting: sources[0]: signer example.com/mesh has answered; ${said}`);
  const mismatch: Trust = { ...trust, verdict: 'mismatch', anchors: 1, mismatch: { since: far, refreshAt: far } };
  assert.match(String(shown({ ...fresh, trust: mismatch }).lastError), /in the volume, seen since unknown$/);
});

test('a chain that leads to none of its anchors is shown since when, beside whatever else is wrong', () => {
  const mismatch: Trust = {
    ...trust,
    verdict: 'mismatch',
    anchors: 1,
    mismatch: { since: now, refreshAt: now + hour },
  };
  const since = new Date(now).toISOString();
  const one = `the chain does not lead to the one trust anchor of signer example.com/mesh in the volume, seen since ${since}`;
  const snapshot = shown({ ...fresh, trust: mismatch });
  assert.deepEqual([snapshot.trustMismatchSince, snapshot.lastError, snapshot.refreshAt], [now, one, now + hour]);
  const both = pausing(denied, { current: certificate, trust: { ...mismatch, anchors: 2 } });
  assert.match(
    String(shown(both).lastError),
    /^the request was denied: .*; the chain does not lead to any of the 2 trust anchors of/,
  );
  for (const other of [
    { ...mismatch, verdict: 'leads' as const },
    { ...trust, verdict: 'mismatch' as const },
  ]) {
    const without = shown({ ...fresh, trust: other });
    assert.deepEqual(['trustMismatchSince' in without, without.lastError], [false, undefined]);
  }
});
