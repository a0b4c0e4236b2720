/** Certificates that are not valid yet when they come, and those that run out before they are in the files. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AgentError } from '../../../agent/base/errors.ts';
import type { CredentialEvent } from '../../../agent/lifecycle/credential-state.ts';
import type { IssuedChain } from '../../../volumes/base/volume.ts';
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

/** The first request of a life, to which the signer answers. */
function asked(): Life {
  const life = lifeOf();
  life.happens({ type: 'keyMade', requestName: 'req-2' }, 0);
  life.happens({ type: 'submitted', requestName: 'req-2' }, 0);
  return life;
}

const from = (afterMs: number, lifetimeMs = 24 * hour): IssuedChain => ({
  ...answer,
  notBefore: begins + afterMs,
  notAfter: begins + afterMs + lifetimeMs,
  beginRefreshAt: begins + afterMs + lifetimeMs / 2,
});

test('a certificate that is not valid yet is kept until it is; from two seconds on the pod is told', () => {
  for (const [aheadMs, isTold] of [
    [second, false],
    [2 * second - 1, false],
    [2 * second, true],
  ] as const) {
    const life = asked();
    const early = from(aheadMs);
    const [answered, ...effects] = life.happens({ type: 'accepted', answer: early }, 0);
    assert.deepEqual(newsIn(answered === undefined ? [] : [answered]), [
      { type: 'answered', requestName: 'req-2', tookMs: 0 },
    ]);
    const until = begins + aheadMs;
    const told = { type: 'notYetValid', requestName: 'req-2', notBefore: until, aheadMs, until };
    assert.deepEqual(effects, [
      ...(isTold ? [{ type: 'notify', news: told }] : []),
      { type: 'saveAnswer', requestName: 'req-2', answer: early },
    ]);
    assert.equal(life.wakesAfter(), aheadMs);
    assert.deepEqual(life.happens({ type: 'timer' }, aheadMs - 1), []);
    assert.deepEqual(
      life.happens({ type: 'timer' }, aheadMs).map(({ type }) => type),
      ['project'],
    );
  }
});

test('a doubtful one is asked for anew like after any other failure, and kept once the signer has sent six in a row', () => {
  const life = asked();
  const doubt = new AgentError('InvalidChain', 'valid in two hours', { actor: 'signer' });
  const doubtful: CredentialEvent = { type: 'accepted', answer: from(2 * hour), doubt };
  for (let time = 1; time <= 6; time += 1) {
    const effects = life.happens(doubtful, 0);
    assert.ok(!effects.some(({ type }) => type === 'saveAnswer'), `answer ${time} is kept`);
    const state = life.state();
    assert.ok(state.name === 'pausing' && state.resubmit === undefined, `${time}: ${state.name}`);
    assert.deepEqual(state.failure, { kind: 'error', phase: 'signer', error: doubt });
    const paused = state.until - begins;
    assert.equal(paused, Math.min(10 * second * 2 ** (time - 1), 5 * minute));
    assert.deepEqual(life.happens({ type: 'timer' }, paused), [{ type: 'makeKey', keyType: 'ED25519' }]);
    life.happens({ type: 'keyMade', requestName: 'req-3' }, 0);
    life.happens({ type: 'submitted', requestName: 'req-3' }, 0);
  }
  life.happens(doubtful, 0);
  assert.equal(life.state().name, 'maturing');
  assert.equal(life.wakesAfter(), 2 * hour);
});

test('one that is valid from this moment on goes into the files at once', () => {
  assert.equal(
    asked()
      .happens({ type: 'accepted', answer: from(0) }, 0)
      .at(-1)?.type,
    'project',
  );
});

test('one that is not valid yet replaces a certificate that has run out, and none before', () => {
  const life = lifeIn('awaiting');
  const until = current.notAfter;
  const told = newsIn(life.happens({ type: 'accepted', answer: from(30 * hour) }, refreshAfter))[1];
  assert.ok(told?.type === 'notYetValid' && told.until === until, told?.type);
  const overdue = { type: 'refreshOverdue', refreshAt: current.refreshAt, notAfter: until } as const;
  assert.deepEqual(newsIn(life.happens({ type: 'timer' }, 24 * hour - 1)), [overdue]);
  assert.equal(life.state().name, 'maturing');
  assert.deepEqual(
    life
      .happens({ type: 'timer' }, 24 * hour)
      .map((effect) => (effect.type === 'notify' ? effect.news.type : effect.type)),
    ['expired', 'project'],
  );
});

test('a certificate that runs out before it is written is given up for another request', () => {
  const lost = (afterMs: number) => [
    { type: 'discardPending' },
    {
      type: 'notify',
      news: { type: 'requestLost', requestName: 'req-2', why: 'outdated', retryAt: begins + afterMs + second },
    },
  ];
  for (const [aheadMs, name] of [
    [0, 'projecting'],
    [minute, 'maturing'],
  ] as const) {
    const end = aheadMs + hour;
    const inTime = asked();
    const late = asked();
    for (const life of [inTime, late]) {
      life.happens({ type: 'accepted', answer: from(aheadMs, hour) }, 0);
      assert.equal(life.state().name, name);
    }
    inTime.happens({ type: 'timer' }, end - 1);
    assert.equal(inTime.state().name, 'projecting', 'a little time is left');
    assert.deepEqual(late.happens({ type: 'timer' }, end), lost(end), name);
    assert.equal(late.state().name, 'pausing');
    assert.deepEqual(late.happens({ type: 'timer' }, end + second), [{ type: 'makeKey', keyType: 'ED25519' }]);
  }
});

test('of a certificate that runs out in the files while the next one waits to be written the pod is told first', () => {
  const life = lifeIn('projecting');
  const state = life.state();
  assert.ok(state.name === 'projecting' && state.answer.notAfter === begins + 36 * hour, state.name);
  assert.deepEqual(
    newsIn(life.happens({ type: 'timer' }, 36 * hour)).map(({ type }) => type),
    ['expired', 'requestLost'],
  );
});
