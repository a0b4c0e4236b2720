/** The end of a credential with its pod, and what happens when whoever said so was wrong. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Effect } from '../../../agent/lifecycle/credential-state.ts';
import {
  begins,
  current,
  hour,
  type Life,
  lifeIn,
  lifeOf,
  newsIn,
  overdueAfter,
  refreshAfter,
  second,
  stateNames,
  unknown,
} from './life.ts';

const looks = (effects: readonly Effect[]): number => effects.filter(({ type }) => type === 'checkPod').length;

/** A life whose pod ends so long after its beginning. */
function ended(life: Life, afterMs: number): Life {
  life.happens({ type: 'podEnded', why: 'gone' }, afterMs);
  return life;
}

test('a pod that ends ends what is under way, keeps its certificate, and is looked for again', () => {
  const { notAfter } = current;
  const recheckAt = begins + refreshAfter + 10 * second;
  for (const name of stateNames.filter((one) => one !== 'ended')) {
    const life = lifeIn(name);
    assert.deepEqual(
      life.happens({ type: 'podEnded', why: 'finished' }, refreshAfter),
      [
        { type: 'unfollow' },
        { type: 'discardPending' },
        { type: 'notify', news: { type: 'podEnded', why: 'finished', notAfter, recheckAt } },
      ],
      name,
    );
    const since = begins + refreshAfter;
    assert.deepEqual(
      life.state(),
      {
        ...{ name: 'ended', keyType: 'ED25519', current, trust: unknown, warned: 'nothing', why: 'finished' },
        ...{ since, recheckAt, checks: 0 },
      },
      name,
    );
    assert.deepEqual(life.happens({ type: 'podEnded', why: 'gone' }, refreshAfter), [], 'it ends once');
  }
  const [told] = newsIn(lifeOf().happens({ type: 'podEnded', why: 'gone' }, 0));
  assert.deepEqual(told, { type: 'podEnded', why: 'gone', recheckAt: begins + 10 * second }, 'without a certificate');
});

test('the pod is looked for ever more seldom, and at once where the wall clock is set back', () => {
  const life = ended(lifeOf(), 0);
  assert.deepEqual(life.happens({ type: 'timer' }, second), []);
  const seen: number[] = [];
  for (let after = 0; after <= 160; after += 1) {
    if (looks(life.happens({ type: 'timer' }, after * second)) > 0) {
      seen.push(after);
    }
  }
  assert.deepEqual(seen, [10, 30, 70, 150]);
  assert.equal(life.wakesAfter(), 310 * second);
  assert.equal(looks(life.happens({ type: 'timer' }, 150 * second)), 0, 'it was the last look');
  assert.equal(looks(life.happens({ type: 'timer' }, 150 * second - 1)), 1);
});

test('whoever asks for a look gets it, a second after the last one', () => {
  const life = ended(lifeOf(), 0);
  assert.equal(looks(life.happens({ type: 'retryNow' }, 400)), 0);
  assert.equal(life.wakesAfter(), second);
  assert.equal(looks(life.happens({ type: 'retryNow' }, second)), 1);
  assert.equal(life.wakesAfter(), 21 * second);
});

test('that the certificate of a pod that counts as ended runs out is told once, and only where there is one', () => {
  const expired = { type: 'expired', notAfter: current.notAfter, podEnded: 'gone' } as const;
  const life = ended(lifeOf({ current }), 24 * hour - 5 * second);
  assert.equal(life.wakesAfter(), 24 * hour);
  const told = [24 * hour - 1, 24 * hour, 24 * hour + second].map((after) =>
    newsIn(life.happens({ type: 'timer' }, after)),
  );
  assert.deepEqual(told, [[], [expired], []]);
  assert.equal(life.wakesAfter(), 24 * hour + 5 * second);
  const before = lifeIn('generating');
  before.happens({ type: 'timer' }, 24 * hour);
  ended(before, 24 * hour + second);
  assert.equal(before.wakesAfter(), 24 * hour + 11 * second, 'it was told before');
  assert.deepEqual(newsIn(before.happens({ type: 'timer' }, 24 * hour + second)), []);
  assert.deepEqual(newsIn(ended(lifeOf(), 0).happens({ type: 'timer' }, 48 * hour)), []);
});

test('a pod that lives after all keeps its certificate until that is due, and gets one where it has none', () => {
  const lives = { type: 'notify', news: { type: 'podLives' } };
  const making = { type: 'makeKey', keyType: 'ED25519' };
  const trust = { earlyRefreshes: 1, isTold: true };
  const early = ended(lifeOf({ current, trust }), hour);
  assert.deepEqual(early.happens({ type: 'podLives' }, refreshAfter - 1), [lives]);
  const known = { ...trust, verdict: 'unknown', anchors: 0 };
  assert.deepEqual(early.state(), { name: 'fresh', keyType: 'ED25519', current, trust: known });
  assert.deepEqual(ended(lifeOf({ current }), hour).happens({ type: 'podLives' }, refreshAfter), [lives, making]);
  assert.deepEqual(ended(lifeOf(), 0).happens({ type: 'podLives' }, hour), [lives, making]);
});

test('what was said of a certificate before its pod counted as ended is not said again once it lives', () => {
  const life = lifeIn('generating');
  life.happens({ type: 'timer' }, overdueAfter);
  ended(life, overdueAfter + second);
  life.happens({ type: 'podLives' }, overdueAfter + 2 * second);
  assert.deepEqual(newsIn(life.happens({ type: 'timer' }, overdueAfter + 3 * second)), []);
});
