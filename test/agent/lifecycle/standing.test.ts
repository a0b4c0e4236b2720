/** How volumes and credentials are said to stand while something is under way, to whoever looks or is woken by an alert. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AgentError } from '../../../agent/base/errors.ts';
import { setbackOf } from '../../../agent/lifecycle/credential-setback.ts';
import { createWorld, minute, podCertificate, trustBundle, type World } from './world.ts';

const denial = { type: 'denied', reason: 'Policy', message: 'not on a Sunday' } as const;

async function denied(world: World): Promise<void> {
  const request = world.request('mtls', [podCertificate(0, 'tls.pem')]);
  const published = world.publish(request, 10_000);
  await world.answer(denial);
  assert.equal((await published).type, 'refused');
}

test('what was denied stays denied while it is asked for again, and until there is another answer', async (t) => {
  const world = await createWorld(t);
  await denied(world);
  const standing = () => world.manager.credentials().map(({ state, lastError }) => [state, lastError]);
  const said = 'the request was denied: Policy: not on a Sunday';
  assert.deepEqual(standing(), [['denied', said]]);
  world.clock.advance(10_000);
  assert.deepEqual(standing(), [['denied', `${said} (asked again now)`]], 'while a key is made');
  await world.until(() => world.followed.size === 1);
  assert.deepEqual(standing(), [['denied', `${said} (asked again now)`]], 'while the signer is asked');
  await world.answer({ type: 'failed', reason: 'Hsm', message: 'away' });
  assert.deepEqual(standing(), [['failed', 'the signer failed: Hsm: away']]);
  world.clock.advance(minute);
  await world.until(() => world.followed.size === 1);
  await world.answer('issue');
  await world.until(() => standing()[0]?.[0] === 'fresh');
  assert.deepEqual(standing(), [['fresh', undefined]]);
});

test('what was denied stays denied for the next agent too, also once it asks again', async (t) => {
  const world = await createWorld(t);
  await denied(world);
  await world.restart();
  const states = () => world.manager.credentials().map(({ state }) => state);
  assert.deepEqual(states(), ['denied']);
  world.clock.advance(minute);
  await world.until(() => world.followed.size === 1);
  assert.deepEqual(states(), ['denied']);
});

test('of a refusal 1024 characters of its reason and of its message are kept beyond a restart', () => {
  for (const kept of [1_023, 1_024, 1_025]) {
    const [reason, message] = ['r'.repeat(kept), 'm'.repeat(kept)];
    const setback = setbackOf({ kind: 'denied', reason, message }, 1, 0, 1);
    const length = Math.min(kept, 1_024);
    assert.deepEqual([setback?.reason, setback?.message], ['r'.repeat(length), 'm'.repeat(length)]);
    const error = new AgentError('InvalidChain', message, { actor: 'signer' });
    assert.equal(setbackOf({ kind: 'error', phase: 'signer', error }, 1, 0, 1)?.message, 'm'.repeat(length));
  }
});

test('a certificate is waited for since its volume was asked for, whatever attempts there were', async (t) => {
  const world = await createWorld(t);
  const begun = world.clock.now();
  void world.publish(world.request('mtls', [podCertificate(0, 'tls.pem')]), 10 * minute);
  await world.until(() => world.followed.size === 1);
  world.clock.advance(9 * minute);
  await world.answer({ type: 'gone' });
  world.clock.advance(minute);
  await world.until(() => world.followed.size === 1);
  assert.deepEqual(
    world.manager.credentials().map(({ waitingSince }) => waitingSince),
    [begun],
  );
  await world.answer('issue');
  await world.until(() => world.manager.credentials()[0]?.state === 'fresh');
  assert.equal(world.manager.credentials()[0]?.waitingSince, undefined);
});

test('a volume waits for anchors only from when its certificates are there, and its certificate is waited for no more', async (t) => {
  const world = await createWorld(t);
  const request = world.request('mtls', [podCertificate(0, 'tls.pem'), trustBundle(1, 'ca.pem')]);
  const published = world.publish(request, 10 * minute);
  await world.until(() => world.followed.size === 1);
  await world.announce({ type: 'missing', message: 'no ClusterTrustBundle matches' });
  const since = () => world.manager.describe().map(({ waitsForAnchorsSince }) => waitsForAnchorsSince);
  assert.deepEqual(since(), [undefined], 'while the certificate is missing too');
  world.clock.advance(minute);
  await world.answer('issue');
  await world.until(() => since()[0] !== undefined);
  const issued = world.clock.now();
  world.clock.advance(minute);
  assert.deepEqual(since(), [issued]);
  const [credential] = world.manager.credentials();
  assert.deepEqual([credential?.state, credential?.waitingSince], ['not_yet_issued', undefined]);
  await world.announce({ type: 'found', certificates: [Buffer.from('root')] });
  assert.deepEqual(await published, { type: 'ready' });
  assert.deepEqual(since(), [undefined]);
});
