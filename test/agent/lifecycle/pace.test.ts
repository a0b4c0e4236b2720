import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  isRefreshLate,
  latestRefresh,
  mismatchTimes,
  overdueTime,
  patience,
  pauseAfterFailure,
  pauseAfterRelief,
  pauseBeforeRecheck,
  refreshTime,
  type Setback,
  shortestWokenPause,
} from '../../../agent/lifecycle/pace.ts';

const minute = 60_000;
const hour = 60 * minute;

/** Validities that the API server accepts: at least an hour, with ten minutes on either side of beginRefreshAt. */
const validity = fc
  .record({ notBefore: fc.integer({ min: 0, max: 2 ** 40 }), lifetime: fc.integer({ min: hour, max: 91 * 24 * hour }) })
  .chain(({ notBefore, lifetime }) =>
    fc.integer({ min: 10 * minute, max: lifetime - 10 * minute }).map((offset) => ({
      notBefore,
      notAfter: notBefore + lifetime,
      beginRefreshAt: notBefore + offset,
    })),
  );
const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

test('a refresh comes at beginRefreshAt or at most five minutes and a tenth of the remaining time later', () => {
  fc.assert(
    fc.property(validity, random, (dates, draw) => {
      const delay = refreshTime(dates, dates.notBefore, draw) - dates.beginRefreshAt;
      assert.ok(delay >= 0, `${delay} is less than 0`);
      assert.ok(delay <= 5 * minute + 1, `${delay} is more than ${5 * minute + 1}`);
      assert.ok(
        delay <= (dates.notAfter - dates.beginRefreshAt) / 10 + 1,
        `${delay} is more than ${(dates.notAfter - dates.beginRefreshAt) / 10 + 1}`,
      );
    }),
  );
});

test('a refresh comes before notAfter, however late an answer is taken up, and leaves a third of what is left', () => {
  const { shortest, longest } = { shortest: -hour, longest: 92 * 24 * hour };
  fc.assert(
    fc.property(validity, fc.integer({ min: shortest, max: longest }), random, (dates, sinceNotBefore, draw) => {
      const now = dates.notBefore + sinceNotBefore;
      const refreshAt = refreshTime(dates, now, draw);
      assert.ok(refreshAt < dates.notAfter, `${refreshAt} is not less than ${dates.notAfter}`);
      const left = dates.notAfter - Math.max(now, dates.beginRefreshAt);
      assert.ok(
        left <= 1 || dates.notAfter - refreshAt >= Math.floor(left / 3),
        `${dates.notAfter - refreshAt} of ${left} ms are left at the refresh`,
      );
      assert.ok(left <= 0 || refreshAt >= now, `the refresh at ${refreshAt} lies before now, ${now}`);
    }),
  );
});

test('an hour’s certificate that is taken up after 50 minutes is refreshed before it expires', () => {
  assert.equal(
    refreshTime({ notBefore: 0, notAfter: hour, beginRefreshAt: 30 * minute }, 50 * minute, 0.5),
    56 * minute + 40_000,
  );
});

test('a certificate whose beginRefreshAt has long passed by this node’s clock is kept for half of the planned interval', () => {
  const dates = { notBefore: 0, notAfter: 20 * hour, beginRefreshAt: 10 * hour };
  assert.equal(refreshTime(dates, 11 * hour, 0.5), 16 * hour);
});

test('a refresh is called overdue ten minutes after beginRefreshAt, never before it is due and always before notAfter', () => {
  assert.equal(
    overdueTime({ notBefore: 0, notAfter: 24 * hour, beginRefreshAt: 20 * hour }, 20 * hour),
    20 * hour + 10 * minute,
  );
  fc.assert(
    fc.property(validity, random, random, (dates, draw, share) => {
      const takenUpAt = dates.notBefore + share * (dates.notAfter - minute - dates.notBefore);
      const refreshAt = refreshTime(dates, takenUpAt, draw);
      const overdueAt = overdueTime(dates, refreshAt);
      assert.ok(
        refreshAt <= overdueAt && overdueAt < dates.notAfter,
        `${refreshAt}, ${overdueAt}, ${dates.notAfter} are not in order`,
      );
    }),
  );
});

const none = Number.NEGATIVE_INFINITY;
const setback = { failures: 1, nature: 'lasting', timeLeftMs: none, retryAfterMs: 0, failingForMs: 0 } as const;
const pause = (changes: Partial<Setback>, draw = 0.5): number => pauseAfterFailure({ ...setback, ...changes }, draw);

test('the warning, and an alert on it that takes two minutes, come before the expiry of any lifetime', () => {
  for (const lifetime of [10 * minute, hour, 24 * hour]) {
    for (const draw of [0, 0.5, 0.999]) {
      // What a signing request gets by default; and the latest that the API server lets a signer name.
      const latest = Math.max((lifetime * 2) / 3, lifetime - 10 * minute);
      for (const offset of lifetime < hour ? [(lifetime * 2) / 3] : [(lifetime * 2) / 3, latest]) {
        const dates = { notBefore: 0, notAfter: lifetime, beginRefreshAt: offset };
        const refreshAt = refreshTime(dates, 0, draw);
        const overdueAt = overdueTime(dates, refreshAt);
        assert.ok(overdueAt > refreshAt, `${lifetime} ms: it is overdue as soon as it is due`);
        assert.ok(overdueAt + 2 * minute < lifetime, `${lifetime} ms: ${lifetime - overdueAt} ms are left`);
      }
    }
  }
});

test('with certificates of any lifetime there are several attempts between the refresh and the expiry, also with a silent signer', () => {
  for (const lifetime of [10 * minute, hour, 24 * hour]) {
    const dates = { notBefore: 0, notAfter: lifetime, beginRefreshAt: (lifetime * 2) / 3 };
    const dueAt = refreshTime(dates, 0, 0.999);
    let [now, refusals] = [dueAt, 0];
    while (now < lifetime) {
      refusals += 1;
      now += pause({ failures: refusals, timeLeftMs: lifetime - now }, 0.999);
    }
    let [asked, silences] = [dueAt, 0];
    while (asked < lifetime - 5_000) {
      silences += 1;
      asked += patience(lifetime - asked);
      asked += pause({ failures: silences, nature: 'passing', timeLeftMs: lifetime - asked }, 0.999);
    }
    assert.ok(refusals >= 10, `${lifetime} ms: ${refusals} attempts at a signer that refuses`);
    assert.ok(silences >= 4, `${lifetime} ms: ${silences} attempts at a signer that is silent`);
  }
});

test('pauses double from ten seconds to five minutes where somebody has to act', () => {
  const pauses = [1, 2, 3, 4, 5, 6, 7].map((failures) => pause({ failures }));
  assert.deepEqual(pauses, [10_000, 20_000, 40_000, 80_000, 160_000, 300_000, 300_000]);
});

test('pauses double from one second where the failure is expected to pass', () => {
  const pauses = [1, 2, 3, 9, 10].map((failures) => pause({ failures, nature: 'passing' }));
  assert.deepEqual(pauses, [1000, 2000, 4000, 256_000, 300_000]);
});

test('attempts come faster as notAfter nears', () => {
  const pauses = [hour, 10 * minute, minute, 20_000, 1000].map((timeLeftMs) => pause({ failures: 9, timeLeftMs }));
  assert.deepEqual(pauses, [300_000, 60_000, 6000, 2000, 1000]);
});

test('attempts come slower from the expiry on as they came faster before it', () => {
  const since = [0, 1000, 20_000, minute, 10 * minute, hour];
  const pauses = since.map((ms) => pause({ failures: 30, timeLeftMs: -ms, retryAfterMs: hour }));
  assert.deepEqual(pauses, [1000, 1000, 5000, 15_000, 150_000, 300_000]);
});

test('what the other side asks for with Retry-After is waited for at least, but never past five minutes', () => {
  assert.equal(pause({ retryAfterMs: 90_000 }, 0), 90_000);
  assert.equal(pause({ timeLeftMs: hour, retryAfterMs: 90_000 }, 0), 90_000);
  assert.equal(pause({ retryAfterMs: 86_400_000 }, 0), 300_000);
  assert.equal(pause({ timeLeftMs: 24 * hour, retryAfterMs: 86_400_000 }, 0), 300_000);
});

test('a pause is at most a tenth of the time that the certificate has left, whatever the other side asks for', () => {
  const asked = fc.integer({ min: 0, max: 7 * 24 * hour });
  const left = fc.integer({ min: 10_000, max: 24 * hour });
  fc.assert(
    fc.property(left, asked, fc.integer({ min: 1, max: 1000 }), random, (timeLeftMs, retryAfterMs, failures, draw) => {
      for (const nature of ['passing', 'lasting'] as const) {
        const setback = { timeLeftMs, retryAfterMs, failures, nature, failingForMs: failures * minute };
        assert.ok(pause(setback, draw) <= timeLeftMs / 10, `${pause(setback, draw)} is more than ${timeLeftMs / 10}`);
      }
    }),
  );
});

test('a refresh with time left that has failed for more than ten minutes waits about twice as long as it has failed', () => {
  const day = { failures: 12, timeLeftMs: 24 * hour };
  assert.equal(pause({ ...day, failingForMs: 10 * minute }), 5 * minute);
  assert.equal(pause({ ...day, failingForMs: 30 * minute }), 60 * minute);
  assert.deepEqual(
    [0, 1].map((draw) => pause({ ...day, failingForMs: 30 * minute }, draw)),
    [30 * minute, 90 * minute],
  );
  assert.equal(pause({ ...day, failingForMs: 6 * hour }), 2.4 * hour, 'no more than a tenth of the time left');
  assert.equal(
    pause({ failures: 12, failingForMs: 6 * hour }),
    5 * minute,
    'without a certificate nobody waits longer',
  );
  const expiring = pause({ failures: 12, timeLeftMs: 0, failingForMs: 6 * hour }, 0);
  assert.equal(expiring, 800, 'nor from the moment of its expiry on');
});

test('when the cause of its failures has passed, a credential goes on at once, and after a long outage in turn', () => {
  const left = 24 * hour;
  assert.equal(pauseAfterRelief({ failingForMs: 10 * minute, timeLeftMs: left }, 0.9), 0);
  assert.equal(pauseAfterRelief({ failingForMs: 6 * hour, timeLeftMs: 0 }, 0.9), 0);
  const draws = [0, 0.5, 1].map((draw) => pauseAfterRelief({ failingForMs: 20 * minute, timeLeftMs: left }, draw));
  assert.deepEqual(draws, [10 * minute, 20 * minute, 30 * minute]);
  const late = [0, 1].map((draw) => pauseAfterRelief({ failingForMs: 12 * hour, timeLeftMs: hour }, draw));
  assert.deepEqual(late, [3 * minute, 6 * minute], 'at most a tenth of the time left');
});

test('pauses are spread by a fifth either way', () => {
  assert.equal(pause({}, 0), 8000);
  assert.ok(pause({}, 0.999) > 11_900, `${pause({}, 0.999)} is not more than 11900`);
});

test('a signer is waited for as long as the request lives, and half of the time that the certificate has left', () => {
  assert.equal(patience(0), 20 * minute);
  assert.equal(patience(-hour), 20 * minute);
  assert.equal(patience(24 * hour), 20 * minute);
  assert.equal(patience(10 * minute), 5 * minute);
  assert.equal(patience(2000), 5000);
  assert.equal(patience(0, 'approver'), 24 * hour);
  assert.equal(patience(8 * hour, 'approver'), 4 * hour);
});

test('a refresh for a mismatch comes after a time to settle, within half an hour the first time, and never later than planned', () => {
  fc.assert(
    fc.property(validity, random, random, fc.integer({ min: 0, max: 30 }), (dates, passed, draw, earlier) => {
      const now = Math.floor(dates.notBefore + passed * (dates.notAfter - dates.notBefore));
      const plannedAt = Math.floor(refreshTime(dates, dates.notBefore, draw));
      const { tellAt, refreshAt } = mismatchTimes(dates, plannedAt, earlier, now, draw);
      const interval = dates.beginRefreshAt - dates.notBefore;
      const settled = Math.min(minute, interval / 20);
      const spread = Math.min(30 * minute, interval / 4);
      assert.ok(refreshAt <= plannedAt, 'it is later than planned');
      assert.ok(refreshAt >= Math.min(plannedAt, Math.floor(now + settled)), 'nothing could settle');
      assert.ok(earlier > 0 || refreshAt <= now + settled + spread, 'it takes longer than the spread');
      const least = Math.floor(now + spread * 2 ** Math.min(earlier - 1, 20));
      assert.ok(earlier === 0 || refreshAt >= Math.min(plannedAt, least), 'it waits no longer than before');
      assert.ok(tellAt >= Math.floor(now + settled), 'it is told before anything could settle');
      assert.ok(tellAt <= now + settled + 5 * minute, 'it is told late');
    }),
  );
});

test('a CA that is exchanged without an overlap makes no storm: the refreshes of a thousand credentials are spread evenly', () => {
  for (const [lifetime, minutes] of [
    [24 * hour, 30],
    [hour, 12],
  ] as const) {
    const dates = { notBefore: 0, notAfter: lifetime, beginRefreshAt: lifetime * 0.8 };
    // A generator of its own, so that the same draws come every time.
    let seed = 1;
    const draw = (): number => {
      seed = (seed * 48_271) % 2_147_483_647;
      return seed / 2_147_483_647;
    };
    const times = Array.from({ length: 1_000 }, () => mismatchTimes(dates, lifetime * 0.8, 0, 0, draw()));
    const busiest = (moments: readonly number[]): number => {
      const byMinute = Map.groupBy(moments, (time) => Math.floor(time / minute));
      return Math.max(...[...byMinute.values()].map(({ length }) => length));
    };
    const even = 1_000 / minutes;
    assert.ok(busiest(times.map(({ refreshAt }) => refreshAt)) < 1.6 * even, `refreshes of ${lifetime} ms`);
    assert.ok(busiest(times.map(({ tellAt }) => tellAt)) < 1.6 * (1_000 / Math.min(5, minutes / 4)), 'events');
  }
});

test('a bundle that never fits costs a few requests, and then none beyond those that were planned', () => {
  for (const [lifetime, most] of [
    [10 * minute, 4],
    [hour, 4],
    [24 * hour, 7],
    [91 * 24 * hour, 13],
  ] as const) {
    let [now, early] = [0, 0];
    for (let renewals = 0; renewals < 50; renewals += 1) {
      const dates = { notBefore: now, notAfter: now + lifetime, beginRefreshAt: now + lifetime * 0.8 };
      const plannedAt = refreshTime(dates, now, 0.5);
      // The least that can be drawn.
      now = mismatchTimes(dates, plannedAt, early, now, 0).refreshAt;
      early += now < plannedAt ? 1 : 0;
    }
    assert.ok(early <= most, `${early} early refreshes with a lifetime of ${lifetime} ms`);
  }
});

test('the jitter of a refresh is five minutes, or a tenth of the time that is then left where that is less', () => {
  const day = { notBefore: 0, notAfter: 24 * hour, beginRefreshAt: 16 * hour };
  const short = { notBefore: 0, notAfter: hour, beginRefreshAt: 30 * minute };
  assert.deepEqual(
    [day, short].map((dates) => refreshTime(dates, 0, 0.5) - dates.beginRefreshAt),
    [2.5 * minute, 1.5 * minute],
  );
});

test('the latest refresh leaves a third of the time, and of a certificate without any a millisecond', () => {
  const dates = { notBefore: 0, notAfter: hour, beginRefreshAt: 30 * minute };
  assert.deepEqual(
    [0, 45 * minute, hour, 2 * hour].map((now) => latestRefresh(dates, now)),
    [50 * minute, 55 * minute, hour - 1, hour - 1],
  );
});

test('a refresh is overdue no later than after a quarter of what is left, and not before it was planned', () => {
  const dates = { notBefore: 0, notAfter: hour, beginRefreshAt: 30 * minute };
  assert.deepEqual(
    [30 * minute, 56 * minute, 2 * hour].map((refreshAt) => overdueTime(dates, refreshAt)),
    [37.5 * minute, 56 * minute, 2 * hour],
  );
});

test('a mismatch is told of after a minute and up to five more, and refreshed over a spread that doubles', () => {
  const plannedAt = 16 * hour;
  const times = (beginRefreshAt: number, earlier: number) => {
    const dates = { notBefore: 0, notAfter: 24 * hour, beginRefreshAt };
    const { tellAt, refreshAt } = mismatchTimes(dates, plannedAt, earlier, 0, 0.5);
    return [tellAt / minute, refreshAt / minute];
  };
  assert.deepEqual(
    [0, 1, 2, 3].map((earlier) => times(16 * hour, earlier)),
    [
      [3.5, 16],
      [3.5, 46],
      [3.5, 91],
      [3.5, 181],
    ],
  );
  assert.deepEqual(times(40 * minute, 0), [2.25, 6]);
  assert.deepEqual(times(8 * minute, 0), [0.65, 1.4]);
  assert.deepEqual(times(-hour, 0), [0, 0], 'dates in the wrong order give no time before now');
});

test('a pod that counts as ended is looked for after ten seconds at least, and ever more seldom', () => {
  const left = 24 * hour;
  assert.deepEqual(
    [0, 1, 2, 9].map((checks) => pauseBeforeRecheck(checks, left, 0.5)),
    [10_000, 20_000, 40_000, 300_000],
  );
  assert.equal(pauseBeforeRecheck(0, left, 0), 10_000);
  assert.equal(pauseBeforeRecheck(5, 20_000, 0.5), 10_000);
});

test('what is woken waits a second, and ten where the API server judged the request itself', () => {
  assert.deepEqual([shortestWokenPause(false), shortestWokenPause(true)], [1_000, 10_000]);
});

test('a refresh is late when less than a tenth of the lifetime is left for it', () => {
  const isLate = (beginRefreshAt: number) => isRefreshLate({ notBefore: 1_000, notAfter: 1_100, beginRefreshAt });
  assert.deepEqual([isLate(1_090), isLate(1_091)], [false, true]);
});
