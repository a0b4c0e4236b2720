import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { LabelSelector } from '../../../volumes/declaration/types.ts';
import { eventOf, until } from '../../support/bounded.ts';
import { isWatch, sendEvent } from '../kubernetes/loopback.ts';
import { bundle, derOf, makeAuthority } from './authorities.ts';
import { byName, bySigner, ear, everything, found, signerName, start } from './service.ts';

const [one, two, three] = ['one', 'two', 'three'].map(makeAuthority) as [string, string, string];

test('a bundle by name is told once it is known, and again at once when it changes', async (t) => {
  const { trust, watchOf } = await start(t, [bundle('roots', `${two}${one}${two}`)]);
  const { listener, nth, told } = ear();
  trust.subscribe(byName('roots'), listener);
  assert.deepEqual(told, []);
  assert.deepEqual(await nth(1), found(one, two));
  const { response } = await watchOf('metadata.name=roots');
  sendEvent(response, 'MODIFIED', bundle('roots', three, { resourceVersion: 2 }));
  assert.deepEqual(await nth(2), found(three));
  sendEvent(response, 'DELETED', bundle('roots', three, { resourceVersion: 3 }));
  assert.deepEqual(await nth(3), { type: 'missing', message: 'there is no ClusterTrustBundle "roots"' });
});

test('after data were restored from a backup bundles are as they were then, and what changes next is told', async (t) => {
  const { api, server, trust, watchOf } = await start(t, [bundle('roots', one, { resourceVersion: 40 })]);
  api.revision = 40;
  const { listener, nth, told } = ear();
  trust.subscribe(byName('roots'), listener);
  assert.deepEqual(await nth(1), found(one));
  await watchOf('metadata.name=roots');
  // The same object, in an earlier version.
  api.bundles = [bundle('roots', two, { resourceVersion: 9 })];
  api.revision = 12;
  server.breakConnections();
  const { response } = await watchOf('metadata.name=roots', 2);
  sendEvent(response, 'BOOKMARK', { metadata: { resourceVersion: '12' } });
  assert.deepEqual(await nth(2), found(two));
  // The watch that goes on from the new list may be yet to come.
  const informed = new Set<object>();
  await until(() => {
    for (const watching of server.received.filter((call) => isWatch(call) && !informed.has(call))) {
      informed.add(watching);
      sendEvent(watching.response, 'MODIFIED', bundle('roots', three, { resourceVersion: 13 }));
    }
    return told.length >= 3;
  }, 'the change to be told');
  assert.deepEqual(told.at(-1), found(three));
});

test('a change that leaves the certificates as they were is not told', async (t) => {
  const { trust, watchOf } = await start(t, [bundle('roots', `${one}${two}`)]);
  const { listener, nth, told } = ear();
  trust.subscribe(byName('roots'), listener);
  await nth(1);
  const { response } = await watchOf('metadata.name=roots');
  sendEvent(response, 'MODIFIED', bundle('roots', `reordered\n${two}\n${one}`, { resourceVersion: 2 }));
  sendEvent(response, 'MODIFIED', bundle('roots', three, { resourceVersion: 3 }));
  await nth(2);
  assert.deepEqual(told, [found(one, two), found(three)]);
});

test('a signer’s bundles are united over those whose labels match', async (t) => {
  const { trust, watchOf, server } = await start(t, [
    bundle('mesh:old', `${one}${two}`, { signerName, labels: { stage: 'old' } }),
    bundle('mesh:new', two, { signerName, labels: { stage: 'new' } }),
    bundle('other', three, { signerName: 'example.com/other' }),
  ]);
  const [all, some, none] = [ear(), ear(), ear()];
  const fresh: LabelSelector = { matchLabels: { stage: 'new' }, matchExpressions: [] };
  trust.subscribe(bySigner(everything), all.listener);
  trust.subscribe(bySigner(fresh), some.listener);
  trust.subscribe(bySigner(undefined), none.listener);
  assert.deepEqual(await all.nth(1), found(one, two));
  assert.deepEqual(await some.nth(1), found(two));
  assert.deepEqual(await none.nth(1), {
    type: 'missing',
    message:
      'the source has no labelSelector, which matches nothing: name the labels of the bundles, or {} for all of signer "example.com/mesh"',
  });
  const { response } = await watchOf(`spec.signerName=${signerName}`);
  sendEvent(
    response,
    'MODIFIED',
    bundle('mesh:new', three, { signerName, labels: { stage: 'x' }, resourceVersion: 2 }),
  );
  assert.deepEqual(await all.nth(2), found(one, two, three));
  assert.deepEqual(await some.nth(2), {
    type: 'missing',
    message: `signer "${signerName}" has ClusterTrustBundles, and none of them matches the labelSelector`,
  });
  assert.equal(server.received.filter(isWatch).length, 1);
});

test('a signer without any bundle is told from one of whose bundles none matches', async (t) => {
  const { trust, watchOf } = await start(t, []);
  const { listener, nth } = ear();
  trust.subscribe(bySigner({ matchLabels: { stage: 'new' }, matchExpressions: [] }), listener);
  assert.deepEqual(await nth(1), {
    type: 'missing',
    message: `signer "${signerName}" has no ClusterTrustBundle at all`,
  });
  const { response } = await watchOf(`spec.signerName=${signerName}`);
  sendEvent(response, 'ADDED', bundle('mesh:old', one, { signerName, labels: { stage: 'old' }, resourceVersion: 2 }));
  assert.deepEqual(await nth(2), {
    type: 'missing',
    message: `signer "${signerName}" has ClusterTrustBundles, and none of them matches the labelSelector`,
  });
});

test('a complete list that replaces one bundle by another is told as one change', async (t) => {
  const { trust, watchOf, api } = await start(t, [bundle('a', one, { signerName })]);
  const { listener, nth, told } = ear();
  trust.subscribe(bySigner(everything), listener);
  await nth(1);
  const { response } = await watchOf(`spec.signerName=${signerName}`);
  api.bundles = [bundle('b', two, { signerName })];
  sendEvent(response, 'ERROR', { kind: 'Status', code: 410 });
  await nth(2);
  assert.deepEqual(told, [found(one), found(two)]);
});

test('a complete list is told as one change also when it takes many turns to be taken over', async (t) => {
  const crowd = Array.from({ length: 1_500 }, (_, index) => `other-${index}`);
  const others = (version: number) =>
    crowd.map((name) => bundle(`${name}-${version}`, three, { signerName, labels: { stage: 'old' } }));
  const labels = { stage: 'new' };
  const { trust, watchOf, api } = await start(t, [bundle('a', one, { signerName, labels }), ...others(1)]);
  const { listener, nth, told } = ear();
  trust.subscribe(bySigner({ matchLabels: labels, matchExpressions: [] }), listener);
  await nth(1);
  const { response } = await watchOf(`spec.signerName=${signerName}`);
  api.bundles = [...others(2), bundle('b', two, { signerName, labels })];
  sendEvent(response, 'ERROR', { kind: 'Status', code: 410 });
  await nth(2);
  assert.deepEqual(told, [found(one), found(two)]);
});

test('a malformed bundle is reported once, and the rest is used', async (t) => {
  const { trust, malformed, watchOf } = await start(t, [
    bundle('bad', 'no certificate here', { signerName }),
    bundle('good', one, { signerName }),
  ]);
  const [first, second] = [ear(), ear()];
  trust.subscribe(bySigner(everything), first.listener);
  assert.deepEqual(await first.nth(1), found(one));
  trust.subscribe(bySigner(everything), second.listener);
  assert.deepEqual(await second.nth(1), found(one));
  assert.deepEqual(malformed, ['bad: it holds no certificate']);
  const { response } = await watchOf(`spec.signerName=${signerName}`);
  sendEvent(response, 'DELETED', bundle('good', one, { signerName, resourceVersion: 2 }));
  assert.match(JSON.stringify(await first.nth(2)), /no certificate can be read from the 1 ClusterTrustBundle/);
});

test('only what is in use is watched, and a watch ends a little after its last user', async (t) => {
  const { trust, server, alarms, watchOf } = await start(t, [bundle('roots', one)]);
  const [first, second, third] = [ear(), ear(), ear()];
  assert.equal(server.received.length, 0);
  const endFirst = trust.subscribe(byName('roots'), first.listener);
  const endSecond = trust.subscribe(byName('roots'), second.listener);
  await Promise.all([first.nth(1), second.nth(1)]);
  const { response } = await watchOf('metadata.name=roots');
  assert.deepEqual([...trust.health().keys()], ['metadata.name=roots']);
  endFirst();
  endFirst();
  assert.equal(alarms.length, 0);
  endSecond();
  assert.equal(alarms.length, 1);
  const endThird = trust.subscribe(byName('roots'), third.listener);
  assert.equal(alarms[0]?.cancelled, true);
  assert.deepEqual(await third.nth(1), found(one));
  endThird();
  assert.equal(alarms[1]?.time, 1000);
  const closed = eventOf(response, 'close', 'the connection of the request to be closed');
  alarms[1]?.callback();
  await closed;
  assert.equal(trust.health().size, 0);
  assert.equal(server.received.filter(isWatch).length, 1);
});

test('an absent API is told as missing with what to switch on, and is found once it is there', async (t) => {
  const { trust, api } = await start(t, [bundle('roots', one)]);
  api.served = false;
  const { listener, nth, told } = ear();
  trust.subscribe(byName('roots', true), listener);
  const missing = await nth(1);
  assert.match(JSON.stringify(missing), /does not serve ClusterTrustBundles: start kube-apiserver with/);
  api.served = true;
  assert.deepEqual(await nth(2), found(one));
  assert.equal(told.length, 2);
});

test('an API that goes away takes no anchors away', async (t) => {
  const { trust, api, server, watchOf } = await start(t, [bundle('roots', one)]);
  const { listener, nth, told } = ear();
  trust.subscribe(byName('roots', true), listener);
  await nth(1);
  const { response } = await watchOf('metadata.name=roots');
  api.served = false;
  response.end();
  await server.nth(2, ({ path }) => path === '/version');
  assert.equal(told.length, 1);
});

test('bundles that may not be read hold a source back, and say so where the source is not optional', async (t) => {
  const { trust, api, server } = await start(t, [bundle('roots', one)]);
  api.forbidden = true;
  const [needed, optional] = [ear(), ear()];
  trust.subscribe(byName('roots'), needed.listener);
  trust.subscribe(byName('roots', true), optional.listener);
  assert.match(JSON.stringify(await needed.nth(1)), /does not let the tester list clustertrustbundles/);
  await server.nth(3, ({ path }) => path.endsWith('/clustertrustbundles'));
  assert.deepEqual(optional.told, []);
  api.forbidden = false;
  assert.deepEqual(await optional.nth(1), found(one));
});

test('a listener that throws keeps nobody else from being told', async (t) => {
  const { trust, faults } = await start(t, [bundle('roots', one)]);
  const { listener, nth } = ear();
  trust.subscribe(byName('roots'), () => {
    throw new Error('broken listener');
  });
  trust.subscribe(byName('roots'), listener);
  await nth(1);
  assert.equal(faults.length, 1);
});

test('after stop or after its end a subscription is told nothing', async (t) => {
  const { trust, watchOf } = await start(t, [bundle('roots', one), bundle('more', two)]);
  const [ended, kept] = [ear(), ear()];
  const end = trust.subscribe(byName('roots'), ended.listener);
  end();
  trust.subscribe(byName('roots'), kept.listener);
  await kept.nth(1);
  assert.deepEqual(ended.told, []);
  const { response } = await watchOf('metadata.name=roots');
  const closed = eventOf(response, 'close', 'the connection of the request to be closed');
  trust.stop();
  await closed;
  assert.equal(trust.health().size, 0);
  assert.equal(kept.told.length, 1);
});

test('a bundle that can no longer be read keeps its last good anchors until it is deleted', async (t) => {
  const { trust, malformed, watchOf } = await start(t, [bundle('roots', one, { signerName })]);
  const [named, signed, late] = [ear(), ear(), ear()];
  trust.subscribe(byName('roots', true), named.listener);
  trust.subscribe(bySigner(everything), signed.listener);
  assert.deepEqual([await named.nth(1), await signed.nth(1)], [found(one), found(one)]);
  const watches = [await watchOf('metadata.name=roots'), await watchOf(`spec.signerName=${signerName}`)];
  const send = (type: string, pem: string, resourceVersion: number, uid = 'roots'): void => {
    const object = bundle('roots', pem, { signerName, resourceVersion });
    for (const { response } of watches) {
      sendEvent(response, type, { ...object, metadata: { ...object.metadata, uid } });
    }
  };
  send('MODIFIED', 'nothing of use', 2);
  trust.subscribe(bySigner({ matchLabels: {}, matchExpressions: [] }), late.listener);
  send('MODIFIED', two, 3);
  assert.deepEqual([await named.nth(2), await signed.nth(2)], [found(two), found(two)]);
  send('MODIFIED', 'nothing of use', 4);
  const added = bundle('more', three, { signerName, resourceVersion: 5 });
  sendEvent(watches[1]?.response ?? assert.fail(), 'ADDED', added);
  assert.deepEqual(await signed.nth(3), found(two, three));
  assert.deepEqual(await late.nth(1), found(one));
  assert.ok(
    malformed.includes('roots: it holds no certificate; the certificates of its last readable version stay in use'),
    `roots: it holds no certificate; the certificates of its last readable version stay in use is not in:\n${malformed}`,
  );
  send('DELETED', 'nothing of use', 6);
  assert.deepEqual(await signed.nth(4), found(three));
  assert.deepEqual(await named.nth(3), { type: 'missing', message: 'there is no ClusterTrustBundle "roots"' });
  send('ADDED', 'nothing of use', 7, 'another');
  assert.deepEqual(await named.nth(4), {
    type: 'refused',
    message:
      'no certificate can be read from the 1 ClusterTrustBundle(s) selected: whoever publishes them has to correct them',
  });
});

test('subscriptions that select the same, and bundles that hold the same, share one copy', async (t) => {
  const names = Array.from({ length: 6 }, (_, index) => `roots-${index}`);
  const { trust } = await start(
    t,
    names.map((name) => bundle(name, `${one}${two}`)),
  );
  const ears = Array.from({ length: 16 }, () => names.map((name) => ({ name, ...ear() }))).flat();
  for (const { name, listener } of ears) {
    trust.subscribe(byName(name), listener);
  }
  const told = await Promise.all(ears.map(({ nth }) => nth(1)));
  const copies = new Set(told.flatMap((anchors) => (anchors?.type === 'found' ? anchors.certificates : [])));
  assert.equal(copies.size, 2);
  assert.equal(trust.heldBytes(), derOf(one).length + derOf(two).length);
  assert.ok(
    new Set(told.map((anchors) => anchors?.type === 'found' && anchors.certificates)).size <= names.length,
    'more lists are held than there are names',
  );
});

test('hundreds of selections that are due at once are told in a few turns of the event loop', async (t) => {
  const { trust } = await start(t, [bundle('mesh', one, { signerName })]);
  const first = ear();
  trust.subscribe(bySigner(), first.listener);
  await first.nth(1);
  const ears = Array.from({ length: 500 }, (_, index) => {
    const own = ear();
    trust.subscribe(bySigner({ matchLabels: { tier: String(index) }, matchExpressions: [] }), own.listener);
    return own;
  });
  let turns = 0;
  while (turns < 1_000 && ears.some(({ told }) => told.length === 0)) {
    turns += 1;
    await nextTurn();
  }
  assert.ok(turns < 100, `${turns} turns, in each of which others wait for theirs`);
});
