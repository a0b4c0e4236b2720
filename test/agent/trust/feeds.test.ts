import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { inspect } from 'node:util';
import { createLiveCopy } from '../../../agent/kubernetes/live-copy.ts';
import type { ClusterTrustBundle } from '../../../agent/kubernetes/objects.ts';
import { createAnchorPool } from '../../../agent/trust/anchor-pool.ts';
import type { BundleOutline } from '../../../agent/trust/feed.ts';
import { createFeeds } from '../../../agent/trust/feeds.ts';
import { longestHeldBytes, mostFirstLooks, mostSingleWatches } from '../../../agent/trust/limits.ts';
import { createShelf } from '../../../agent/trust/shelf.ts';
import { eventOf, until } from '../../support/bounded.ts';
import { isWatch, sendEvent } from '../kubernetes/loopback.ts';
import { bundle, makeAuthority } from './authorities.ts';
import { byName, bySigner, type Ear, ear, everything, found, signerName, start } from './service.ts';

const [one, two, three] = ['one', 'two', 'three'].map(makeAuthority) as [string, string, string];
const shared = '(all)';
const few = Array.from({ length: mostSingleWatches }, (_, index) => `roots-${index}`);

test('a handful of names is watched one by one, and more of them through one watch of all bundles', async (t) => {
  const { trust, watchOf, server } = await start(t, [...few.map((name) => bundle(name, one)), bundle('last', two)]);
  const ears = [...few, 'last'].map((name) => ({ name, ...ear() }));
  for (const { name, listener } of ears.slice(0, -1)) {
    trust.subscribe(byName(name), listener);
  }
  for (const { nth } of ears.slice(0, -1)) {
    assert.deepEqual(await nth(1), found(one));
  }
  assert.deepEqual(
    [...trust.health().keys()],
    few.map((name) => `metadata.name=${name}`),
  );
  const last = ears.at(-1) ?? assert.fail();
  trust.subscribe(byName('last'), last.listener);
  assert.deepEqual(await last.nth(1), found(two));
  await until(() => trust.health().size === 1, 'the shared watch alone is left');
  assert.deepEqual([...trust.health().keys()], [shared]);
  const { response } = await watchOf('');
  sendEvent(response, 'MODIFIED', bundle('roots-0', three, { resourceVersion: 2 }));
  assert.deepEqual(await ears[0]?.nth(2), found(three));
  assert.ok(
    ears.slice(1).every(({ told }) => told.length === 1),
    inspect(ears.map(({ told }) => told.length)),
  );
  assert.equal(server.received.filter(isWatch).length, few.length + 1);
});

test('512 optional names, most of them of nothing, make one standing watch and no burst of calls', async (t) => {
  const { trust, server } = await start(t, [bundle('name-3', one), bundle('name-500', two), bundle('unused', three)]);
  const ears = Array.from({ length: 512 }, (_, index) => ({ name: `name-${index}`, ...ear() }));
  for (const { name, listener } of ears) {
    trust.subscribe(byName(name, true), listener);
  }
  const told = await Promise.all(ears.map(({ nth }) => nth(1)));
  assert.deepEqual(told[3], found(one));
  assert.deepEqual(told[500], found(two));
  assert.deepEqual(told[0], { type: 'missing', message: 'there is no ClusterTrustBundle "name-0"' });
  await until(() => trust.health().size === 1, 'the shared watch alone is left');
  assert.ok(server.received.length < 64, `${server.received.length} calls`);
  assert.ok(
    ears.every((each) => each.told.length === 1),
    inspect(ears.map(({ told }) => told.length)),
  );
});

test('changing over to the shared watch loses no update and tells of nothing missing', async (t) => {
  const { trust, watchOf, api } = await start(
    t,
    few.map((name) => bundle(name, one)),
  );
  const ears = few.map((name) => ({ name, ...ear() }));
  for (const { name, listener } of ears) {
    trust.subscribe(byName(name), listener);
  }
  await Promise.all(ears.map(({ nth }) => nth(1)));
  const own = await watchOf('metadata.name=roots-0');
  const other = await watchOf('metadata.name=roots-1');
  let answer = (): void => {};
  api.sharedList = new Promise<void>((resolve) => {
    answer = resolve;
  });
  // The list of all bundles is older than what the watches of single names bring before it is answered.
  api.bundles = [...few.slice(2).map((name) => bundle(name, one)), bundle('roots-1', one)];
  trust.subscribe(byName('last'), ear().listener);
  await until(() => trust.health().has(shared), 'the shared watch has begun');
  sendEvent(own.response, 'MODIFIED', bundle('roots-0', two, { resourceVersion: 5 }));
  assert.deepEqual(await ears[0]?.nth(2), found(two));
  sendEvent(other.response, 'MODIFIED', bundle('roots-1', two, { resourceVersion: 6 }));
  assert.deepEqual(await ears[1]?.nth(2), found(two));
  answer();
  const all = await watchOf('');
  await until(() => trust.health().size === 3, 'those that know the same have changed over');
  // The watch of single names ends only when the shared one has caught up with it.
  const closed = [
    eventOf(own.response, 'close', 'the connection of the watch to be closed'),
    eventOf(other.response, 'close', 'the connection of the watch to be closed'),
  ];
  sendEvent(all.response, 'ADDED', bundle('roots-0', two, { resourceVersion: 5 }));
  sendEvent(all.response, 'MODIFIED', bundle('roots-1', two, { resourceVersion: 6 }));
  await Promise.all(closed);
  sendEvent(all.response, 'MODIFIED', bundle('roots-0', three, { resourceVersion: 7 }));
  assert.deepEqual(await ears[0]?.nth(3), found(three));
  assert.deepEqual(ears[0]?.told, [found(one), found(two), found(three)]);
  assert.deepEqual(ears[1]?.told, [found(one), found(two)]);
  assert.ok(
    ears.slice(2).every(({ told }) => told.length === 1),
    inspect(ears.map(({ told }) => told.length)),
  );
});

test('of what the shared watch shows only what is asked for is held, and what is asked for later is fetched', async (t) => {
  const bundles = [...few.map((name) => bundle(name, one)), bundle('mesh', `${two}${three}`, { signerName })];
  const { trust, watchOf } = await start(t, bundles);
  const ears = [...few, 'last'].map((name) => ({ name, ...ear() }));
  for (const { name, listener } of ears) {
    trust.subscribe(byName(name), listener);
  }
  await Promise.all(ears.map(({ nth }) => nth(1)));
  await until(() => trust.health().size === 1, 'the shared watch alone is left');
  const before = trust.heldBytes();
  const { listener, nth } = ear();
  trust.subscribe(bySigner(everything), listener);
  assert.deepEqual(await nth(1), found(two, three));
  assert.ok(trust.heldBytes() > before, `${trust.heldBytes()} is not more than ${before}`);
  await until(() => trust.health().size === 1, 'the fetch has ended');
  const { response } = await watchOf('');
  sendEvent(response, 'MODIFIED', bundle('mesh', two, { signerName, resourceVersion: 2 }));
  assert.deepEqual(await nth(2), found(two));
});

test('with few names left each has its own watch again, and the shared one ends', async (t) => {
  const { trust, alarms, watchOf } = await start(
    t,
    [...few, 'last'].map((name) => bundle(name, one)),
  );
  const ears = [...few, 'last'].map((name) => ({ name, ...ear() }));
  const [last, ...ends] = ears.toReversed().map(
    ({ name, listener }) =>
      () =>
        trust.subscribe(byName(name), listener),
  );
  const ended = ends.map((subscribe) => subscribe());
  await watchOf('metadata.name=roots-1');
  ended.push(last?.() ?? assert.fail());
  await Promise.all(ears.map(({ nth }) => nth(1)));
  await until(() => trust.health().size === 1, 'the shared watch alone is left');
  for (const end of [...ended.slice(0, few.length - 2), ...ended.slice(-1)]) {
    end();
  }
  for (const { callback } of alarms) {
    callback();
  }
  await until(() => trust.health().size === 2 && !trust.health().has(shared), 'two watches are left');
  const { response } = await watchOf('metadata.name=roots-1', 2);
  sendEvent(response, 'MODIFIED', bundle('roots-1', two, { resourceVersion: 2 }));
  assert.deepEqual(await ears[1]?.nth(2), found(two));
  assert.deepEqual(ears[0]?.told, [found(one)]);
});

/** More names than are watched one by one, while the list of all bundles is on its way until `answer` is called. */
async function whileListing(t: TestContext, bundles: ClusterTrustBundle[]) {
  const service = await start(t, bundles);
  const { promise, resolve: answer } = Promise.withResolvers<void>();
  service.api.sharedList = promise;
  t.after(() => answer());
  for (const name of few) {
    service.trust.subscribe(byName(name, true), ear().listener);
  }
  const subscribe = (name: string, optional = false): Ear => {
    const own = ear();
    service.trust.subscribe(byName(name, optional), own.listener);
    return own;
  };
  return { ...service, subscribe, answer };
}

test('nobody waits for the first list of all bundles, which others have made long', async (t) => {
  const { trust, watchOf, api, subscribe, answer } = await whileListing(t, [bundle('mesh', one)]);
  const own = subscribe('mesh');
  const absent = subscribe('absent', true);
  assert.deepEqual(await own.nth(1), found(one));
  assert.deepEqual(await absent.nth(1), { type: 'missing', message: 'there is no ClusterTrustBundle "absent"' });
  assert.equal(trust.health().get(shared)?.synced, false);
  // What has changed since the first look comes with the list, and what changes later with its watch.
  api.bundles = [bundle('mesh', two, { resourceVersion: 2 }), bundle('absent', three, { resourceVersion: 3 })];
  answer();
  assert.deepEqual(await own.nth(2), found(two));
  assert.deepEqual(await absent.nth(2), found(three));
  const { response } = await watchOf('');
  sendEvent(response, 'MODIFIED', bundle('mesh', three, { resourceVersion: 4 }));
  assert.deepEqual(await own.nth(3), found(three));
  await until(() => trust.health().size === 1, 'the shared watch alone is left');
});

test('a first look is given to a few at once, and to whoever came last before those that wait longer', async (t) => {
  const { server, subscribe } = await whileListing(t, [bundle('mesh', one)]);
  const many = Array.from({ length: 100 }, (_, index) => subscribe(`crowd-${index}`, true));
  const own = subscribe('mesh');
  assert.deepEqual(await own.nth(1), found(one));
  const looks = server.received.filter(({ query }) => /=(crowd-|mesh)/.test(query.get('fieldSelector') ?? ''));
  const position = looks.findIndex(({ query }) => query.get('fieldSelector') === 'metadata.name=mesh');
  assert.ok(position <= mostFirstLooks, `the last one came ${position} places behind`);
  await Promise.all(many.map(({ nth }) => nth(1)));
});

test('however many bundles of one signer come at once, each is looked up a few times and not once for each other', async () => {
  const count = 3_000;
  const copy = createLiveCopy<BundleOutline>((cause) => assert.fail(String(cause)));
  const shelf = createShelf({
    pool: createAnchorPool(longestHeldBytes),
    onRead: () => undefined,
    onMalformed: (name, reason) => assert.fail(`${name}: ${reason}`),
  });
  let lookUps = 0;
  const counting = {
    ...shelf,
    has(name: string): boolean {
      lookUps += 1;
      return shelf.has(name);
    },
    get(name: string) {
      lookUps += 1;
      return shelf.get(name);
    },
  };
  const health = { synced: true, lastEventAt: 0, restarts: 0, lastError: undefined, failingForMs: 0 };
  const feeds = createFeeds(
    (_selector, _onError, take) => {
      for (let index = 0; index < count; index += 1) {
        queueMicrotask(() => copy.put(take(bundle(`mesh:${index}`, one, { signerName }))));
      }
      return {
        ...copy,
        health: () => health,
        isTakingOver: () => false,
        lists: () => ({ begun: 1, taken: 1 }),
        stop: copy.close,
      };
    },
    counting,
    () => undefined,
  );
  const key = { by: 'signer', value: signerName } as const;
  feeds.open(key);
  await nextTurn();
  await nextTurn();
  assert.equal(feeds.view(key).bundles.length, count);
  assert.ok(lookUps <= 10 * count, `${lookUps} look-ups for ${count} bundles`);
  feeds.stop();
  shelf.stop();
});
