/** What a credential makes of what an earlier run left in its volume, where histories do not look. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspect } from 'node:util';
import { AgentError } from '../../../agent/base/errors.ts';
import { begin, retryTime, step, wakeTime } from '../../../agent/lifecycle/credential.ts';
import type { CredentialEvent, CredentialState, Found, Moment } from '../../../agent/lifecycle/credential-state.ts';
import type { CertificateRecord, PendingRequest } from '../../../volumes/base/volume.ts';
import { hour, minute } from './life.ts';

const now = Date.UTC(2026, 10, 21);
const validity = { serialNumber: '0A', notBefore: now, notAfter: now + 24 * hour, beginRefreshAt: now + 12 * hour };
const current: CertificateRecord = {
  ...validity,
  requestName: 'req-1',
  keyType: 'ED25519',
  refreshAt: now + 12.01 * hour,
};
const pending: PendingRequest = {
  requestName: 'req-1',
  keyType: 'ED25519',
  createdAt: now,
  answer: { ...validity, certificates: [Uint8Array.of(48)] },
};

const undecided: PendingRequest = { requestName: 'req-1', keyType: 'ED25519', createdAt: now };

test('a request that the files hold already is cleared away, and its drawn refresh time stays', () => {
  for (const left of [pending, undecided]) {
    const { state, effects } = begin('ED25519', { current, pending: left }, { now: now + hour, random: 0.9 });
    const trust = { earlyRefreshes: 0, isTold: false, verdict: 'unknown', anchors: 0 };
    assert.deepEqual(state, { name: 'fresh', keyType: 'ED25519', current, trust });
    assert.deepEqual(
      effects.map(({ type }) => type),
      ['discardPending', 'notify'],
    );
  }
});

test('an answer that the files do not hold yet is projected, beside a certificate that they do hold', () => {
  const next = { ...pending, requestName: 'req-2' };
  const { state, effects } = begin('ED25519', { current, pending: next }, { now: now + hour, random: 0.9 });
  assert.equal(state.name, 'projecting');
  assert.deepEqual(
    effects.map(({ type }) => type),
    ['notify', 'project'],
  );
});

test('a request of an earlier run goes on, and an answer that ran out meanwhile is as good as none', () => {
  const { answer } = pending;
  assert.ok(answer !== undefined, 'it is answered');
  const resumed = { type: 'notify', news: { type: 'resumed', requestName: 'req-1' } };
  const going = (left: PendingRequest, at: number) =>
    begin('ED25519', { current: undefined, pending: left }, { now: at, random: 0.5 }).effects;
  assert.deepEqual(going(undecided, now), [resumed, { type: 'submit', requestName: 'req-1', priority: 'first' }]);
  assert.deepEqual(
    going(pending, answer.notAfter - 1).map((effect) => (effect.type === 'notify' ? effect : effect.type)),
    [resumed, 'project'],
  );
  assert.deepEqual(going(pending, answer.notAfter), [
    { type: 'discardPending' },
    { type: 'makeKey', keyType: 'ED25519' },
  ]);
});

test('a refresh in the last tenth of the lifetime is told with the first certificate, and with none after it', () => {
  const late = { ...validity, beginRefreshAt: validity.notAfter - 2 * hour };
  const told = (found: Found) => {
    const { state } = begin('ED25519', found, { now: now + minute, random: 0.5 });
    const { effects } = step(state, { type: 'written' }, { now: now + minute, random: 0.5 });
    return effects.flatMap((effect) =>
      effect.type === 'notify' && effect.news.type === 'projected' ? [effect.news.isRefreshLate ?? false] : [],
    );
  };
  const answered = (dates: typeof validity): PendingRequest => ({
    ...pending,
    requestName: 'req-2',
    answer: { ...dates, certificates: [Uint8Array.of(48)] },
  });
  assert.deepEqual(told({ current: undefined, pending: answered(late) }), [true]);
  assert.deepEqual(told({ current: undefined, pending: answered(validity) }), [false]);
  assert.deepEqual(told({ current, pending: answered(late) }), [false], 'a renewal');
  assert.deepEqual(told({ current, pending: undefined }), [], 'an adopted one');
});

test('a request that the API server judged invalid is woken every ten seconds at most', () => {
  const failed = (code: 'Rejected' | 'Forbidden'): CredentialState => {
    const error = new AgentError(code, 'no', { actor: 'cluster operator' });
    const submitting = begin('ED25519', { current: undefined, pending: undecided }, { now, random: 0.5 }).state;
    return [1, 2, 3].reduce((state) => {
      const { state: paused } = step(
        state,
        { type: 'submitFailed', requestName: undecided.requestName, error },
        { now, random: 0.5 },
      );
      const { state: next } = step(paused, { type: 'timer' }, { now: retryTime(paused) ?? now, random: 0.5 });
      return next;
    }, submitting);
  };
  for (const [code, earliest] of [
    ['Rejected', 10_000],
    ['Forbidden', 1000],
  ] as const) {
    const error = new AgentError(code, 'no', { actor: 'cluster operator' });
    const { state: paused } = step(
      failed(code),
      { type: 'submitFailed', requestName: undecided.requestName, error },
      { now, random: 0.5 },
    );
    const { state: woken } = step(paused, { type: 'retryNow' }, { now: now + 100, random: 0.5 });
    assert.equal(retryTime(woken), now + earliest, code);
  }
});

test('a refresh time at notAfter or beyond that an earlier run left is brought forward', () => {
  for (const beyond of [0, hour]) {
    const late = { ...current, refreshAt: current.notAfter + beyond };
    const { state } = begin('ED25519', { current: late, pending: undefined }, { now: now + hour, random: 0.5 });
    assert.ok(state.name === 'fresh' && state.current.refreshAt < state.current.notAfter, inspect(state));
  }
});

test('what a request waits for is told once it has lasted, again when it changes, and ever more seldom', () => {
  const submitting = begin('ED25519', { current: undefined, pending: undecided }, { now, random: 0.5 }).state;
  let state = step(submitting, { type: 'submitted', requestName: undecided.requestName }, { now, random: 0.5 }).state;
  const told: string[] = [];
  const happen = (event: CredentialEvent, afterMs: number): void => {
    const { state: next, effects } = step(state, event, { now: now + afterMs, random: 0.5 });
    state = next;
    for (const effect of effects) {
      if (effect.type === 'notify' && effect.news.type === 'waitingForSigner') {
        told.push(`${afterMs / 1000} ${effect.news.hurdle?.text}${effect.news.again === true ? ' again' : ''}`);
      }
    }
  };
  const hindered = (text: string): CredentialEvent => ({ type: 'hindered', hurdle: { turn: 'approver', text } });
  happen(hindered('no approval'), 100);
  assert.deepEqual(told, [], 'what passes at once is not told');
  assert.equal(wakeTime(state), now + 10_000);
  happen({ type: 'timer' }, 10_000);
  happen({ type: 'timer' }, 15_000);
  happen(hindered('no approval'), 30_000);
  assert.deepEqual(told, ['10 no approval']);
  happen(hindered('no signature'), 31_000);
  assert.deepEqual(told.slice(1), ['31 no signature again']);
  for (let second = 32; second < 600; second += 1) {
    happen(hindered(`change ${second}`), second * 1000);
  }
  assert.deepEqual(told.slice(2), [
    '62 change 62 again',
    '124 change 124 again',
    '248 change 248 again',
    '496 change 496 again',
  ]);
});

test('a request that somebody has to approve keeps its name for a day, and its signer then has the usual time', () => {
  const submitting = begin('ED25519', { current: undefined, pending: undecided }, { now, random: 0.5 }).state;
  const at = (ms: number): Moment => ({ now: now + ms, random: 0.5 });
  let { state } = step(submitting, { type: 'submitted', requestName: undecided.requestName }, at(0));
  const giveUpAt = (): number => (state.name === 'awaiting' ? state.giveUpAt - now : Number.NaN);
  assert.equal(giveUpAt(), hour / 3);
  for (const [ms, text] of [
    [1000, 'no approval'],
    [hour, 'no approval, and again'],
  ] as const) {
    state = step(state, { type: 'hindered', hurdle: { turn: 'approver', text } }, at(ms)).state;
    assert.equal(giveUpAt(), 1000 + 24 * hour, 'other words about the same thing win no time');
  }
  state = step(state, { type: 'hindered', hurdle: { turn: 'signer', text: 'no signature' } }, at(5 * hour)).state;
  assert.equal(giveUpAt(), 5 * hour + hour / 3);
});

test('a refusal of an earlier run counts until its pause is over, and not where the clock says nothing about it', () => {
  const setback = {
    kind: 'unusable',
    reason: '',
    message: 'no chain',
    failures: 3,
    at: now,
    until: now + minute,
  } as const;
  const beginning = (afterMs: number, found: Partial<Found>) =>
    begin(
      'ED25519',
      { current: undefined, pending: undefined, setback, ...found },
      { now: now + afterMs, random: 0.5 },
    );
  const { state: early, effects: none } = beginning(minute / 2, {});
  assert.deepEqual(none, [], 'it was told');
  assert.ok(early.name === 'pausing' && early.until === now + minute && early.attempt.failures === 3, early.name);
  const late = beginning(minute, {}).state;
  assert.ok(late.name === 'generating' && late.attempt.failures === 3, late.name);
  assert.equal(beginning(0, {}).state.name, 'pausing');
  assert.equal(beginning(-1, {}).state.name, 'generating');
  assert.equal(beginning(minute / 2, { current }).state.name, 'fresh', 'a certificate that is not due has time');
  const due = { ...current, refreshAt: now + minute / 2 };
  const { state, effects } = beginning(minute / 2, { current: due });
  assert.ok(state.name === 'pausing' && state.attempt.current === due, state.name);
  assert.deepEqual(
    effects.map(({ type }) => type),
    ['notify'],
  );
  assert.equal(beginning(minute / 2, { pending: undecided }).state.name, 'submitting', 'a request under way goes on');
});
