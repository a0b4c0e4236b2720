/** Which happenings end which pauses, and when: as a table, without any volume. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AgentError, type ErrorCode } from '../../../agent/base/errors.ts';
import type { Attempt, CredentialState, Failure, TrustVerdict } from '../../../agent/lifecycle/credential-state.ts';
import type { Phase } from '../../../agent/lifecycle/notices.ts';
import { isAsking, isHelpedLater, type Relief, relievedAt } from '../../../agent/lifecycle/relief.ts';
import { attempt, certificate, hour, minute, now, podCertificate, trust } from './plain.ts';

const at = { now, random: 0 };
const source = podCertificate(0, 'tls.pem');
const current = certificate;

const reliefs = {
  rules: { type: 'rulesChanged' },
  heard: { type: 'apiServerHeard' },
  answered: { type: 'signerAnswered', signerName: 'example.com/mesh' },
  answeredOther: { type: 'signerAnswered', signerName: 'example.com/other' },
  bundle: { type: 'bundleArrived', signerName: 'example.com/mesh' },
  bundleOther: { type: 'bundleArrived', signerName: 'example.com/other' },
  bundleByName: { type: 'bundleArrived', signerName: undefined },
  wanted: { type: 'podWanted' },
  tokens: { type: 'tokensHandedOver' },
  operator: { type: 'operatorAsks' },
} as const satisfies Record<string, Relief>;

function pausing(failure: Failure, changes: Partial<Attempt> = {}): CredentialState {
  return {
    name: 'pausing',
    attempt: { ...attempt, ...changes },
    until: now + 5 * minute,
    failure,
    resubmit: undefined,
  };
}

function failed(code: ErrorCode, phase: Phase): Failure {
  return { kind: 'error', phase, error: new AgentError(code, 'as it is', { actor: 'nobody' }) };
}

/** The names of the reliefs that help in a state. */
function helpIn(state: CredentialState): readonly string[] {
  return Object.entries(reliefs).flatMap(([name, relief]) =>
    relievedAt(relief, source, state, at) === undefined ? [] : [name],
  );
}

test('a pause is ended by what may have mended its cause, by the operator always, and by nothing else', () => {
  const bySigner = ['answered', 'bundle', 'bundleByName', 'operator'];
  const byServer = ['heard', 'operator'];
  const denied = { kind: 'denied', reason: 'Policy', message: 'no' } as const;
  const table: readonly (readonly [Failure, readonly string[]])[] = [
    [denied, bySigner],
    [{ ...denied, kind: 'failed' }, bySigner],
    [{ kind: 'lost', why: 'unanswered' }, bySigner],
    [failed('InvalidChain', 'signer'), bySigner],
    [failed('Unavailable', 'request'), byServer],
    [failed('Forbidden', 'request'), byServer],
    [failed('Conflict', 'request'), byServer],
    [failed('ApiMissing', 'request'), ['rules', ...byServer]],
    [failed('AccountForbidden', 'request'), ['rules', ...byServer]],
    [failed('TokenMissing', 'request'), ['rules', 'heard', 'tokens', 'operator']],
    [failed('SignerNotAllowed', 'request'), ['rules', 'operator']],
    [failed('Rejected', 'request'), ['rules', 'operator']],
    [failed('Internal', 'key'), ['operator']],
    [failed('Unavailable', 'write'), ['operator']],
  ];
  for (const [failure, expected] of table) {
    const what = failure.kind === 'error' ? `${failure.error.code} in ${failure.phase}` : failure.kind;
    assert.deepEqual(helpIn(pausing(failure)), expected, what);
  }
});

test('only a publish call revives a pod that has ended, and only an operator hurries a refresh for a mismatch', () => {
  const ended: CredentialState = {
    ...{ name: 'ended', keyType: 'ECDSAP256', current, trust, warned: 'nothing', why: 'gone' },
    ...{ since: now - hour, recheckAt: now + minute, checks: 1 },
  };
  const fresh = (verdict: TrustVerdict): CredentialState => ({
    ...{ name: 'fresh', keyType: 'ECDSAP256', current },
    trust: { ...trust, verdict },
  });
  assert.deepEqual(helpIn(ended), ['wanted']);
  assert.deepEqual(helpIn(fresh('mismatch')), ['operator']);
  assert.deepEqual(helpIn(fresh('leads')), []);
  assert.deepEqual(helpIn(fresh('unknown')), []);
  assert.deepEqual(helpIn({ name: 'generating', attempt }), [], 'an attempt is under way');
});

test('what the whole cluster notices at once is asked in turn after a long outage, and at once after a short one', () => {
  const outage = (failingForMs: number): CredentialState =>
    pausing(failed('Unavailable', 'request'), { current, failingSince: now - failingForMs });
  assert.equal(relievedAt(reliefs.heard, source, outage(10 * minute), at), now);
  assert.equal(relievedAt(reliefs.heard, source, outage(20 * minute), at), now + 10 * minute);
  assert.equal(relievedAt(reliefs.heard, source, pausing(failed('Unavailable', 'request'), { current }), at), now);
  const first = pausing(failed('Unavailable', 'request'), { failingSince: now - hour });
  assert.equal(relievedAt(reliefs.heard, source, first, at), now, 'a pod that waits for its first has nothing to lose');
  assert.equal(relievedAt(reliefs.operator, source, outage(hour), at), now);
});

test('a refusal counts for half a minute although the signer answers others, and a bundle that arrives ends that', () => {
  const refused = (sinceMs: number, failingForMs: number): CredentialState =>
    pausing({ kind: 'lost', why: 'deleted' }, { current, since: now - sinceMs, failingSince: now - failingForMs });
  assert.equal(relievedAt(reliefs.answered, source, refused(1_000, minute), at), now + 29_000);
  assert.equal(relievedAt(reliefs.answered, source, refused(minute, minute), at), now);
  assert.equal(relievedAt(reliefs.answered, source, refused(1_000, hour), at), now + 30 * minute);
  assert.equal(relievedAt(reliefs.bundle, source, refused(1_000, minute), at), now);
});

test('an attempt that is on its way may still fail for what was mended meanwhile: of that it is told afterwards', () => {
  const asking: readonly CredentialState[] = [
    { name: 'generating', attempt },
    { name: 'submitting', attempt, requestName: 'req-2' },
  ];
  const later = (state: CredentialState): readonly string[] =>
    Object.entries(reliefs).flatMap(([name, relief]) => (isHelpedLater(relief, state) ? [name] : []));
  for (const state of asking) {
    assert.ok(isAsking(state), `${state.name} is not under way`);
    assert.deepEqual(later(state), ['rules', 'heard', 'tokens'], state.name);
  }
  const waiting = pausing(failed('Unavailable', 'request'));
  assert.ok(!isAsking(waiting), 'a pause asks nobody');
  assert.deepEqual(later(waiting), []);
});
