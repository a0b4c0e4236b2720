/** When a volume's programs are to be told of new files: once all files are in place, after each change, and not when their pod has ended. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspect } from 'node:util';
import { AgentError } from '../../../agent/base/errors.ts';
import type { Uptake } from '../../../agent/lifecycle/uptake.ts';
import { createWorld, hour, podCertificate, trustBundle, type World } from './world.ts';

/** Writes down what is told, with whether the files are in place then. */
function recorder() {
  const told: string[] = [];
  const uptake: Uptake = (volume, report) => ({
    settled: () => void told.push(`settled ${volume.generation() === undefined ? 'without' : 'with'} files`),
    stop: () => void told.push('stopped'),
    served: () => undefined,
    report,
  });
  return { told, uptake };
}

async function publish(world: World): Promise<void> {
  const published = world.publish(world.request('mtls', [podCertificate(0, 'tls.pem'), trustBundle(1, 'ca.pem')]));
  await world.answer('issue');
  await world.announce({ type: 'found', certificates: [Buffer.from('root')] });
  assert.deepEqual(await published, { type: 'ready' });
}

test('programs are told when all files are in place, and at each change of one of them', async (t) => {
  const { told, uptake } = recorder();
  const world = await createWorld(t, { uptake });
  const before = world.publish(world.request('mtls', [podCertificate(0, 'tls.pem'), trustBundle(1, 'ca.pem')]));
  await world.answer('issue');
  assert.deepEqual(told, [], 'not before every source has its files');
  await world.announce({ type: 'found', certificates: [Buffer.from('root')] });
  await before;
  assert.ok(told.length > 0 && told.every((text) => text === 'settled with files'), inspect(told));
  told.length = 0;
  await world.announce({ type: 'found', certificates: [Buffer.from('another')] });
  assert.deepEqual(told, ['settled with files']);
  world.clock.advance(20 * hour);
  await world.answer('issue');
  assert.deepEqual(told, ['settled with files', 'settled with files']);
});

test('after a restart what was due is looked at, and nothing any more once the volume is gone', async (t) => {
  const { told, uptake } = recorder();
  const world = await createWorld(t, { uptake });
  await publish(world);
  told.length = 0;
  await world.restart();
  assert.deepEqual(told, ['stopped', 'settled with files']);
  const [request] = world.manager.describe();
  await world.manager.unpublish('csi-mtls', request?.volume.targetPath ?? '');
  assert.equal(told.at(-1), 'stopped');
});

test('the programs of a pod that has ended are told nothing until it turns out to live', async (t) => {
  const { told, uptake } = recorder();
  let isGone = false;
  const world = await createWorld(t, {
    uptake,
    identity(known) {
      if (isGone) {
        throw new AgentError('PodGone', 'it does not exist', { actor: 'nobody' });
      }
      return known;
    },
  });
  await publish(world);
  told.length = 0;
  isGone = true;
  world.clock.advance(20 * hour);
  await world.until(() => world.types().includes('podEnded'));
  assert.deepEqual(told, ['stopped']);
  isGone = false;
  world.clock.advance(hour);
  await world.until(() => world.types().includes('podLives'));
  assert.deepEqual(told.at(-1), 'settled with files');
});

test("a pod on the node's network that is to be asked at its address is refused, with the field that says so", async (t) => {
  const world = await createWorld(t);
  const request = world.request('mtls', [podCertificate(0, 'tls.pem')]);
  const http = { port: 8080, path: '/', method: 'POST', scheme: 'http' } as const;
  const declaration = { ...request.declaration, reload: { http } };
  const outcome = await world.publish({ ...request, declaration });
  assert.ok(outcome.type === 'unavailable', inspect(outcome));
  assert.match(outcome.message, /^volume mtls of pod shop\/web: reload\.http: .*hostNetwork: true/);
  assert.equal(world.manager.count(), 0);
  assert.equal(world.submitted.length, 0, 'nothing is asked for a pod that cannot start');
});
