/** Certificates that are to name the pod's addresses, which a pod has only after its volumes are there. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PodIdentity } from '../../../agent/lifecycle/ports.ts';
import { createWorld, hour, minute, podCertificate } from './world.ts';

/** A pod that has no addresses until the test gives it some. */
function podWithout() {
  const own: { podIPs: readonly string[] } = { podIPs: [] };
  return {
    own,
    identity: (identity: PodIdentity): PodIdentity => ({ ...identity, podIPs: own.podIPs }),
  };
}

test('the first certificate comes without addresses at once, and another with them as soon as the pod has some', async (t) => {
  const { own, identity } = podWithout();
  const world = await createWorld(t, { identity, namesAddresses: true });
  const request = world.request('mtls', [podCertificate(0, 'tls.pem')]);
  const published = world.publish(request);
  await world.answer('issue');
  assert.deepEqual(await published, { type: 'ready' });
  const first = world.read(request, 'tls.pem');
  await world.until(() => world.awaitingAddresses.size === 1);

  own.podIPs = ['10.0.0.7'];
  for (const listener of [...world.awaitingAddresses]) {
    world.awaitingAddresses.delete(listener);
    listener();
  }
  await world.until(() => world.submitted.length === 2);
  assert.equal(world.read(request, 'tls.pem'), first, 'the files are full while the next certificate is asked for');
  assert.deepEqual(
    world.submitted.map(({ order }) => order.identity.podIPs),
    [[], ['10.0.0.7']],
  );
  await world.answer('issue');
  await world.until(() => world.read(request, 'tls.pem') !== first);
  assert.equal(world.awaitingAddresses.size, 0, 'nobody waits for addresses any more');
});

test('a restarted agent goes on waiting for the addresses of a pod that had none', async (t) => {
  const { own, identity } = podWithout();
  const world = await createWorld(t, { identity, namesAddresses: true });
  const published = world.publish(world.request('mtls', [podCertificate(0, 'tls.pem')]));
  await world.answer('issue');
  await published;
  world.awaitingAddresses.clear();
  await world.restart();
  assert.equal(world.awaitingAddresses.size, 1);
  own.podIPs = ['10.0.0.7'];
  [...world.awaitingAddresses][0]?.();
  await world.answer('issue');
  await world.until(() => world.types().filter((type) => type === 'projected').length === 2);
  world.awaitingAddresses.clear();
  await world.restart();
  assert.equal(world.awaitingAddresses.size, 0, 'what was asked for with addresses waits for none');
  assert.equal(world.submitted.length, 2);
});

test('an API server that shows no addresses yet is asked again after a pause, and no certificate is made meanwhile', async (t) => {
  const { own, identity } = podWithout();
  const world = await createWorld(t, { identity, namesAddresses: true });
  const request = world.request('mtls', [podCertificate(0, 'tls.pem')]);
  const published = world.publish(request);
  await world.answer('issue');
  await published;
  [...world.awaitingAddresses][0]?.();
  await world.until(() => world.manager.credentials()[0]?.lastError?.includes('addresses') === true);
  assert.equal(world.submitted.length, 1);
  own.podIPs = ['10.0.0.7'];
  world.clock.advance(2_000);
  await world.answer('issue');
  assert.equal(world.submitted.length, 2);
});

test('a pod that never gets addresses of its own is refreshed as any other, and one of the node’s network waits for none', async (t) => {
  const never = await createWorld(t, { identity: podWithout().identity, namesAddresses: true });
  const published = never.publish(never.request('mtls', [podCertificate(0, 'tls.pem')]));
  await never.answer('issue');
  await published;
  never.clock.advance(23 * hour + 30 * minute);
  await never.answer('issue');
  assert.equal(never.submitted.length, 2);

  const host = await createWorld(t, { identity: (identity) => identity, namesAddresses: true });
  const hosted = host.publish(host.request('mtls', [podCertificate(0, 'tls.pem')]));
  await host.answer('issue');
  await hosted;
  assert.equal(host.awaitingAddresses.size, 0);
});
