import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AgentError } from '../../../agent/base/errors.ts';
import { begin, step } from '../../../agent/lifecycle/credential.ts';
import { createWorld, hour, podCertificate } from './world.ts';

test('what becomes of a request that was given up says nothing of the one after it', () => {
  const at = { now: Date.UTC(2026, 10, 21), random: 0.5 };
  const error = new AgentError('Conflict', 'another one has that name', { actor: 'nobody' });
  const { state: generating } = begin('ED25519', { current: undefined, pending: undefined }, at);
  const { state } = step(generating, { type: 'keyMade', requestName: 'second' }, at);
  for (const event of [
    { type: 'submitted', requestName: 'first' },
    { type: 'submitFailed', requestName: 'first', error },
    { type: 'heldUp', requestName: 'first', waitsFor: 'a token' },
  ] as const) {
    assert.deepEqual(step(state, event, at), { state, effects: [] }, event.type);
  }
  assert.equal(step(state, { type: 'submitted', requestName: 'second' }, at).state.name, 'awaiting');
});

test('a request that is overtaken by the next one, since its pod was taken for gone, is not made with its key', async (t) => {
  const overtaken: { requestName: string; goOn: () => void }[] = [];
  const arrived = Promise.withResolvers<void>();
  let gone = false;
  const world = await createWorld(t, {
    // The refresh of the first source waits; only then is the pod found to be gone, by that of the second.
    async prepare({ requestName, sourceIndex }) {
      if (!gone || overtaken.length > 0) {
        return;
      }
      if (sourceIndex === 1) {
        await arrived.promise;
        return;
      }
      await new Promise<void>((resolve) => {
        overtaken.push({ requestName, goOn: resolve });
        arrived.resolve();
      });
    },
    identity(identity) {
      if (gone) {
        throw new AgentError('PodGone', 'no pod shop/web with that UID', { actor: 'nobody' });
      }
      return identity;
    },
  });
  const published = world.publish(world.request('mtls', [podCertificate(0, 'a.pem'), podCertificate(1, 'b.pem')]));
  await world.until(() => world.followed.size === 2);
  await world.answer('issue');
  await world.answer('issue');
  await published;
  gone = true;
  world.clock.advance(20 * hour);
  await world.until(() => world.types().filter((type) => type === 'podEnded').length === 2 && overtaken.length > 0);
  gone = false;
  world.clock.advance(15_000);
  await world.until(() => world.followed.size === 2);
  const [first] = overtaken;
  first?.goOn();
  await world.written();
  const keys = world.submitted.map(({ spki }) => Buffer.from(spki).toString('hex'));
  assert.equal(new Set(keys).size, keys.length, 'a key is used for two requests');
  assert.ok(!world.submitted.some(({ order }) => order.requestName === first?.requestName), 'a request is made late');
  assert.deepEqual(world.faults, []);
});
