/** When a volume counts as one that no pod has any more, and is taken away. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { minute, recordWith } from './plain.ts';
import { createScene, damaged, forgotten, listing, nobody, notes, pod, unavailable } from './strays-scene.ts';

test('a pod must have been gone for a minute, or for ten where the kubelet may yet come for its volume', async () => {
  for (const [what, ms] of [
    ['none', minute],
    ['unreadable', 10 * minute],
  ] as const) {
    const scene = createScene();
    scene.list = nobody;
    scene.notes = what;
    scene.strays.add({ ...forgotten, pod });
    scene.strays.look();
    await scene.pass(0);
    const from = scene.clock.now();
    while (scene.removed.length === 0 && scene.clock.now() < from + 30 * minute) {
      await scene.pass(10_000);
      scene.strays.look();
      await scene.pass(0);
    }
    assert.equal(scene.clock.now() - from, ms, `notes: ${what}`);
    assert.deepEqual(scene.removed, [{ ...forgotten, pod }]);
  }
});

test('a pod is gone only when the list and the pod itself say so, and still do a minute later', async () => {
  const scene = createScene();
  scene.notes = 'none';
  scene.strays.add({ ...forgotten, pod });
  const look = async (): Promise<void> => {
    scene.clock.advance(minute / 2);
    scene.strays.look();
    await scene.pass(0);
  };
  scene.list = nobody;
  await look();
  scene.list = async () => listing();
  await look();
  scene.list = nobody;
  scene.isPodGone = false;
  for (let looks = 0; looks < 3; looks += 1) {
    await look();
  }
  scene.isPodGone = true;
  await look();
  scene.list = unavailable;
  await look();
  assert.deepEqual(scene.removed, [], 'it has been gone for half a minute, and no answer says nothing');
  scene.list = nobody;
  await look();
  assert.equal(scene.removed.length, 1);
});

test('a volume whose pod nobody knows by name goes by the lists alone', async () => {
  const scene = createScene();
  scene.notes = 'none';
  scene.isPodGone = false;
  scene.list = nobody;
  scene.strays.add(damaged);
  scene.strays.look();
  await scene.pass(minute);
  await scene.pass(minute);
  assert.deepEqual(scene.removed, [damaged]);
});

test('a volume on which the kubelet keeps notes again is the kubelet’s', async () => {
  const scene = createScene();
  scene.notes = 'none';
  scene.strays.add({ ...forgotten, pod });
  scene.strays.look();
  await scene.pass(0);
  assert.equal(scene.strays.has('/volume'), true);
  scene.notes = notes;
  scene.strays.look();
  await scene.pass(0);
  assert.equal(scene.strays.has('/volume'), false);
});

test('a volume that came right, or was taken away, while something was waited for is left alone', async () => {
  const scene = createScene();
  scene.list = nobody;
  scene.strays.add({ ...damaged, pod });
  scene.strays.look();
  await scene.pass(0);
  assert.deepEqual(scene.asked, ['web']);
  scene.onAsked = () => scene.strays.forget('/volume');
  await scene.pass(minute);
  assert.deepEqual([scene.asked.length, scene.removed], [2, []]);
  scene.isPodGone = false;
  scene.strays.add({ ...damaged, pod, request: { ...recordWith([]), pod } });
  scene.strays.look();
  await scene.pass(0);
  assert.deepEqual([scene.asked.length, scene.healed], [3, []]);
});

test('nobody is asked about a volume that was taken away while another was looked at', async () => {
  const scene = createScene();
  scene.list = nobody;
  scene.strays.add({ ...forgotten, pod });
  scene.strays.add({ ...forgotten, targetPath: '/other', pod });
  scene.onAsked = () => scene.strays.forget('/other');
  scene.strays.look();
  await scene.pass(0);
  assert.deepEqual(scene.asked, ['web']);
});

test('a volume in which something turns out to be wrong while it is looked at is not left to the kubelet', async () => {
  const scene = createScene();
  scene.list = nobody;
  scene.isPodGone = false;
  scene.onAsked = () => scene.strays.add(damaged);
  scene.strays.add({ ...forgotten, pod });
  scene.strays.look();
  await scene.pass(0);
  assert.deepEqual(scene.strays.all(), [{ ...damaged, pod }]);
});
