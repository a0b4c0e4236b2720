/** One issuance step by step: what is done and told at each, what fits no step, and when each wants to be woken. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AgentError, type ErrorCode } from '../../../agent/base/errors.ts';
import {
  currentOf,
  keyTypeOf,
  lacksAddresses,
  requestUnderWay,
  retryTime,
  step,
  trustOf,
} from '../../../agent/lifecycle/credential.ts';
import type { CredentialEvent, CredentialState } from '../../../agent/lifecycle/credential-state.ts';
import {
  answer,
  begins,
  current,
  hour,
  lifeIn,
  lifeOf,
  minute,
  newsIn,
  overdueAfter,
  refreshAfter,
  refreshing,
  second,
  stateNames,
  unavailable,
  unknown,
} from './life.ts';

const made: CredentialEvent = { type: 'keyMade', requestName: 'req-2' };
const submitted: CredentialEvent = { type: 'submitted', requestName: 'req-2' };

test('a first certificate goes from its key into the files, and each step tells how long it took', () => {
  const life = lifeOf();
  assert.deepEqual(life.begun, [{ type: 'makeKey', keyType: 'ED25519' }]);
  assert.equal(life.wakesAfter(), undefined, 'a key comes by itself');
  assert.deepEqual(life.happens(made, second), [
    { type: 'notify', news: { type: 'keyMade', requestName: 'req-2', tookMs: second } },
    { type: 'submit', requestName: 'req-2', priority: 'first' },
  ]);
  assert.equal(life.wakesAfter(), undefined, 'so does the answer of the API server');
  assert.deepEqual(life.happens(submitted, 3 * second), [
    { type: 'notify', news: { type: 'requested', requestName: 'req-2', tookMs: 2 * second } },
    { type: 'follow', requestName: 'req-2' },
  ]);
  assert.equal(life.wakesAfter(), 13 * second, 'the pod is told what it waits for');
  const { certificates: _, ...dates } = answer;
  const certificate = { ...dates, requestName: 'req-2', keyType: 'ED25519', refreshAt: begins + refreshAfter };
  assert.deepEqual(life.happens({ type: 'accepted', answer }, 10 * second), [
    { type: 'notify', news: { type: 'answered', requestName: 'req-2', tookMs: 7 * second } },
    { type: 'project', certificate, answer },
  ]);
  assert.equal(life.wakesAfter(), 24 * hour, 'what has run out is of no use in the files');
  const { requestName, serialNumber, notBefore, notAfter, refreshAt } = certificate;
  const told = { type: 'projected', requestName, serialNumber, notBefore, notAfter, refreshAt };
  assert.deepEqual(life.happens({ type: 'written' }, 11 * second), [
    { type: 'saveSetback', setback: undefined },
    { type: 'notify', news: { ...told, first: true, writeMs: second, totalMs: 11 * second } },
  ]);
  assert.deepEqual(life.state(), { name: 'fresh', keyType: 'ED25519', current: certificate, trust: unknown });
  assert.equal(life.wakesAfter(), refreshAfter);
});

test('a refresh begins when it is due, comes after first certificates, and is counted from its own beginning', () => {
  const life = lifeOf({ current });
  assert.deepEqual(life.begun, [
    { type: 'notify', news: { type: 'adopted', notAfter: current.notAfter, refreshAt: current.refreshAt } },
  ]);
  assert.deepEqual(life.happens({ type: 'timer' }, refreshAfter - 1), []);
  assert.equal(life.state().name, 'fresh');
  assert.deepEqual(life.happens({ type: 'timer' }, refreshAfter), [{ type: 'makeKey', keyType: 'ED25519' }]);
  assert.deepEqual(life.happens(made, refreshAfter).slice(1), [
    { type: 'submit', requestName: 'req-2', priority: 'refresh' },
  ]);
  life.happens(submitted, refreshAfter);
  const named = { ...answer, names: 'DNS:web', podIPs: ['10.0.0.7'], notAfter: current.notAfter + hour };
  life.happens({ type: 'accepted', answer: named }, refreshAfter);
  const [projected] = newsIn(life.happens({ type: 'written' }, refreshAfter + second));
  assert.ok(projected?.type === 'projected', projected?.type);
  assert.deepEqual([projected.first, projected.names, projected.totalMs], [false, 'DNS:web', second]);
  assert.deepEqual(currentOf(life.state())?.podIPs, ['10.0.0.7']);
});

test('no step takes less than no time where the wall clock is set back', () => {
  const life = lifeOf({}, minute);
  const news = [
    ...life.happens(made, 0),
    ...life.happens(submitted, -second),
    ...life.happens({ type: 'accepted', answer: { ...answer, notBefore: begins - hour } }, -2 * second),
    ...life.happens({ type: 'written' }, -3 * second),
  ];
  const took = newsIn(news).flatMap((one) =>
    one.type === 'projected' ? [one.writeMs, one.totalMs] : 'tookMs' in one ? [one.tookMs] : [],
  );
  assert.deepEqual(took, [0, 0, 0, 0, 0]);
});

/** What changes something in which state; all else comes too late there. */
const fitting: Readonly<Record<CredentialState['name'], readonly CredentialEvent['type'][]>> = {
  generating: ['keyMade', 'keyFailed'],
  submitting: ['submitted', 'submitFailed', 'heldUp'],
  awaiting: ['accepted', 'unusable', 'refused', 'hindered', 'deleted'],
  maturing: [],
  projecting: ['written', 'keyUnfit'],
  pausing: [],
  fresh: [],
  ended: ['podLives'],
};

test('what does not fit the step that is under way comes too late, and changes nothing', () => {
  const error = unavailable;
  const events: readonly CredentialEvent[] = [
    made,
    { type: 'keyFailed', error },
    { type: 'heldUp', requestName: 'req-2', waitsFor: 'a token' },
    submitted,
    { type: 'submitFailed', requestName: 'req-2', error },
    { type: 'accepted', answer: { ...answer, notAfter: begins + 30 * hour } },
    { type: 'unusable', error },
    { type: 'refused', kind: 'denied', reason: 'Policy', message: 'no', followSuggestion: false },
    { type: 'hindered', hurdle: { turn: 'signer', text: 'not signed' } },
    { type: 'deleted' },
    { type: 'keyUnfit', error },
    { type: 'written' },
    { type: 'addressesKnown' },
    { type: 'podLives' },
  ];
  for (const name of stateNames) {
    for (const event of events) {
      const state = lifeIn(name).state();
      assert.equal(state.name, name);
      const next = step(state, event, { now: begins + refreshAfter + second, random: 0.5 });
      const isFitting = fitting[name].includes(event.type);
      assert.equal(next.state !== state, isFitting, `${event.type} while ${name}`);
      assert.ok(isFitting || next.effects.length === 0, `${event.type} while ${name} has an effect`);
    }
  }
});

test('whatever is under way, the certificate in the files, its key type and the request at the API server are known', () => {
  const underWay: Readonly<Partial<Record<CredentialState['name'], string>>> = {
    submitting: 'req-2',
    awaiting: 'req-2',
  };
  for (const name of stateNames) {
    const state = lifeIn(name).state();
    assert.equal(currentOf(state), current, name);
    assert.deepEqual(trustOf(state), unknown, name);
    assert.equal(keyTypeOf(state), 'ED25519', name);
    assert.equal(requestUnderWay(state), underWay[name], name);
    assert.equal(lacksAddresses(state), false, name);
    const retried = name === 'pausing' ? second : name === 'ended' ? 10 * second : undefined;
    assert.equal(retryTime(state), retried && begins + refreshAfter + retried, name);
  }
  assert.equal(lacksAddresses(lifeOf({ current: { ...current, podIPs: [] } }).state()), true);
  assert.equal(lacksAddresses(lifeOf({ current: { ...current, podIPs: ['10.0.0.7'] } }).state()), false);
  assert.equal(lacksAddresses(lifeOf().state()), false, 'there is none');
});

test('a certificate that was to name addresses is renewed once there are some, and no other one is', () => {
  const early = lifeOf({ current: { ...current, podIPs: [] } });
  assert.deepEqual(early.happens({ type: 'written' }, minute), [], 'nothing else renews it');
  assert.deepEqual(early.happens({ type: 'addressesKnown' }, minute), [{ type: 'makeKey', keyType: 'ED25519' }]);
  assert.equal(early.state().name, 'generating');
  const named = lifeOf({ current: { ...current, podIPs: ['10.0.0.7'] } });
  assert.deepEqual(named.happens({ type: 'addressesKnown' }, minute), []);
  assert.equal(named.state().name, 'fresh');
});

test('a key that cannot be made, or not be used, is told and forgotten, and another one is made after a pause', () => {
  const error = new AgentError('Internal', 'no memory', { actor: 'nobody' });
  for (const [life, event] of [
    [lifeOf(), { type: 'keyFailed', error }],
    [lifeIn('projecting'), { type: 'keyUnfit', error }],
  ] as const) {
    const after = refreshAfter + minute;
    assert.deepEqual(life.happens(event, after), [
      { type: 'discardPending' },
      {
        type: 'notify',
        news: { type: 'attemptFailed', phase: 'key', error, retryAt: begins + after + second },
      },
    ]);
    assert.equal(requestUnderWay(life.state()), undefined);
    assert.deepEqual(
      life.happens({ type: 'timer' }, after + second - 1).filter(({ type }) => type === 'makeKey'),
      [],
    );
    assert.equal(life.happens({ type: 'timer' }, after + second).at(-1)?.type, 'makeKey');
  }
});

test('a request that may have arrived is made again under its name; after a conflict or a fault of our own another is', () => {
  const kinds: readonly (readonly [ErrorCode, boolean])[] = [
    ['Unavailable', true],
    ['Forbidden', true],
    ['Conflict', false],
    ['Internal', false],
  ];
  for (const [code, isAgain] of kinds) {
    const life = lifeIn('submitting');
    const error = new AgentError(code, 'no', { actor: 'nobody' });
    const effects = life.happens({ type: 'submitFailed', requestName: 'req-2', error }, refreshAfter);
    const retryAt = begins + refreshAfter + second;
    assert.deepEqual(newsIn(effects), [{ type: 'attemptFailed', phase: 'request', error, retryAt }], code);
    const done = effects.map(({ type }) => type);
    assert.deepEqual(done, isAgain ? ['notify'] : ['discardPending', 'notify'], code);
    assert.equal(requestUnderWay(life.state()), isAgain ? 'req-2' : undefined, code);
    const again = isAgain
      ? { type: 'submit', requestName: 'req-2', priority: 'refresh' }
      : { type: 'makeKey', keyType: 'ED25519' };
    assert.deepEqual(life.happens({ type: 'timer' }, refreshAfter + second), [again], code);
  }
});

test('a late refresh is told once, and the expiry once, whatever is under way and whenever it is woken', () => {
  const { refreshAt, notAfter } = current;
  for (const name of stateNames) {
    if (name === 'fresh' || name === 'ended') {
      continue;
    }
    const life = lifeIn(name);
    const overdue: unknown[] = [];
    for (let after = refreshAfter; after <= overdueAfter + second; after += second) {
      overdue.push(...newsIn(life.happens({ type: 'timer' }, after)).filter(({ type }) => type === 'refreshOverdue'));
      assert.equal(overdue.length, after < overdueAfter ? 0 : 1, `${name} after ${after}`);
    }
    assert.deepEqual(overdue, [{ type: 'refreshOverdue', refreshAt, notAfter }], name);
    assert.ok((life.wakesAfter() ?? Number.POSITIVE_INFINITY) <= 24 * hour, `${name} sleeps beyond the expiry`);
    const expired = [24 * hour - 1, 24 * hour, 24 * hour + second].map((after) =>
      newsIn(life.happens({ type: 'timer' }, after)).filter(({ type }) => type === 'expired'),
    );
    assert.deepEqual(expired, [[], [{ type: 'expired', notAfter }], []], name);
  }
});

test('a state wakes in time for a warning, and for nothing where none is due', () => {
  for (const name of ['generating', 'submitting'] as const) {
    assert.equal(lifeIn(name).wakesAfter(), overdueAfter, name);
  }
  const waiting = lifeIn('awaiting');
  assert.equal(waiting.wakesAfter(), refreshAfter + 10 * second);
  waiting.happens({ type: 'timer' }, refreshAfter + 10 * second);
  assert.equal(waiting.wakesAfter(), overdueAfter, 'it was told');
  assert.equal(lifeIn('pausing').wakesAfter(), refreshAfter + second);
  assert.equal(lifeIn('maturing').wakesAfter(), overdueAfter);
  assert.equal(lifeIn('projecting').wakesAfter(), overdueAfter);
  const life = refreshing();
  life.happens({ type: 'timer' }, overdueAfter);
  assert.equal(life.wakesAfter(), 24 * hour);
  life.happens({ type: 'timer' }, 24 * hour);
  assert.equal(life.wakesAfter(), undefined, 'everything was said');
});
