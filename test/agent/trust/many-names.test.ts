/** However many names of bundles the volumes of a node hold: what concerns all of them is done in turns of the event loop. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { AgentError } from '../../../agent/base/errors.ts';
import { createLiveCopy } from '../../../agent/kubernetes/live-copy.ts';
import { createTrustAnchors } from '../../../agent/trust/anchors.ts';
import type { BundleOutline, WatchBundles } from '../../../agent/trust/feed.ts';
import { createFeeds } from '../../../agent/trust/feeds.ts';
import { createHungry } from '../../../agent/trust/hungry.ts';
import { until } from '../../support/bounded.ts';
import { createManualClock } from '../../support/manual-clock.ts';
import { byName, ear } from './service.ts';

const count = 500;
const names = Array.from({ length: count }, (_, index) => `name-${index}`);

/** Watches of a server that has no bundle; those of one name have their list at once, the one that is held back when it is let go. */
function createWatches(heldBack?: string) {
  let looks = 0;
  let letGo = (): void => assert.fail('no watch is held back');
  let sync = (): void => assert.fail('no watch of all bundles was opened');
  let fail = (_: AgentError): void => assert.fail('no watch of all bundles was opened');
  const watch: WatchBundles = (selector, onError) => {
    const copy = createLiveCopy<BundleOutline>((cause) => assert.fail(String(cause)));
    let synced = false;
    const complete = (): void => {
      synced = true;
      copy.synced();
    };
    if (selector === '') {
      sync = complete;
      fail = onError;
    } else if (selector === heldBack) {
      letGo = complete;
    } else {
      setImmediate(complete);
    }
    return {
      get(key) {
        looks += 1;
        return copy.get(key);
      },
      list: copy.list,
      subscribe: copy.subscribe,
      stop: copy.close,
      health: () => ({ synced, lastEventAt: 0, restarts: 0, lastError: undefined, failingForMs: 0 }),
      isTakingOver: () => selector === heldBack && !synced,
      lists: () => ({ begun: 1, taken: 1 }),
    };
  };
  return {
    ...{ watch, looks: () => looks },
    ...{ sync: () => sync(), letGo: () => letGo(), fail: (error: AgentError) => fail(error) },
  };
}

/** Each look at the clock takes a twentieth of a millisecond: some eighty pieces of work fit into a turn. */
function slowDown(t: TestContext): void {
  let now = performance.now();
  t.mock.method(performance, 'now', () => {
    now += 0.05;
    return now;
  });
}

/** The most that a number grows in a turn of the event loop, until it has grown so far. */
async function mostInATurn(number: () => number, growth: number): Promise<number> {
  const end = number() + growth;
  let most = 0;
  let before = number();
  await until(
    () => number() >= end,
    'all to be done',
    async () => {
      await nextTurn();
      most = Math.max(most, number() - before);
      before = number();
    },
  );
  return most;
}

const emptyShelf = {
  ...{ get: () => undefined, has: () => false, offer: () => undefined, drop: () => undefined },
  ...{ names: () => [], untilRoom: () => undefined, stop: () => undefined },
};
const fault = new AgentError('Unavailable', 'away', { actor: 'nobody' });

test('a fault and a new list of the watch of all bundles are taken up in turns', async (t) => {
  const watches = createWatches();
  const touched = new Map<string, number>();
  const feeds = createFeeds(watches.watch, emptyShelf, ({ value }) =>
    touched.set(value, (touched.get(value) ?? 0) + 1),
  );
  t.after(() => feeds.stop());
  for (const value of names) {
    feeds.open({ by: 'name', value });
  }
  watches.sync();
  await until(() => names.every((name) => feeds.view({ by: 'name', value: name }).isSynced), 'the list', nextTurn);
  await until(() => feeds.health().size === 1, 'the shared watch alone to be left', nextTurn);
  touched.clear();
  slowDown(t);
  watches.fail(fault);
  const atOnce = touched.size;
  assert.ok(atOnce < count / 2, `${atOnce} of ${count} were told of the fault at once`);
  await until(() => touched.size === count, 'all to be told', nextTurn);
  const before = watches.looks();
  watches.sync();
  const settledAtOnce = watches.looks() - before;
  const most = await mostInATurn(watches.looks, count - settledAtOnce);
  assert.ok(most < count / 2, `${most} of ${count} were looked at in one turn`);
});

test('a name whose own watch has its list just after that of all bundles is told of it, however busy the turn is', async (t) => {
  const watches = createWatches('metadata.name=name-0');
  const touched = new Set<string>();
  const feeds = createFeeds(watches.watch, emptyShelf, ({ value }) => touched.add(value));
  t.after(() => feeds.stop());
  for (const value of names) {
    feeds.open({ by: 'name', value });
  }
  slowDown(t);
  watches.sync();
  touched.clear();
  assert.equal(feeds.view({ by: 'name', value: 'name-0' }).isSynced, false);
  watches.letGo();
  await until(() => feeds.health().size === 1, 'the shared watch alone to be left', nextTurn);
  assert.ok(touched.has('name-0'), 'nobody says that there is something to look at');
});

test('names that are given up together are closed in turns, unless one is wanted again meanwhile', async (t) => {
  const watches = createWatches();
  const clock = createManualClock();
  const trust = createTrustAnchors({ watchBundles: watches.watch, clock });
  t.after(() => trust.stop());
  const ears = names.map(ear);
  const ends = names.map((name, index) => trust.subscribe(byName(name, true), ears[index]?.listener ?? assert.fail()));
  watches.sync();
  await Promise.all(ears.map(({ nth }) => nth(1)));
  await until(() => trust.health().size === 1, 'the shared watch alone to be left', nextTurn);
  for (const end of ends) {
    end();
  }
  slowDown(t);
  const before = watches.looks();
  clock.advance(60_000);
  const closedAtOnce = watches.looks() - before;
  assert.ok(closedAtOnce < count / 2, `${closedAtOnce} of ${count} were closed at once`);
  const again = ear();
  trust.subscribe(byName(names.at(-1) ?? '', true), again.listener);
  await again.nth(1);
  await until(() => trust.health().size === 1 && !trust.health().has('(all)'), 'the others to be closed', nextTurn);
});

test('of those that wait the oldest and the youngest are taken, whoever has gone between them', () => {
  const hungry = createHungry<number>();
  for (const item of [1, 2, 3, 4, 5, 6, 1]) {
    hungry.add(item);
  }
  hungry.delete(1);
  hungry.delete(6);
  hungry.delete(7);
  assert.equal(hungry.take('oldest'), 2);
  assert.equal(hungry.take('youngest'), 5);
  hungry.add(2);
  assert.deepEqual([hungry.take('oldest'), hungry.take('oldest'), hungry.take('youngest')], [3, 4, 2]);
  assert.equal(hungry.take('oldest'), undefined);
  hungry.add(8);
  hungry.clear();
  assert.equal(hungry.take('youngest'), undefined);
});
