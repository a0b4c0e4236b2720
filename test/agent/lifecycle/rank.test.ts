/** What a credential says about itself where it waits for its turn among others. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createWorld, podCertificate } from './world.ts';

test('a refresh says when the certificate that it replaces ends, and a first issuance has nothing to lose', async (t) => {
  const world = await createWorld(t);
  const published = world.publish(world.request('mtls', [podCertificate(0, 'tls.pem')]));
  await world.answer('issue');
  await published;
  const [held] = world.manager.credentials();
  world.clock.advance((held?.refreshAt ?? 0) - world.clock.now());
  await world.until(() => world.submitted.length === 2);
  assert.deepEqual(
    world.submitted.map(({ order }) => [order.priority, order.expiresAt]),
    [
      ['first', undefined],
      ['refresh', held?.notAfter],
    ],
  );
  const pod = world.submitted[0]?.order.identity.pod.uid;
  assert.deepEqual(
    world.ranks.map(({ priority, owner, expiresAt }) => [priority, owner, expiresAt]),
    [
      ['first', pod, undefined],
      ['refresh', pod, held?.notAfter],
    ],
  );
});
