import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { createAnchorPool } from '../../../agent/trust/anchor-pool.ts';
import { createFeeds } from '../../../agent/trust/feeds.ts';
import { certificatesPerTurn } from '../../../agent/trust/limits.ts';
import { createShelf } from '../../../agent/trust/shelf.ts';
import { until } from '../../support/bounded.ts';
import { fullBundle } from '../../support/full-bundles.ts';
import { derOf, makeAuthority } from './authorities.ts';

const der = derOf(makeAuthority('shelved'));
const names = ['a', 'b', 'c'];

function bundle(name: string, seed: number) {
  const metadata = { name, uid: name, resourceVersion: '1' };
  return { metadata, spec: { signerName: 'example.com/many', trustBundle: fullBundle(der, seed) } };
}

test('the certificates of bundles that go together are given back over many turns of the event loop', async () => {
  const pool = createAnchorPool(32 * 1024 * 1024);
  const read: string[] = [];
  const shelf = createShelf({ pool, onRead: (name) => void read.push(name), onMalformed: assert.fail });
  for (const [seed, name] of names.entries()) {
    shelf.offer(bundle(name, seed));
  }
  await until(() => read.length === names.length, 'the bundles to be read', nextTurn);
  const before = pool.bytes();
  const certificates = names.reduce((sum, name) => sum + (shelf.get(name)?.certificates.length ?? 0), 0);
  const mostInTurn = (certificatesPerTurn * before) / certificates + der.length;
  for (const name of names) {
    shelf.drop(name);
  }
  assert.equal(shelf.get('a'), undefined);
  // What comes next does not lack the room that is still being given back.
  shelf.offer(bundle('d', 9));
  for (let last = before; last > 0 && !read.includes('d'); ) {
    const now = pool.bytes();
    assert.ok(last - now <= mostInTurn, `${last - now} bytes were given back in one turn`);
    last = now;
    await nextTurn();
  }
  await until(() => read.includes('d'), 'the next bundle to be read', nextTurn);
  assert.equal(shelf.get('d')?.isTooMuch, false);
  shelf.stop();
  await until(() => pool.bytes() === 0, 'all to be given back', nextTurn);
});

test('what does not fit is read once, however often watches bring it, until there is room', async () => {
  const pool = createAnchorPool(2 * 1024 * 1024);
  const read: string[] = [];
  const shelf = createShelf({ pool, onRead: (name) => void read.push(name), onMalformed: assert.fail });
  const [first, second] = [bundle('a', 0), bundle('b', 1)];
  shelf.offer(first);
  shelf.offer(second);
  await until(() => read.length === 2, 'both to be read', nextTurn);
  assert.equal(shelf.get('b')?.isTooMuch, true);
  shelf.offer(second);
  assert.equal(shelf.get('b')?.isPending, false, 'there is no more room than before');
  shelf.drop('a');
  await until(() => !shelf.has('b'), 'its text to be asked for again', nextTurn);
  shelf.offer(second);
  await until(() => shelf.get('b')?.isPending === false, 'it to be read again', nextTurn);
  assert.equal(shelf.get('b')?.isTooMuch, false);
  shelf.stop();
});

function usedMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}

/** Processor time of asking for so many names while the first list of all bundles is on its way. */
function timeOfOpening(count: number): number {
  const watch = () => ({
    subscribe: () => () => undefined,
    health: () => ({ synced: false, lastEventAt: undefined, restarts: 0, lastError: undefined, failingForMs: 0 }),
    isTakingOver: () => false,
    lists: () => ({ begun: 0, taken: 0 }),
    get: () => undefined,
    list: () => [],
    stop: () => undefined,
  });
  const nothing = createShelf({ pool: createAnchorPool(1), onRead: assert.fail, onMalformed: assert.fail });
  const feeds = createFeeds(watch, nothing, () => undefined);
  const before = usedMs();
  for (let index = 0; index < count; index += 1) {
    feeds.open({ by: 'name', value: `bundle-${index}` });
  }
  const used = usedMs() - before;
  feeds.stop();
  return used;
}

test('each of thousands of names that are asked for while all bundles are listed costs the same', () => {
  const rounds = [1, 2, 3, 4, 5];
  const least = (count: number) => Math.min(...rounds.map(() => timeOfOpening(count)));
  const [some, many] = [least(500), least(4_000)];
  assert.ok(many < 24 * Math.max(some, 1), `of ${some} ms, eight times as many took ${many} ms`);
});
