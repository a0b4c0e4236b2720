/** Which trust anchors have expired, when, and what becomes of them. */
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Anchors, TrustAnchors } from '../../../agent/lifecycle/ports.ts';
import { expiryOf, withExpiry } from '../../../agent/trust/expiry.ts';
import { sourcesPerTurn } from '../../../agent/trust/limits.ts';
import type { ClusterTrustBundleSource } from '../../../volumes/declaration/types.ts';
import { certify, makeHolder } from '../../support/certificates.ts';
import { createManualClock } from '../../support/manual-clock.ts';

const hour = 3_600_000;
const start = Date.UTC(2026, 10, 21, 10);
const keeping: ClusterTrustBundleSource = {
  kind: 'clusterTrustBundle',
  index: 0,
  select: { by: 'name', name: 'roots' },
  optional: false,
  path: 'ca.pem',
};
const dropping: ClusterTrustBundleSource = { ...keeping, expired: 'drop' };

/** Anchors that are announced by the test. */
function setUp() {
  const listeners = new Set<(anchors: Anchors) => void>();
  const trust: TrustAnchors = {
    subscribe(_source, listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
  const clock = createManualClock(start);
  const expiring = withExpiry(trust, clock);
  const subscribe = (source: ClusterTrustBundleSource) => {
    const told: Anchors[] = [];
    return { told, stop: expiring.subscribe(source, (anchors) => told.push(anchors)) };
  };
  const announce = (anchors: Anchors) => {
    for (const listener of listeners) {
      listener(anchors);
    }
  };
  return { clock, subscribe, announce, listeners };
}

async function anchorsUntil(...ends: readonly number[]): Promise<readonly Uint8Array[]> {
  const root = await makeHolder('CN=root');
  return await Promise.all(ends.map((notAfter) => certify(root, root, { notBefore: start - 99 * hour, notAfter })));
}

test("a certificate's end is read as OpenSSL reads it, in both forms of time", async () => {
  const ends = [
    Date.UTC(1950, 0, 1),
    Date.UTC(1999, 11, 31, 23, 59, 59),
    start,
    Date.UTC(2049, 11, 31),
    Date.UTC(2050, 0, 1),
    Date.UTC(9999, 11, 31),
  ];
  const root = await makeHolder('CN=root');
  for (const notAfter of ends) {
    const der = await certify(root, root, { notBefore: Date.UTC(1950, 0, 1), notAfter });
    assert.equal(expiryOf(der), new X509Certificate(der).validToDate.getTime(), String(notAfter));
    assert.equal(expiryOf(der), notAfter, String(notAfter));
  }
});

test('what cannot be read never expires: nothing is dropped for that', async () => {
  const [whole = new Uint8Array()] = await anchorsUntil(start);
  assert.equal(expiryOf(new Uint8Array()), Number.POSITIVE_INFINITY);
  for (let length = 1; length < whole.length; length += 7) {
    assert.equal(expiryOf(whole.subarray(0, length)), Number.POSITIVE_INFINITY);
  }
});

test('expired anchors are kept and counted, or dropped, from the moment that they expire', async () => {
  const { clock, subscribe, announce } = setUp();
  const certificates = await anchorsUntil(start - hour, start + hour, start + 2 * hour);
  const [kept, dropped, twin] = [subscribe(keeping), subscribe(dropping), subscribe({ ...dropping, index: 1 })];
  announce({ type: 'found', certificates });
  assert.deepEqual(kept.told, [{ type: 'found', certificates, expired: 1 }]);
  assert.deepEqual(dropped.told, [{ type: 'found', certificates: certificates.slice(1), expired: 1 }]);
  const [one, other] = [dropped.told[0], twin.told[0]];
  assert.ok(one?.type === 'found' && other?.type === 'found', 'both are told');
  assert.equal(one.certificates, other.certificates, 'the same array, whose bytes are shared');
  assert.equal(clock.alarms(), 1, 'one alarm for all sources');
  clock.advance(hour);
  assert.deepEqual(kept.told.at(-1), { type: 'found', certificates, expired: 2 });
  assert.deepEqual(dropped.told.at(-1), { type: 'found', certificates: certificates.slice(2), expired: 2 });
  clock.advance(hour);
  assert.deepEqual(kept.told.at(-1), { type: 'found', certificates, expired: 3 });
  assert.deepEqual(dropped.told.at(-1), {
    type: 'missing',
    message: 'all 3 trust anchors selected have expired, and the source drops them',
  });
  assert.equal(clock.alarms(), 0);
});

test('anchors of which none has expired are told as they come, and what is missing too', async () => {
  const { clock, subscribe, announce } = setUp();
  const certificates = await anchorsUntil(start + hour);
  const { told } = subscribe(dropping);
  announce({ type: 'found', certificates });
  announce({ type: 'missing', message: 'gone' });
  assert.deepEqual(told, [
    { type: 'found', certificates },
    { type: 'missing', message: 'gone' },
  ]);
  assert.equal(clock.alarms(), 0, 'what is gone cannot expire');
});

test('a source that is given up leaves no alarm', async () => {
  const { clock, subscribe, announce, listeners } = setUp();
  const { told, stop } = subscribe(keeping);
  announce({ type: 'found', certificates: await anchorsUntil(start + hour) });
  assert.equal(clock.alarms(), 1);
  stop();
  assert.deepEqual([clock.alarms(), listeners.size], [0, 0]);
  clock.advance(2 * hour);
  assert.equal(told.length, 1);
});

test('thousands of sources are told of what expires in many turns of the event loop, so many in each, and one alarm is left', async () => {
  const { clock, subscribe, announce } = setUp();
  const certificates = await anchorsUntil(start + hour, start + 2 * hour);
  const sources = Array.from({ length: 4_096 }, (_, index) => subscribe({ ...keeping, index }));
  announce({ type: 'found', certificates });
  const toldTwice = (): number => sources.filter(({ told }) => told.length === 2).length;
  clock.advance(hour);
  const afterTurns = [toldTwice()];
  while (toldTwice() < sources.length && afterTurns.length < 100) {
    await nextTurn();
    afterTurns.push(toldTwice());
  }
  assert.equal(toldTwice(), sources.length, `after ${afterTurns} turns`);
  const most = Math.max(...afterTurns.map((count, turn) => count - (afterTurns[turn - 1] ?? 0)));
  assert.equal(most, sourcesPerTurn);
  assert.deepEqual(sources.at(-1)?.told.at(-1), { type: 'found', certificates, expired: 1 });
  assert.equal(clock.alarms(), 1, 'for those that expire next');
});

test('who is given up while thousands are told hears no more', async () => {
  const { clock, subscribe, announce } = setUp();
  const sources = Array.from({ length: sourcesPerTurn + 1 }, (_, index) => subscribe({ ...keeping, index }));
  announce({ type: 'found', certificates: await anchorsUntil(start + hour) });
  clock.advance(hour);
  const last = sources.at(-1);
  assert.equal(last?.told.length, 1, 'its turn is the next');
  last?.stop();
  await nextTurn();
  await nextTurn();
  assert.equal(last?.told.length, 1);
  assert.equal(clock.alarms(), 0);
});
