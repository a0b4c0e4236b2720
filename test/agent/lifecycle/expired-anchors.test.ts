/** What a pod and an operator are told of trust anchors that have expired. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createWorld, trustBundle } from './world.ts';

test('expired anchors are told when they are found and when there are more, and the status has how many', async (t) => {
  const world = await createWorld(t);
  const request = world.request('mtls', [trustBundle(0, 'ca.pem')]);
  const published = world.publish(request);
  const certificates = [Buffer.from('root')];
  const told = () =>
    world.notices.flatMap((notice) => (notice.type === 'anchorsExpired' ? [[notice.expired, notice.dropped]] : []));
  const shown = () => world.manager.describe()[0]?.expiredAnchors?.get(0);
  await world.until(() => world.types().includes('publishing'));
  await world.announce({ type: 'found', certificates });
  assert.deepEqual(await published, { type: 'ready' });
  assert.equal(shown(), undefined);
  await world.announce({ type: 'found', certificates, expired: 1 });
  await world.announce({ type: 'found', certificates, expired: 1 });
  assert.deepEqual(told(), [[1, false]]);
  await world.announce({ type: 'found', certificates, expired: 3 });
  assert.deepEqual([told().at(-1), shown()], [[3, false], 3]);
  await world.announce({ type: 'found', certificates, expired: 2 });
  assert.deepEqual([told().length, shown()], [2, 2]);
  await world.announce({ type: 'found', certificates });
  assert.equal(shown(), undefined);
  await world.announce({ type: 'found', certificates, expired: 1 });
  assert.equal(told().length, 3, 'what was mended and is there again is told again');
});
