/**
 * What one credential does about a chain that leads to none of its signer's anchors: what is drawn, kept, told and counted.
 * Certificates are of a day, and times are drawn with 0.5.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { trustOf } from '../../../agent/lifecycle/credential.ts';
import type { CredentialEvent, Effect, TrustVerdict } from '../../../agent/lifecycle/credential-state.ts';
import type { TrustRecord } from '../../../volumes/base/volume.ts';
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
} from './life.ts';

const judged = (verdict: TrustVerdict, anchors = 2): CredentialEvent => ({ type: 'trustJudged', verdict, anchors });
const makeKey = { type: 'makeKey', keyType: 'ED25519' };
/** From a mismatch that is seen to when it is told, and to the refresh for it. */
const told = 3.5 * minute;
const early = 16 * minute;
const seen = hour;
const mismatch = { since: begins + seen, tellAt: begins + seen + told, refreshAt: begins + seen + early };
const { tellAt: _, ...toldMismatch } = mismatch;

const saved = (trust: TrustRecord) => ({ type: 'saveTrust', trust });
const counts = (effects: readonly Effect[]): readonly number[] =>
  effects.flatMap((effect) => (effect.type === 'saveTrust' ? [effect.trust.earlyRefreshes] : []));

/** A credential at rest whose mismatch was seen. @param found what an earlier run left */
function mismatched(found?: TrustRecord): Life {
  const life = lifeOf({ current, trust: found });
  life.happens(judged('mismatch'), seen);
  return life;
}

test('the times of a mismatch are drawn and kept when it is seen first, and stay when it is seen again', () => {
  const life = lifeOf({ current });
  assert.deepEqual(life.happens(judged('mismatch'), seen), [saved({ earlyRefreshes: 0, isTold: false, mismatch })]);
  assert.deepEqual(life.happens(judged('mismatch', 3), seen + minute), []);
  assert.deepEqual(trustOf(life.state()), {
    ...{ earlyRefreshes: 0, isTold: false, mismatch, verdict: 'mismatch', anchors: 3 },
  });
  assert.equal(life.wakesAfter(), seen + told);
});

test('a mismatch that lasts is told once, and its certificate is renewed early', () => {
  const life = mismatched();
  assert.deepEqual(life.happens({ type: 'timer' }, seen + told - 1), []);
  const news = { type: 'trustMismatch', anchors: 2, since: mismatch.since, refreshAt: mismatch.refreshAt };
  assert.deepEqual(life.happens({ type: 'timer' }, seen + told), [
    saved({ earlyRefreshes: 0, isTold: true, mismatch: toldMismatch }),
    { type: 'notify', news },
  ]);
  assert.deepEqual(life.happens({ type: 'timer' }, seen + told + 1), []);
  assert.equal(life.wakesAfter(), seen + early);
  assert.deepEqual(life.happens({ type: 'timer' }, seen + early - 1), []);
  assert.deepEqual(life.happens({ type: 'timer' }, seen + early), [
    saved({ earlyRefreshes: 1, isTold: true, mismatch: toldMismatch }),
    makeKey,
  ]);
});

test('an agent that slept through the time to tell tells before it renews', () => {
  const news = { type: 'trustMismatch', anchors: 2, since: mismatch.since, refreshAt: begins + 2 * hour };
  assert.deepEqual(mismatched().happens({ type: 'timer' }, 2 * hour), [
    saved({ earlyRefreshes: 0, isTold: true, mismatch: toldMismatch }),
    { type: 'notify', news },
    saved({ earlyRefreshes: 1, isTold: true, mismatch: toldMismatch }),
    makeKey,
  ]);
});

/** Lets the refresh that is under way come into the files. */
function renewed(life: Life, afterMs: number): readonly Effect[] {
  life.happens({ type: 'keyMade', requestName: 'req-2' }, afterMs);
  life.happens({ type: 'submitted', requestName: 'req-2' }, afterMs);
  life.happens({ type: 'accepted', answer: { ...answer, notAfter: begins + 25 * hour } }, afterMs);
  return life.happens({ type: 'written' }, afterMs);
}

test('a renewed certificate begins without a verdict, and a mismatch of it too waits for longer', () => {
  const life = mismatched();
  life.happens({ type: 'timer' }, seen + told);
  life.happens({ type: 'timer' }, seen + early);
  const kept = { earlyRefreshes: 1, isTold: true };
  assert.deepEqual(renewed(life, 2 * hour)[0], saved(kept));
  assert.deepEqual(trustOf(life.state()), { ...kept, verdict: 'unknown', anchors: 0 });
  life.happens(judged('mismatch'), 2 * hour);
  const again = trustOf(life.state()).mismatch;
  assert.equal(again?.refreshAt, begins + 2 * hour + 46 * minute);
});

test('of what was neither told nor counted nothing is kept beyond its certificate, and of either all is', () => {
  for (const [trust, isKept] of [
    [{ earlyRefreshes: 0, isTold: false }, false],
    [{ earlyRefreshes: 1, isTold: false }, true],
    [{ earlyRefreshes: 0, isTold: true }, true],
  ] as const) {
    // Beside a mismatch a refresh that comes at its own time leaves the count as it is.
    const life = lifeOf({ current, trust });
    life.happens(judged('mismatch'), refreshAfter - 1);
    life.happens({ type: 'timer' }, refreshAfter);
    const effects = renewed(life, refreshAfter);
    assert.deepEqual(effects[0], isKept ? saved(trust) : { type: 'saveSetback', setback: undefined });
  }
});

test('a mismatch that is over is forgotten, and its end is told where it was told itself', () => {
  for (const [verdict, leads] of [
    ['leads', true],
    ['unknown', false],
  ] as const) {
    const over = saved({ earlyRefreshes: 0, isTold: false });
    assert.deepEqual(mismatched().happens(judged(verdict, 4), seen + minute), [over], 'nobody knew');
    const life = mismatched();
    life.happens({ type: 'timer' }, seen + told);
    const news = { type: 'trustMismatchOver', leads, anchors: 4 };
    assert.deepEqual(life.happens(judged(verdict, 4), seen + told), [over, { type: 'notify', news }]);
    assert.deepEqual(trustOf(life.state()), { earlyRefreshes: 0, isTold: false, verdict, anchors: 4 });
    assert.equal(life.wakesAfter(), refreshAfter, 'it is renewed when it was planned');
    assert.deepEqual(life.happens(judged(verdict, 4), seen + told), [], 'that is told once');
    const afterRestart = lifeOf({ current, trust: { earlyRefreshes: 0, isTold: true } });
    assert.deepEqual(afterRestart.happens(judged(verdict, 4), seen), [over, { type: 'notify', news }]);
  }
});

test('early refreshes count until one comes at its own time without a mismatch', () => {
  const found = { earlyRefreshes: 2, isTold: false };
  const own = lifeOf({ current, trust: found });
  assert.deepEqual(own.happens({ type: 'timer' }, refreshAfter), [saved({ ...found, earlyRefreshes: 0 }), makeKey]);
  const late = lifeOf({ current, trust: found });
  late.happens(judged('mismatch'), refreshAfter - second);
  assert.deepEqual(late.happens({ type: 'timer' }, refreshAfter), [makeKey], 'neither early nor without a mismatch');
  const none = lifeOf({ current });
  assert.deepEqual(none.happens({ type: 'timer' }, refreshAfter), [makeKey]);
});

test('a mismatch of an earlier run is none before it is found again, and then has the times that were drawn', () => {
  const found = { earlyRefreshes: 0, isTold: false, mismatch };
  const life = lifeOf({ current, trust: found });
  assert.equal(life.wakesAfter(), refreshAfter);
  assert.deepEqual(life.happens({ type: 'timer' }, seen + early), []);
  assert.equal(life.state().name, 'fresh');
  assert.deepEqual(life.happens(judged('mismatch'), seen + minute), []);
  assert.equal(life.wakesAfter(), seen + told);
});

test('an operator brings the refresh for a mismatch forward, to a second after it was seen, and no other refresh', () => {
  const hastened = { ...mismatch, refreshAt: begins + seen + second };
  const life = mismatched();
  assert.deepEqual(life.happens({ type: 'retryNow' }, seen + 400), [
    saved({ earlyRefreshes: 0, isTold: false, mismatch: hastened }),
  ]);
  assert.equal(life.state().name, 'fresh');
  assert.equal(life.wakesAfter(), seen + second);
  assert.deepEqual(mismatched().happens({ type: 'retryNow' }, seen + second), [
    saved({ earlyRefreshes: 0, isTold: false, mismatch: hastened }),
    saved({ earlyRefreshes: 1, isTold: false, mismatch: hastened }),
    makeKey,
  ]);
  const resting = lifeOf({ current, trust: { earlyRefreshes: 0, isTold: false, mismatch } });
  const before = resting.state();
  assert.deepEqual(resting.happens({ type: 'retryNow' }, refreshAfter), [], 'it was not found again');
  assert.equal(resting.state(), before);
  const soon = lifeOf({ current: { ...current, refreshAt: begins + seen + 500 } });
  soon.happens(judged('mismatch'), seen);
  assert.deepEqual(counts(soon.happens({ type: 'retryNow' }, seen + 100)), [0]);
  assert.equal(trustOf(soon.state()).mismatch?.refreshAt, begins + seen + 500, 'it is never put off');
});

test('a mismatch that is found while a refresh is under way is told, with that it is renewed now', () => {
  for (const name of ['generating', 'submitting', 'awaiting', 'maturing', 'projecting', 'pausing'] as const) {
    const life = lifeIn(name);
    life.happens({ type: 'timer' }, refreshAfter + 8 * minute);
    const before = life.state();
    const since = begins + refreshAfter + 8 * minute;
    const effects = life.happens(judged('mismatch'), refreshAfter + 8 * minute);
    const after = life.state();
    assert.equal(after.name, before.name);
    // Settling and telling are drawn as ever; the refresh is due already.
    const drawn = { since, tellAt: since + told, refreshAt: current.refreshAt };
    assert.deepEqual(effects, [saved({ earlyRefreshes: 0, isTold: false, mismatch: drawn })], name);
    assert.ok((life.wakesAfter() ?? Number.POSITIVE_INFINITY) <= refreshAfter + 8 * minute + told, name);
    const news = newsIn(life.happens({ type: 'timer' }, refreshAfter + 8 * minute + told));
    assert.deepEqual(
      news.filter(({ type }) => type === 'trustMismatch'),
      [{ type: 'trustMismatch', anchors: 2, since, refreshAt: since + told }],
      name,
    );
  }
});

test('a certificate whose pod has ended, and one that there is not, is compared with nothing', () => {
  const found = { earlyRefreshes: 1, isTold: true };
  const life = lifeOf({ current, trust: found });
  life.happens({ type: 'podEnded', why: 'gone' }, seen);
  for (const one of [life, lifeOf()]) {
    const before = one.state();
    assert.deepEqual(one.happens(judged('mismatch'), seen), []);
    assert.equal(one.state(), before);
  }
});

test('a pod that ends takes the verdict with it, and leaves what is kept of the mismatch', () => {
  const life = mismatched();
  life.happens({ type: 'podEnded', why: 'gone' }, seen + minute);
  assert.deepEqual(trustOf(life.state()), {
    ...{ earlyRefreshes: 0, isTold: false, mismatch, verdict: 'unknown', anchors: 0 },
  });
  life.happens({ type: 'podLives' }, seen + 2 * minute);
  assert.equal(life.wakesAfter(), refreshAfter, 'nobody has looked after its anchors meanwhile');
});
