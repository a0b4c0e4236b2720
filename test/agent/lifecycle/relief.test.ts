import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspect } from 'node:util';
import { AgentError } from '../../../agent/base/errors.ts';
import type { Source } from '../../../volumes/declaration/types.ts';
import { createWorld, hour, minute, podCertificate, trustBundle, type World } from './world.ts';

const failed = { type: 'failed', reason: 'Down', message: 'no connection to the authority' } as const;
const denied = { type: 'denied', reason: 'Policy', message: 'not yet' } as const;

/** Publishes, has every attempt fail so often, and lets a second of the last pause pass. */
async function failing(world: World, name: string, sources: readonly Source[], times: number): Promise<void> {
  void world.publish(world.request(name, sources), 10_000);
  for (let count = 1; count <= times; count += 1) {
    await world.answer(failed);
    if (count < times) {
      world.clock.advance(10_000 * 2 ** (count - 1));
    }
  }
  world.clock.advance(1_000);
}

/** Lets what has begun in other turns of the event loop come to its end. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 50; turn += 1) {
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** An API server, or an allow-list, that refuses while `error` is set. */
function gate() {
  const held: { error: AgentError | undefined } = { error: undefined };
  return {
    held,
    onSubmit(): void {
      if (held.error !== undefined) {
        throw held.error;
      }
    },
  };
}

test('a publish call whose next attempt comes before its deadline waits for it', async (t) => {
  const world = await createWorld(t);
  const request = world.request('mtls', [podCertificate(0, 'tls.pem')]);
  const published = world.publish(request);
  await world.answer(denied);
  world.clock.advance(10_000);
  await world.answer('issue');
  assert.deepEqual(await published, { type: 'ready' });
});

test('a publish call answers with the refusal as soon as no attempt comes before its deadline', async (t) => {
  const world = await createWorld(t);
  const request = world.request('mtls', [podCertificate(0, 'tls.pem')]);
  const published = world.publish(request, 60_000);
  await world.answer(denied);
  world.clock.advance(10_000);
  await world.answer(denied);
  world.clock.advance(20_000);
  // 30 of 58 seconds are over, and the next pause is of 40.
  await world.answer(denied);
  const outcome = await published;
  assert.match(outcome.type === 'refused' ? outcome.message : '', /the request was denied: Policy: not yet/);
});

test('who was not allowed to ask asks as soon as the allow-list changes, and nobody else does', async (t) => {
  const { held, onSubmit } = gate();
  const world = await createWorld(t, { onSubmit });
  await failing(world, 'denied', [podCertificate(0, 'tls.pem')], 1);
  held.error = new AgentError('SignerNotAllowed', 'may not ask', { actor: 'cluster operator' });
  const refused = world.publish(world.request('refused', [podCertificate(0, 'tls.pem')]), 5_000);
  assert.equal((await refused).type, 'refused');
  world.clock.advance(1_000);
  held.error = undefined;
  const before = world.submitted.length;
  world.manager.relieve({ type: 'rulesChanged' });
  await world.answer('issue');
  await settle();
  assert.equal(world.submitted.length, before + 1);
  assert.deepEqual(
    world.manager.describe().map(({ volume, status }) => [volume.volumeName, status.type]),
    [
      ['denied', 'refused'],
      ['refused', 'ready'],
    ],
  );
});

test('what could not be asked while the API server was away is asked as soon as it is heard again', async (t) => {
  for (const [code, actor] of [
    ['Unavailable', 'nobody'],
    ['ApiMissing', 'cluster operator'],
    ['Forbidden', 'cluster operator'],
  ] as const) {
    const { held, onSubmit } = gate();
    const world = await createWorld(t, { onSubmit });
    held.error = new AgentError(code, 'cannot be asked', { actor });
    void world.publish(world.request('mtls', [podCertificate(0, 'tls.pem')]), 5_000);
    for (let attempts = 1; attempts < 9; attempts += 1) {
      await world.until(
        () => world.submitted.length === attempts && world.manager.credentials()[0]?.lastError !== undefined,
      );
      world.clock.advance((world.manager.credentials()[0]?.nextAttemptAt ?? 0) - world.clock.now());
    }
    await world.until(() => world.submitted.length === 9 && world.manager.credentials()[0]?.lastError !== undefined);
    world.clock.advance(1_000);
    held.error = undefined;
    world.manager.relieve({ type: 'apiServerHeard' });
    await world.answer('issue');
    assert.equal(world.manager.describe()[0]?.status.type, 'ready');
  }
});

test('a call that fails only after the API server was heard again is made again at once', async (t) => {
  const { held, onSubmit } = gate();
  const late = Promise.withResolvers<void>();
  let isSlow = false;
  const world = await createWorld(t, {
    async onSubmit() {
      if (isSlow) {
        await late.promise;
      }
      onSubmit();
    },
  });
  held.error = new AgentError('Unavailable', 'cannot be asked', { actor: 'nobody' });
  void world.publish(world.request('mtls', [podCertificate(0, 'tls.pem')]), 5_000);
  for (let attempts = 1; attempts <= 9; attempts += 1) {
    await world.until(
      () => world.submitted.length === attempts && world.manager.credentials()[0]?.lastError !== undefined,
    );
    isSlow = attempts === 9;
    world.clock.advance((world.manager.credentials()[0]?.nextAttemptAt ?? 0) - world.clock.now());
  }
  await world.until(() => world.submitted.length === 10);
  world.manager.relieve({ type: 'apiServerHeard' });
  isSlow = false;
  late.resolve();
  await world.until(() => (world.manager.credentials()[0]?.nextAttemptAt ?? 0) > world.clock.now());
  held.error = undefined;
  world.clock.advance(1_000);
  await world.answer('issue');
  assert.equal(world.manager.describe()[0]?.status.type, 'ready');
});

test('a signer that answers others is asked again half a minute after its refusal, and not at every answer', async (t) => {
  const world = await createWorld(t);
  await failing(world, 'failed', [podCertificate(0, 'tls.pem')], 4);
  const before = world.submitted.length;
  for (const name of ['one', 'two', 'three']) {
    const published = world.publish(world.request(name, [podCertificate(0, 'tls.pem')]));
    await world.answer('issue');
    await published;
  }
  world.clock.advance(28_000);
  await settle();
  assert.equal(world.submitted.length, before + 3);
  world.clock.advance(1_000);
  await world.answer('issue');
  assert.equal(world.submitted.length, before + 4);
  assert.ok(
    world.manager.describe().every(({ status }) => status.type === 'ready'),
    inspect(world.manager.describe()),
  );
});

test('an answer of another signer wakes nobody', async (t) => {
  const world = await createWorld(t);
  await failing(world, 'failed', [podCertificate(0, 'tls.pem')], 4);
  const before = world.submitted.length;
  const other = { ...podCertificate(0, 'tls.pem'), signerName: 'example.com/other' };
  const published = world.publish(world.request('other', [other]));
  await world.answer('issue');
  await published;
  world.clock.advance(minute);
  await settle();
  assert.equal(world.submitted.length, before + 1);
});

test('a signer whose missing trust bundle arrives is asked again at once', async (t) => {
  const world = await createWorld(t);
  const sources = [podCertificate(0, 'tls.pem'), trustBundle(1, 'ca.pem')];
  void world.publish(world.request('mtls', sources), 10_000);
  await world.until(() => world.followed.size > 0);
  await world.announce({ type: 'missing', message: 'no bundle of example.com/mesh' });
  for (const pauseMs of [10_000, 20_000, 40_000, 1_000]) {
    await world.answer(failed);
    world.clock.advance(pauseMs);
  }
  await world.announce({ type: 'found', certificates: [Buffer.from('root')] });
  await world.answer('issue');
  assert.equal(world.manager.describe()[0]?.status.type, 'ready');
});

test('a publish call for a pod that counts as ended has the pod looked for, and its certificate refreshed again', async (t) => {
  let ended = false;
  const world = await createWorld(t, { identity: (identity) => ({ ...identity, ended }) });
  const request = world.request('mtls', [podCertificate(0, 'tls.pem')]);
  const published = world.publish(request);
  await world.answer('issue');
  await published;
  ended = true;
  world.clock.advance(20 * hour);
  await world.until(() => world.types().includes('podEnded'));
  world.clock.advance(2_000);
  ended = false;
  assert.deepEqual(await world.publish(request), { type: 'ready' });
  await world.until(() => world.types().includes('podLives'));
  await world.answer('issue');
  assert.equal(world.types().filter((type) => type === 'projected').length, 2);
});
