/** What is done about a chain that leads to none of its signer's anchors, in random histories of one credential. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { currentOf, trustOf, wakeTime } from '../../../agent/lifecycle/credential.ts';
import type { CredentialState } from '../../../agent/lifecycle/credential-state.ts';
import { inEveryMismatchHistory, of } from './every-history.ts';
import type { Observation } from './histories.ts';

const minute = 60_000;
const halfAnHour = 30 * minute;

const isMismatch = (state: CredentialState): boolean => trustOf(state).verdict === 'mismatch';
const plannedAt = (state: CredentialState): number => {
  const current = currentOf(state);
  return current === undefined ? Number.POSITIVE_INFINITY : Math.min(current.refreshAt, current.notAfter);
};
/** A refresh begins, before the time that was planned for it. */
const isEarly = ({ now, before, after }: Observation): boolean =>
  before.name === 'fresh' && after.name === 'generating' && now < plannedAt(before);
const isOwnTime = ({ now, before, after }: Observation): boolean =>
  before.name === 'fresh' && after.name === 'generating' && now >= plannedAt(before) && !isMismatch(before);

test('a mismatch never puts a refresh off', () => {
  inEveryMismatchHistory(({ after }) => {
    if (after.name === 'fresh') {
      assert.ok((wakeTime(after) ?? Number.POSITIVE_INFINITY) <= plannedAt(after), 'it is due later than was planned');
    }
  });
});

test('a refresh comes early for a mismatch that was found by this run of the agent and is not over, and for nothing else', () => {
  inEveryMismatchHistory((observation) => {
    const { event, before } = observation;
    if (isEarly(observation) && event !== 'restart') {
      assert.ok(isMismatch(before), 'there is no mismatch');
    }
    if (event === 'restart') {
      assert.notEqual(trustOf(observation.after).verdict, 'mismatch');
    }
  });
});

test('a mismatch costs a bounded number of early refreshes until one comes at its own time, whatever happens', () => {
  inEveryMismatchHistory((observation, past) => {
    if (!isEarly(observation)) {
      return;
    }
    const begun = past.findLastIndex(isOwnTime) + 1;
    const since = [...past.slice(begun), observation];
    // An operator may ask as often as he likes, and clocks that jump make times come sooner.
    if (since.some(({ event, turn }) => turn.happens === 'the clock jumps' || isRetry(event))) {
      return;
    }
    const intervals = since.map(({ before }) => currentOf(before)).filter((current) => current !== undefined);
    const longest = Math.max(...intervals.map(({ beginRefreshAt, notBefore }) => beginRefreshAt - notBefore));
    const bound = 4 + Math.max(2, Math.ceil(Math.log2(longest / halfAnHour)));
    const count = since.filter(isEarly).length;
    assert.ok(count <= bound, `${count} early refreshes, and ${bound} are allowed`);
  });
});

test('the time of an early refresh is drawn once for a certificate, and survives a restart', () => {
  inEveryMismatchHistory(({ event, before, after }) => {
    const drawn = trustOf(before).mismatch;
    const isOver = event !== 'restart' && (event.type === 'written' || isVerdictAgainst(event));
    if (drawn === undefined || isOver || currentOf(before) === undefined || (event !== 'restart' && isRetry(event))) {
      return;
    }
    const { since, refreshAt } = trustOf(after).mismatch ?? {};
    assert.deepEqual({ since, refreshAt }, { since: drawn.since, refreshAt: drawn.refreshAt });
  });
});

test('an early refresh is counted in the volume before it begins', () => {
  inEveryMismatchHistory((observation) => {
    const { before, after, effects } = observation;
    if (!isEarly(observation)) {
      return;
    }
    const { earlyRefreshes } = trustOf(before);
    const saved = of(effects, 'saveTrust').at(-1)?.trust;
    assert.equal(saved?.earlyRefreshes, earlyRefreshes + 1);
    assert.equal(trustOf(after).earlyRefreshes, earlyRefreshes + 1);
  });
});

test('of a mismatch its pod is told once for each certificate, not at first sight, and of its end once', () => {
  inEveryMismatchHistory(({ now, event, before, after, effects }, past) => {
    const told = of(effects, 'notify').map(({ news }) => news.type);
    if (told.includes('trustMismatch')) {
      assert.ok(isMismatch(before) && isMismatch(after), 'there is none');
      const since = past.slice(past.findLastIndex((earlier) => currentOf(earlier.before) !== currentOf(before)) + 1);
      const news = since.flatMap((earlier) => of(earlier.effects, 'notify')).map((one) => one.news.type);
      const lastOver = news.lastIndexOf('trustMismatchOver');
      assert.ok(!news.slice(lastOver + 1).includes('trustMismatch'), 'it was told before');
      assert.ok(now - (trustOf(after).mismatch?.since ?? now) >= 30_000 - 1, 'it may be about to pass');
    }
    if (told.includes('trustMismatchOver')) {
      assert.ok(trustOf(before).isTold && !trustOf(after).isTold, 'nothing was told');
      assert.ok(event !== 'restart' && event.type === 'trustJudged' && event.verdict !== 'mismatch', 'it is not over');
    }
    const isStanding = event !== 'restart' && event.type === 'timer' && isMismatch(after) && after.name !== 'ended';
    const { tellAt } = trustOf(after).mismatch ?? {};
    assert.ok(!isStanding || tellAt === undefined || now < tellAt, 'its time has come and it was not told');
  });
});

function isRetry(event: Observation['event']): boolean {
  return event !== 'restart' && event.type === 'retryNow';
}

function isVerdictAgainst(event: Observation['event']): boolean {
  return event !== 'restart' && event.type === 'trustJudged' && event.verdict !== 'mismatch';
}
