/** The part of an issuance in which a signer is waited for: for how long, and what the pod is told of it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CredentialEvent } from '../../../agent/lifecycle/credential-state.ts';
import { begins, current, hour, type Life, lifeIn, lifeOf, minute, newsIn, refreshAfter, second } from './life.ts';

/** A first request, sent so long after the beginning. */
function asked(afterMs = 0): Life {
  const life = lifeOf({}, afterMs);
  life.happens({ type: 'keyMade', requestName: 'req-2' }, afterMs);
  life.happens({ type: 'submitted', requestName: 'req-2' }, afterMs);
  return life;
}

const hurdle = { turn: 'approver', text: 'no approval' } as const;

test('the pod is told what it waits for, for how long it has, and what it has until then', () => {
  const waiting = { type: 'waitingForSigner', requestName: 'req-2', waitedMs: 10 * second };
  assert.deepEqual(newsIn(asked().happens({ type: 'timer' }, 10 * second)), [waiting]);
  const life = lifeIn('awaiting');
  assert.deepEqual(life.happens({ type: 'hindered', hurdle }, refreshAfter), [], 'it may pass at once');
  assert.equal(life.wakesAfter(), refreshAfter + 10 * second);
  assert.deepEqual(newsIn(life.happens({ type: 'timer' }, refreshAfter + 10 * second - 1)), []);
  const { notAfter } = current;
  assert.deepEqual(newsIn(life.happens({ type: 'timer' }, refreshAfter + 10 * second)), [
    { ...waiting, hurdle, notAfter },
  ]);
  const signer = { turn: 'signer', text: 'no signature' } as const;
  life.happens({ type: 'hindered', hurdle: signer }, refreshAfter + 12 * second);
  assert.equal(life.wakesAfter(), refreshAfter + 20 * second);
  assert.deepEqual(newsIn(life.happens({ type: 'timer' }, refreshAfter + 20 * second)), [
    { ...waiting, waitedMs: 20 * second, hurdle: signer, again: true, notAfter },
  ]);
});

test('a request that nobody answers is given up for another one, after what else there is to tell', () => {
  const lost = (afterMs: number) => ({
    ...{ type: 'requestLost', requestName: 'req-2', why: 'unanswered', retryAt: begins + afterMs + second },
  });
  const life = asked();
  const end = 20 * minute;
  life.happens({ type: 'timer' }, 10 * second);
  assert.equal(life.wakesAfter(), end);
  assert.deepEqual(life.happens({ type: 'timer' }, end - 1), []);
  assert.deepEqual(life.happens({ type: 'timer' }, end), [
    { type: 'unfollow' },
    { type: 'discardPending' },
    { type: 'notify', news: lost(end) },
  ]);
  assert.equal(life.state().name, 'pausing');
  assert.deepEqual(life.happens({ type: 'timer' }, end + second), [{ type: 'makeKey', keyType: 'ED25519' }]);
  assert.deepEqual(
    newsIn(lifeIn('awaiting').happens({ type: 'timer' }, 24 * hour)).map(({ type }) => type),
    ['expired', 'requestLost'],
  );
});

test('with the wall clock set back the wait for the signer begins anew, with all of its time', () => {
  const life = asked(hour);
  assert.deepEqual(life.happens({ type: 'timer' }, hour), [], 'the clock stands still');
  assert.equal(life.wakesAfter(), hour + 10 * second);
  assert.deepEqual(life.happens({ type: 'timer' }, 0), []);
  assert.equal(life.wakesAfter(), 10 * second);
  assert.deepEqual(newsIn(life.happens({ type: 'timer' }, 10 * second)), [
    { type: 'waitingForSigner', requestName: 'req-2', waitedMs: 10 * second },
  ]);
  assert.equal(life.wakesAfter(), 20 * minute);
});

test('whose turn it is decides how long a request is waited for, from when it becomes theirs', () => {
  const turnOf = (turn: 'approver' | 'signer', text: string): CredentialEvent => ({
    ...{ type: 'hindered', hurdle: { turn, text } },
  });
  const life = asked();
  const givesUp = (): number => {
    const state = life.state();
    return state.name === 'awaiting' ? state.giveUpAt - begins : Number.NaN;
  };
  life.happens(turnOf('signer', 'no signature'), minute);
  assert.equal(givesUp(), 20 * minute, 'it was the signer’s turn from the beginning');
  life.happens(turnOf('approver', 'no approval'), 2 * minute);
  assert.equal(givesUp(), 2 * minute + 24 * hour);
  life.happens(turnOf('signer', 'no signature'), 3 * minute);
  assert.equal(givesUp(), 23 * minute);
});

test('what is known already is not told again, in whatever order its parts come', () => {
  const life = asked();
  const detailed = { ...hurdle, detail: 'waiting for a person' };
  life.happens({ type: 'hindered', hurdle: detailed }, 0);
  life.happens({ type: 'timer' }, 10 * second);
  const { detail, ...rest } = detailed;
  life.happens({ type: 'hindered', hurdle: { detail, ...rest } }, 11 * second);
  assert.deepEqual(newsIn(life.happens({ type: 'timer' }, minute)), []);
});
