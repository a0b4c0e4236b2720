import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { createAnchorPool } from '../../../agent/trust/anchor-pool.ts';
import {
  certificatesPerTurn,
  longestHeldBytes,
  longestUnionBytes,
  longestWaitingText,
  mostBundlesPerSource,
} from '../../../agent/trust/limits.ts';
import { anchorsOf as anchorSteps } from '../../../agent/trust/selection.ts';
import { createShelf, type ShelvedBundle } from '../../../agent/trust/shelf.ts';
import { atOnce } from '../../../volumes/base/steps.ts';
import { until, withinBound } from '../../support/bounded.ts';
import { fullBundle as fullBundleOf } from '../../support/full-bundles.ts';
import { sendEvent } from '../kubernetes/loopback.ts';
import { bundle, derOf, makeAuthority } from './authorities.ts';
import { byName, bySigner, ear, everything, found, signerName, start } from './service.ts';

const [one, two, three] = ['one', 'two', 'three'].map(makeAuthority) as [string, string, string];
const select = { by: 'signer', signerName, labelSelector: everything } as const;

function shelved(...certificates: Uint8Array[]): ShelvedBundle {
  return { uid: 'x', version: '1', isPending: false, isTooMuch: false, stamp: 1, certificates };
}

/** A bundle as long as the API server takes it, of certificates that no other bundle has. */
function fullBundle(seed: number): string {
  return fullBundleOf(derOf(one), seed);
}

const anchorsOf = (...of: Parameters<typeof anchorSteps>) => atOnce(anchorSteps(...of));

test('a source may select so many bundles and not one more', () => {
  const certificate = derOf(one);
  const selected = Array.from({ length: mostBundlesPerSource }, () => shelved(certificate));
  assert.equal(anchorsOf(select, selected).type, 'found');
  assert.deepEqual(anchorsOf(select, [...selected, shelved(certificate)]), {
    type: 'refused',
    message:
      'the source selects 257 ClusterTrustBundles, more than the 256 that one source may have: ' +
      'its author has to narrow the labelSelector',
  });
});

test('the union of a source may have so many bytes and not one more', () => {
  const [most, least] = [new Uint8Array(longestUnionBytes - 1).fill(1), new Uint8Array(1)];
  assert.equal(anchorsOf(select, [shelved(most), shelved(least)]).type, 'found');
  const refused = anchorsOf(select, [shelved(most), shelved(new Uint8Array(2))]);
  assert.match(JSON.stringify(refused), /"refused".* 4194305 bytes .* more than the 4 MiB of one source/);
  // The pool gives the same array for the same certificate.
  assert.equal(anchorsOf(select, [shelved(most), shelved(most), shelved(least)]).type, 'found');
});

test('an owner may hold half of what others leave of what the node holds, and not one byte more', () => {
  const pool = createAnchorPool(longestHeldBytes);
  const half = longestHeldBytes / 2;
  const most = new Uint8Array(half - 1);
  const held = (): string => `the pool refuses what it has room for or holds already, with ${pool.bytes()} bytes in it`;
  assert.ok(pool.take('a', [most]), held());
  assert.equal(pool.take('a', [new Uint8Array(2)]), undefined);
  assert.ok(pool.take('a', [new Uint8Array(1)]), held());
  assert.equal(pool.room('a'), 0);
  assert.ok(pool.take('a', [most]), held());
  // What is there already costs nothing, and stays its first owner's.
  assert.ok(pool.take('b', [most]), held());
  assert.equal(pool.room('b'), half / 2);
  assert.equal(pool.take('b', [new Uint8Array(half / 2 + 1).fill(1)]), undefined);
  assert.ok(pool.take('b', [new Uint8Array(half / 2).fill(1)]), held());
  assert.equal(pool.room('c'), half / 4);
  for (let holders = 3; holders > 0; holders -= 1) {
    assert.equal(pool.bytes(), half + half / 2);
    pool.giveBack([most]);
  }
  assert.deepEqual([pool.bytes(), pool.room('a')], [half / 2 + 1, (longestHeldBytes - half / 2) / 2 - 1]);
});

test('a signer with a hundred full bundles leaves room for those of others that come later', async () => {
  const pool = createAnchorPool(8 * 1024 * 1024);
  const outcomes = new Map<string, boolean | undefined>();
  const shelf = createShelf({
    pool,
    onRead: (name) => void outcomes.set(name, shelf.get(name)?.isTooMuch),
    onMalformed: assert.fail,
  });
  const offer = (name: string, seed: number, signer: string | undefined): void => {
    const metadata = { name, uid: name, resourceVersion: '1' };
    const spec = { ...(signer === undefined ? {} : { signerName: signer }), trustBundle: fullBundle(seed) };
    shelf.offer({ metadata, spec });
  };
  for (let seed = 0; seed < 10; seed += 1) {
    offer(`many-${seed}`, seed, 'example.com/many');
  }
  await until(() => outcomes.size === 10, 'all to be read', nextTurn);
  const refused = [...outcomes.values()].filter(Boolean);
  assert.ok(refused.length > 0 && refused.length < 10, `${refused.length} of 10 did not fit`);
  offer('late', 10, 'example.com/late');
  offer('own', 11, undefined);
  await until(() => outcomes.size === 12, 'the others to be read', nextTurn);
  assert.deepEqual([outcomes.get('late'), outcomes.get('own')], [false, false]);
  shelf.stop();
});

test('a narrow labelSelector finds its small bundle however many full ones its signer has, and what these take is bounded', async (t) => {
  const heldBytes = 2 * 1024 * 1024;
  const full = Array.from({ length: 4 }, (_, seed) => bundle(`full-${seed}`, fullBundle(seed), { signerName }));
  const mine = bundle('mine', one, { signerName, labels: { for: 'me' } });
  const { trust } = await start(t, [...full, mine], heldBytes);
  const [narrow, wide] = [ear(), ear()];
  trust.subscribe(bySigner({ matchLabels: { for: 'me' }, matchExpressions: [] }), narrow.listener);
  assert.deepEqual(await narrow.nth(1), found(one));
  assert.ok(trust.heldBytes() <= heldBytes / 2, `${trust.heldBytes()} bytes are held of one signer`);
  trust.subscribe(bySigner(everything), wide.listener);
  assert.equal((await wide.nth(1))?.type, 'refused', 'they do not all fit');
  assert.deepEqual(narrow.told, [found(one)]);
});

test('what the node cannot hold fails its own source, keeps the last good anchors, and heals when there is room', async (t) => {
  const [der, other] = [derOf(one), derOf(two)];
  const bundles = [bundle('small', one), bundle('large', one, { signerName })];
  const { trust, alarms, api, watchOf } = await start(t, bundles, 2 * der.length + Math.floor(other.length / 2));
  const [small, large] = [ear(), ear()];
  const end = trust.subscribe(byName('small'), small.listener);
  trust.subscribe(bySigner(everything), large.listener);
  assert.deepEqual([await small.nth(1), await large.nth(1)], [found(one), found(one)]);
  const { response } = await watchOf(`spec.signerName=${signerName}`);
  api.bundles = [bundle('small', one), bundle('large', two, { signerName, resourceVersion: 2 })];
  sendEvent(response, 'MODIFIED', bundle('large', two, { signerName, resourceVersion: 2 }));
  assert.match(JSON.stringify(await large.nth(2)), /"refused".*more than the 32 MiB that the agent holds for all pods/);
  assert.equal(small.told.length, 1);
  assert.equal(trust.heldBytes(), der.length);
  sendEvent(response, 'MODIFIED', bundle('large', one, { signerName, resourceVersion: 3 }));
  assert.deepEqual(await large.nth(3), found(one));
  api.bundles = [bundle('small', one), bundle('large', one), bundle('more', two, { signerName, resourceVersion: 4 })];
  sendEvent(response, 'ADDED', bundle('more', two, { signerName, resourceVersion: 4 }));
  assert.equal((await large.nth(4))?.type, 'refused');
  sendEvent(response, 'DELETED', bundle('large', one, { signerName, resourceVersion: 5 }));
  end();
  for (const { callback } of alarms) {
    callback();
  }
  assert.deepEqual(await large.nth(5), found(two));
});

test('a bundle that did not fit comes back when another becomes smaller, counted without what is held already', async (t) => {
  const [first, second, third] = [derOf(one), derOf(two), derOf(three)];
  const large = (pem: string, version: number) => bundle('large', pem, { signerName, resourceVersion: version });
  const shared = bundle('shared', one + three);
  // Half of what `small` leaves: one certificate beside it, and not another.
  const room = first.length + 2 * Math.max(second.length, third.length);
  const { trust, api, watchOf } = await start(t, [bundle('small', one), large(one + two, 1), shared], room);
  const [small, big, ofBoth] = [ear(), ear(), ear()];
  trust.subscribe(byName('small'), small.listener);
  trust.subscribe(bySigner(everything), big.listener);
  assert.deepEqual([await small.nth(1), await big.nth(1)], [found(one), found(one, two)]);
  trust.subscribe(byName('shared'), ofBoth.listener);
  assert.equal((await ofBoth.nth(1))?.type, 'refused');
  const { response } = await watchOf(`spec.signerName=${signerName}`);
  api.bundles = [bundle('small', one), large(one, 2), shared];
  sendEvent(response, 'MODIFIED', large(one, 2));
  assert.deepEqual(await big.nth(2), found(one));
  assert.deepEqual(await ofBoth.nth(2), found(one, three));
});

test('of twenty full bundles no two are read within one turn of the event loop, nor more than so many certificates', {
  timeout: 240_000,
}, async () => {
  const texts = Array.from({ length: 20 }, (_, index) => fullBundle(index));
  const turnsOf = (text: string): number => Math.ceil(countOf(text) / certificatesPerTurn);
  let read = 0;
  const shelf = createShelf({
    pool: createAnchorPool(Number.POSITIVE_INFINITY),
    onRead: () => {
      read += 1;
    },
    onMalformed: (name, reason) => assert.fail(`${name}: ${reason}`),
  });
  for (const [index, text] of texts.entries()) {
    shelf.offer(bundle(`bundle-${index}`, text));
  }
  /** Turns between the ends of two bundles. */
  const pauses: number[] = [];
  let turns = 0;
  await until(
    () => read === texts.length,
    () => `20 bundles to be read, of which ${read} are`,
    async () => {
      const before = read;
      await nextTurn();
      turns += 1;
      assert.ok(read - before <= 1, `${read - before} bundles were read within one turn`);
      if (read > before) {
        pauses.push(turns);
        turns = 0;
      }
    },
  );
  shelf.stop();
  // A turn for each part of a bundle, and one before the next bundle begins.
  const least = turnsOf(texts[0] ?? '');
  assert.ok(least > 1, `a full bundle is read in ${least} turn`);
  assert.deepEqual(
    pauses.slice(1).filter((pause) => pause < least + 1),
    [],
    `of a full bundle no turn reads more than ${certificatesPerTurn} certificates`,
  );
});

function countOf(text: string): number {
  return text.split('-----BEGIN').length - 1;
}

test('while so much text waits to be read there is no room for more, until enough of it is read or dropped', async () => {
  const text = fullBundle(1);
  const shelf = createShelf({
    pool: createAnchorPool(Number.POSITIVE_INFINITY),
    onRead: () => undefined,
    onMalformed: (name, reason) => assert.fail(`${name}: ${reason}`),
  });
  const most = Math.ceil(longestWaitingText / text.length);
  for (let index = 0; index < most; index += 1) {
    assert.equal(shelf.untilRoom(), undefined, `no room after ${index} bundles`);
    shelf.offer(bundle(`bundle-${index}`, text));
  }
  const room = shelf.untilRoom();
  assert.ok(room !== undefined, 'there is room for more than the limit');
  await withinBound(room, 'room for more bundles');
  assert.equal(shelf.untilRoom(), undefined);
  for (let index = 0; index < most; index += 1) {
    shelf.offer(bundle(`other-${index}`, text));
  }
  const again = shelf.untilRoom();
  assert.ok(again !== undefined, 'there is room for more than the limit');
  shelf.stop();
  await withinBound(again, 'room once everything is dropped');
});

test('of many selections among full bundles of one signer a few are put together in one turn of the event loop', async (t) => {
  const authorities = Array.from({ length: 100 }, (_, index) => makeAuthority(`authority ${index}`));
  const { trust } = await start(t, [bundle('roots', authorities.join(''), { signerName, labels: { a: 'b' } })]);
  let turn = 0;
  let isOver = false;
  const counting = (async () => {
    for (; !isOver; turn += 1) {
      await nextTurn();
    }
  })();
  const turns: number[] = [];
  for (let index = 0; index < 30; index += 1) {
    const matchExpressions = [{ key: `absent-${index}`, operator: 'DoesNotExist', values: [] } as const];
    trust.subscribe(bySigner({ matchLabels: {}, matchExpressions }), () => turns.push(turn));
  }
  await until(
    () => turns.length === 30,
    () => `30 selections to be told, of ${turns.length} so far`,
  );
  isOver = true;
  await counting;
  const most = Math.ceil(certificatesPerTurn / authorities.length);
  const inOneTurn = [...Map.groupBy(turns, (each) => each).values()].map(({ length }) => length);
  assert.ok(Math.max(...inOneTurn) <= most, `they are told in the turns ${turns}`);
});
