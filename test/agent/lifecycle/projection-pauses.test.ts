/** When what could not be written is tried again: with a volume that notes what is done to it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hour, minute, now } from './plain.ts';
import { bundleOf, createScene, credentialOf } from './projection-scene.ts';

test('a write that fails is told with its cause, and tried again with growing pauses, which begin anew after one that succeeds', async () => {
  const scene = createScene('anchors');
  scene.fault = new Error('no space left');
  scene.projection.start();
  scene.projection.stage(0, bundleOf('root'));
  for (const pauseMs of [1_000, 2_000, 4_000]) {
    await scene.settle();
    assert.equal(scene.did.at(-1), `note of 0: not written, no space left, again in ${pauseMs} ms`);
    const tried = scene.did.length;
    scene.clock.advance(pauseMs - 1);
    await scene.settle();
    assert.equal(scene.did.length, tried, 'not before its time');
    scene.clock.advance(1);
  }
  scene.fault = undefined;
  await scene.settle();
  scene.clock.advance(8_000);
  await scene.settle();
  assert.deepEqual(scene.did.slice(-2), ['project 0: root', 'note of 0: written, first, changed']);
  scene.fault = new Error('again');
  scene.projection.stage(0, bundleOf('other'));
  await scene.settle();
  assert.equal(scene.did.at(-1), 'note of 0: not written, again, again in 1000 ms');
});

test('a source that is tried no more, since what it had was taken back, makes no later pause shorter', async () => {
  const scene = createScene('anchors');
  scene.fault = new Error('full');
  scene.projection.start();
  scene.projection.stage(0, bundleOf('a'));
  await scene.settle();
  scene.projection.unstage(0);
  scene.clock.advance(minute);
  await scene.settle();
  assert.deepEqual([scene.did.length, scene.clock.alarms()], [2, 0], 'there is nothing to try');
  scene.projection.stage(0, bundleOf('b'));
  await scene.settle();
  assert.equal(scene.did.at(-1), 'note of 0: not written, full, again in 2000 ms');
});

test('what comes while a write is under way that then fails waits for no pause', async () => {
  const scene = createScene('anchors', 'anchors');
  scene.fill(0, 1);
  scene.fault = new Error('full');
  scene.refused = /bad/;
  scene.projection.start();
  const gate = scene.hold();
  scene.projection.stage(0, bundleOf('bad'));
  await scene.settle();
  scene.projection.stage(1, bundleOf('b'));
  gate.resolve();
  await scene.settle();
  assert.ok(scene.did.includes('note of 1: written, again, changed'), scene.did.join('\n'));
});

test('what comes while a pause goes on is tried at once with what failed, and that pause is over', async () => {
  const scene = createScene('anchors', 'anchors');
  scene.fill(0, 1);
  scene.fault = new Error('no space left');
  scene.projection.start();
  scene.projection.stage(0, bundleOf('a'));
  await scene.settle();
  scene.fault = undefined;
  scene.projection.stage(1, bundleOf('b'));
  await scene.settle();
  assert.equal(scene.did.filter((what) => what === 'project 0: a; 1: b').length, 1);
  assert.equal(scene.clock.alarms(), 0);
});

test('no pause outlasts a tenth of what is left of the certificate that expires first among those that are held up', async () => {
  const failing = async (...left: readonly number[]): Promise<string | undefined> => {
    const scene = createScene(...left.map(() => 'certificate' as const));
    scene.fillWith(left.map((ms, index) => ({ ...credentialOf(`old ${index}`).certificate, notAfter: now + ms })));
    scene.fault = new Error('full');
    scene.projection.start();
    for (const index of left.keys()) {
      scene.projection.stage(index, credentialOf(`${index}`));
    }
    for (let failures = 1; failures < 12; failures += 1) {
      await scene.settle();
      scene.projection.stage(0, credentialOf(`0, ${failures}`));
    }
    await scene.settle();
    return scene.did.at(-1)?.match(/again in (\d+) ms/)?.[1];
  };
  assert.equal(await failing(10 * minute, 20 * minute), '60000');
  assert.equal(await failing(hour, -10 * minute), '300000', 'one that has expired has nothing to lose');
  assert.equal(await failing(0, 20 * minute), '120000', 'neither has one that expires just now');
  assert.equal(await failing(-2 * minute, -hour), '30000', 'of those that have expired the last one counts');
});

test('the certificate that was written counts from then on, not the one before it', async () => {
  const scene = createScene('certificate');
  scene.fillWith([{ ...credentialOf('old').certificate, notAfter: now + 10_000 }]);
  scene.projection.start();
  scene.projection.stage(0, credentialOf('a'));
  await scene.settle();
  scene.fault = new Error('full');
  for (let failures = 1; failures < 4; failures += 1) {
    scene.projection.stage(0, credentialOf(`${failures}`));
    await scene.settle();
  }
  assert.match(scene.did.at(-1) ?? '', /again in 4000 ms/);
});
