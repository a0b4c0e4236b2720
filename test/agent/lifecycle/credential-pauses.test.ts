/** What follows a failure of one credential: what is told and kept of it, how long the pause is, and how it ends. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AgentError } from '../../../agent/base/errors.ts';
import { retryTime } from '../../../agent/lifecycle/credential.ts';
import type { CredentialEvent } from '../../../agent/lifecycle/credential-state.ts';
import type { Setback } from '../../../volumes/base/volume.ts';
import {
  answer,
  begins,
  current,
  hour,
  type Life,
  lifeIn,
  lifeOf,
  minute,
  newsIn,
  refreshAfter,
  second,
  unavailable,
} from './life.ts';

const unusable = new AgentError('InvalidChain', 'no chain', { actor: 'signer' });
const refused = (kind: 'denied' | 'failed'): CredentialEvent => ({
  ...{ type: 'refused', kind, reason: 'Policy', message: 'no', followSuggestion: false },
});

test('how a request came to nothing is told with when the next comes, and a refusal is kept beyond a restart', () => {
  const requestName = 'req-2';
  const at = begins + refreshAfter;
  const after = (ms: number) => ({ failures: 1, at, until: at + ms });
  const cases: readonly (readonly [CredentialEvent, number, object, object | undefined])[] = [
    [
      refused('denied'),
      10 * second,
      { type: 'denied', requestName, reason: 'Policy', message: 'no' },
      { kind: 'denied', reason: 'Policy', message: 'no' },
    ],
    [
      refused('failed'),
      10 * second,
      { type: 'failed', requestName, reason: 'Policy', message: 'no' },
      { kind: 'failed', reason: 'Policy', message: 'no' },
    ],
    [
      { type: 'unusable', error: unusable },
      10 * second,
      { type: 'attemptFailed', phase: 'signer', error: unusable },
      { kind: 'unusable', reason: '', message: 'no chain' },
    ],
    [{ type: 'deleted' }, second, { type: 'requestLost', requestName, why: 'deleted' }, undefined],
  ];
  for (const [event, ms, news, kept] of cases) {
    const life = lifeIn('awaiting');
    const saved = kept === undefined ? [] : [{ type: 'saveSetback', setback: { ...kept, ...after(ms) } }];
    assert.deepEqual(life.happens(event, refreshAfter), [
      { type: 'discardPending' },
      ...saved,
      { type: 'notify', news: { ...news, retryAt: at + ms } },
    ]);
    assert.equal(retryTime(life.state()), at + ms);
    assert.equal(life.wakesAfter(), refreshAfter + ms);
  }
});

/** Lets an attempt fail again and again, each as soon as the one before allows. @returns the pauses, in milliseconds */
function pauses(life: Life, event: CredentialEvent, count: number): readonly number[] {
  let after = refreshAfter;
  return Array.from({ length: count }, () => {
    life.happens(event, after);
    const next = (retryTime(life.state()) ?? Number.NaN) - begins;
    const pause = next - after;
    after = next;
    life.happens({ type: 'timer' }, after);
    return pause;
  });
}

test('pauses grow with failures in a row, from a second where nobody has to act and from ten where somebody has', () => {
  const failing = (actor: 'nobody' | 'signer'): CredentialEvent => ({
    ...{ type: 'keyFailed', error: new AgentError('Unavailable', 'no', { actor }) },
  });
  assert.deepEqual(
    pauses(lifeIn('generating'), failing('nobody'), 4),
    [1, 2, 4, 8].map((each) => each * second),
  );
  assert.deepEqual(
    pauses(lifeIn('generating'), failing('signer'), 3),
    [10, 20, 40].map((each) => each * second),
  );
});

test('while a certificate is valid a pause is at most a tenth of what it has left', () => {
  const left = (ms: number) => {
    const life = lifeIn('awaiting');
    life.happens(refused('denied'), 24 * hour - ms);
    return (retryTime(life.state()) ?? Number.NaN) - (begins + 24 * hour - ms);
  };
  assert.deepEqual([left(hour), left(50 * second)], [10 * second, 5 * second]);
});

test('the other side is spared for as long as it asks, and a refresh that has failed for long comes more seldom', () => {
  const asking = new AgentError('Unavailable', 'later', { actor: 'nobody', retryAfterMs: minute });
  assert.deepEqual(pauses(lifeIn('generating'), { type: 'keyFailed', error: asking }, 1), [minute]);
  const life = lifeIn('generating');
  life.happens({ type: 'keyFailed', error: unavailable }, refreshAfter);
  life.happens({ type: 'timer' }, refreshAfter + 10 * minute);
  life.happens({ type: 'keyFailed', error: unavailable }, refreshAfter + 10 * minute);
  assert.equal(retryTime(life.state()), begins + refreshAfter + 10 * minute + 2 * second);
  life.happens({ type: 'timer' }, refreshAfter + 20 * minute);
  life.happens({ type: 'keyFailed', error: unavailable }, refreshAfter + 20 * minute);
  assert.equal(retryTime(life.state()), begins + refreshAfter + 60 * minute, 'twice as long as it has failed');
});

test('a pause lasts until its end, and is over where the wall clock is set back to before it', () => {
  for (const [after, isOver] of [
    [refreshAfter, false],
    [refreshAfter + second - 1, false],
    [refreshAfter + second, true],
    [refreshAfter - 1, true],
  ] as const) {
    const life = lifeIn('pausing');
    const effects = life.happens({ type: 'timer' }, after);
    assert.deepEqual(effects, isOver ? [{ type: 'makeKey', keyType: 'ED25519' }] : [], String(after - refreshAfter));
    assert.equal(life.state().name, isOver ? 'generating' : 'pausing');
  }
});

test('whoever cuts a pause short leaves it a second, or what is left of it, and wakes nothing else', () => {
  const denied = (): Life => {
    const life = lifeIn('awaiting');
    life.happens(refused('denied'), refreshAfter);
    return life;
  };
  const early = denied();
  assert.deepEqual(early.happens({ type: 'retryNow' }, refreshAfter + 400), []);
  assert.equal(early.wakesAfter(), refreshAfter + second);
  assert.equal(denied().happens({ type: 'retryNow' }, refreshAfter + second)[0]?.type, 'makeKey');
  const short = lifeIn('generating');
  short.happens({ type: 'keyFailed', error: unavailable }, refreshAfter, 0);
  assert.equal(short.wakesAfter(), refreshAfter + 800);
  assert.deepEqual(short.happens({ type: 'retryNow' }, refreshAfter + 1), []);
  assert.equal(short.wakesAfter(), refreshAfter + 800);
  for (const name of ['generating', 'submitting', 'awaiting', 'maturing', 'projecting', 'fresh'] as const) {
    const life = lifeIn(name);
    const before = life.state();
    assert.deepEqual(life.happens({ type: 'retryNow' }, refreshAfter + second), [], name);
    assert.equal(life.state(), before, name);
  }
});

test('a pause in which a certificate runs out tells that first', () => {
  const life = lifeIn('pausing');
  assert.deepEqual(life.happens({ type: 'timer' }, 24 * hour), [
    { type: 'notify', news: { type: 'expired', notAfter: current.notAfter } },
    { type: 'makeKey', keyType: 'ED25519' },
  ]);
});

test('a suggested key type is tried at once the first time, later at the pace of failures, and only where that is wanted', () => {
  const suggesting = (followSuggestion: boolean): CredentialEvent => ({
    ...{ type: 'refused', kind: 'denied', reason: 'UnsupportedKeyType', message: 'no', followSuggestion },
    suggested: 'ECDSAP256',
  });
  const told = (followed: boolean) => ({ type: 'keyTypeSuggested', suggested: 'ECDSAP256', followed });
  const denied = { type: 'denied', requestName: 'req-2', reason: 'UnsupportedKeyType', message: 'no' };

  const life = lifeIn('awaiting');
  const effects = life.happens(suggesting(true), refreshAfter);
  const retryAt = begins + refreshAfter + 10 * second;
  assert.deepEqual(newsIn(effects), [{ ...denied, retryAt }, told(true)]);
  assert.deepEqual(effects.at(-1), { type: 'makeKey', keyType: 'ECDSAP256' });
  life.happens({ type: 'keyMade', requestName: 'req-2' }, refreshAfter);
  life.happens({ type: 'submitted', requestName: 'req-2' }, refreshAfter);
  const again = life.happens(suggesting(true), refreshAfter);
  const later = begins + refreshAfter + 20 * second;
  assert.deepEqual(newsIn(again), [{ ...denied, retryAt: later }, told(true)]);
  assert.equal(life.state().name, 'pausing');
  assert.deepEqual(life.happens({ type: 'timer' }, refreshAfter + 20 * second), [
    { type: 'makeKey', keyType: 'ECDSAP256' },
  ]);

  const keeping = lifeIn('awaiting');
  assert.deepEqual(newsIn(keeping.happens(suggesting(false), refreshAfter)), [{ ...denied, retryAt }, told(false)]);
  assert.deepEqual(keeping.happens({ type: 'timer' }, refreshAfter + 10 * second), [
    { type: 'makeKey', keyType: 'ED25519' },
  ]);
});

test('a refusal of an earlier run is known as what it was, and the next one is counted with it', () => {
  const counted = { failures: 3, at: begins, until: begins + minute };
  const lasting: readonly (readonly [Setback, object])[] = [
    [
      { kind: 'denied', reason: 'Policy', message: 'no', ...counted },
      { kind: 'denied', reason: 'Policy', message: 'no' },
    ],
    [
      { kind: 'failed', reason: 'Hsm', message: 'away', ...counted },
      { kind: 'failed', reason: 'Hsm', message: 'away' },
    ],
    [
      { kind: 'unusable', reason: '', message: 'no chain', ...counted },
      { kind: 'error', phase: 'signer', error: unusable },
    ],
  ];
  for (const [setback, failure] of lasting) {
    const paused = lifeOf({ setback }, minute / 2);
    const state = paused.state();
    assert.ok(state.name === 'pausing', state.name);
    const { attempt, ...rest } = state;
    assert.deepEqual(rest, { name: 'pausing', until: begins + minute, failure, resubmit: undefined });
    assert.deepEqual([attempt.failures, attempt.lastFailure, attempt.since], [3, failure, begins]);
    assert.deepEqual(paused.happens({ type: 'timer' }, minute), [{ type: 'makeKey', keyType: 'ED25519' }]);
    const over = lifeOf({ setback }, minute).state();
    assert.ok(over.name === 'generating', over.name);
    assert.deepEqual([over.attempt.failures, over.attempt.lastFailure], [3, failure]);
  }
  const [[setback] = []] = lasting;
  const life = lifeOf({ setback }, minute);
  assert.deepEqual(pauses(life, { type: 'keyFailed', error: unavailable }, 1), [8 * second]);
});

test('a certificate in the files ends the count of failures', () => {
  const life = lifeIn('awaiting');
  life.happens(refused('denied'), refreshAfter);
  let after = refreshAfter + 10 * second;
  life.happens({ type: 'timer' }, after);
  life.happens({ type: 'keyMade', requestName: 'req-3' }, after);
  life.happens({ type: 'submitted', requestName: 'req-3' }, after);
  life.happens({ type: 'accepted', answer }, after);
  life.happens({ type: 'written' }, after);
  after = (life.wakesAfter() ?? Number.NaN) + 1;
  life.happens({ type: 'timer' }, after);
  life.happens({ type: 'keyFailed', error: unavailable }, after);
  assert.equal(retryTime(life.state()), begins + after + second);
});
