/** What a look at volumes with which something is wrong comes to, and when there is another. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AgentError } from '../../../agent/base/errors.ts';
import type { ListedPod } from '../../../agent/lifecycle/ports.ts';
import type { PublishRequest } from '../../../volumes/csi/driver.ts';
import { minute, recordWith } from './plain.ts';
import { createScene, damaged, forgotten, listing, notes, pod, type Scene, unavailable } from './strays-scene.ts';

/** Fails each time, with the error that is set. */
function failingWith(error: () => Error): () => never {
  return () => {
    throw error();
  };
}

test('looks come a minute apart at first, then ever more seldom to ten, and begin anew with what is newly wrong', async () => {
  const scene = createScene();
  scene.list = unavailable;
  scene.strays.add(damaged);
  const pauses: number[] = [];
  for (let look = 0; look < 8; look += 1) {
    const [lists, from] = [scene.lists, scene.clock.now()];
    while (scene.lists === lists && scene.clock.now() < from + 20 * minute) {
      await scene.pass(minute / 2);
    }
    pauses.push((scene.clock.now() - from) / minute);
  }
  assert.deepEqual(pauses, [1, 1, 1, 2, 4, 8, 10, 10]);
  scene.strays.add({ ...damaged, targetPath: '/other' });
  await scene.pass(minute);
  assert.equal(scene.lists, 9);
  await scene.pass(minute);
  assert.equal(scene.lists, 10, 'two looks with a minute between');
});

test('a volume that was known already is news only where nothing was wrong with it before', async () => {
  const { strays, clock, pass } = createScene();
  strays.add({ ...forgotten, pod });
  assert.equal(strays.has('/volume'), true);
  strays.add(damaged);
  assert.deepEqual(strays.all(), [{ ...damaged, pod }], 'what was known of it stays known');
  strays.add({ ...damaged, reason: 'another' });
  assert.deepEqual(strays.all(), [{ ...damaged, pod }]);
  strays.forget('/volume');
  assert.deepEqual([strays.has('/volume'), strays.all()], [false, []]);
  await pass(minute);
  assert.equal(clock.alarms(), 0, 'there is nothing to look at');
});

test('two looks are never under way at once, and one that was asked for takes the place of the next', async () => {
  const scene = createScene();
  const gate = Promise.withResolvers<ReadonlyMap<string, ListedPod>>();
  scene.list = () => gate.promise;
  scene.strays.look();
  await scene.pass(0);
  assert.equal(scene.lists, 0, 'nothing is wrong');
  scene.strays.add(damaged);
  scene.strays.look();
  scene.strays.look();
  await scene.pass(minute);
  assert.equal(scene.lists, 1);
  gate.resolve(new Map());
  await scene.pass(0);
  scene.strays.look();
  await scene.pass(minute - 1);
  assert.equal(scene.lists, 2, 'the pause begins with the look that came between');
});

test('a damaged volume is asked for anew as the kubelet’s notes and the pod’s spec have it', async () => {
  const scene = createScene();
  scene.strays.add(damaged);
  scene.strays.look();
  await scene.pass(0);
  const [[request, reason] = []] = scene.healed;
  assert.equal(reason, damaged.reason);
  assert.deepEqual(
    { ...request, declaration: request?.declaration.sources.length },
    { volumeId: 'csi-mtls', targetPath: '/volume', volumeName: 'mtls', pod, declaration: 1 },
  );
});

test('as the kubelet asked for it, it is asked for anew whatever can be listed or read', async () => {
  const scene = createScene();
  scene.list = unavailable;
  scene.notes = 'none';
  const request: PublishRequest = { ...recordWith([]), pod };
  scene.strays.add({ ...damaged, request });
  scene.strays.look();
  await scene.pass(0);
  assert.deepEqual(scene.healed, [[request, damaged.reason]]);
});

test('where notes or spec are missing, or are of another volume or driver, nothing is asked for', async () => {
  const cases: readonly (readonly [what: string, change: (scene: Scene) => void])[] = [
    ['no notes', (scene) => Object.assign(scene, { notes: 'none' })],
    ['notes of nobody', (scene) => Object.assign(scene, { notes: 'unreadable' })],
    ['notes of another volume', (scene) => Object.assign(scene, { notes: { ...notes, volumeName: 'other' } })],
    ['notes of another driver', (scene) => Object.assign(scene, { notes: { ...notes, driverName: 'other' } })],
    ['no list', (scene) => Object.assign(scene, { list: unavailable })],
    ['no volume of that name', (scene) => Object.assign(scene, { list: async () => listing({}, 'other') })],
  ];
  for (const [what, change] of cases) {
    const scene = createScene();
    change(scene);
    scene.strays.add(damaged);
    scene.strays.look();
    await scene.pass(0);
    assert.deepEqual([scene.healed, scene.faults, scene.reported], [[], [], []], what);
    assert.equal(scene.strays.has('/volume'), true, `${what}: it is looked after`);
  }
});

test('why a volume cannot be made anew is told its pod, each reason once, and not what passes by itself', async () => {
  const scene = createScene();
  const thrown: { error: Error } = { error: new AgentError('Unavailable', 'not now', { actor: 'nobody' }) };
  scene.onHeal = failingWith(() => thrown.error);
  scene.strays.add(damaged);
  const look = async (): Promise<void> => {
    scene.strays.look();
    await scene.pass(0);
  };
  await look();
  assert.equal(scene.reported.length, 0);
  thrown.error = new AgentError('Rejected', 'no such signer', { actor: 'pod author' });
  await look();
  await look();
  thrown.error = new Error('no space left');
  await look();
  assert.deepEqual(
    scene.reported.map((notice) => [notice.type, Reflect.get(notice, 'reason'), notice.volume.volumeName]),
    [
      ['unusable', 'its record is damaged; no such signer', 'mtls'],
      ['unusable', 'its record is damaged; no space left', 'mtls'],
    ],
  );
  assert.deepEqual(scene.reported[0]?.volume.owner, { kind: 'none' });
  assert.equal(scene.healed.length, 4);
});

test('a declaration in the spec that is refused is told its pod as any publish call would, and asked for nowhere', async () => {
  const scene = createScene();
  scene.list = async () => listing({ sources: '- nothing: {}' });
  scene.strays.add(damaged);
  scene.strays.look();
  await scene.pass(0);
  assert.deepEqual([scene.healed, scene.reported[0]?.volume.declaration], [[], { sources: [] }]);
  assert.match(String(Reflect.get(scene.reported[0] ?? {}, 'reason')), /^its record is damaged; .*sources\[0\]/);
});

test('after a stop nothing is told, asked for, removed or waited for', async () => {
  const scene = createScene();
  scene.onHeal = () => {
    scene.strays.stop();
    throw new Error('aborted');
  };
  scene.strays.add(damaged);
  scene.strays.add({ ...damaged, targetPath: '/other' });
  scene.strays.look();
  await scene.pass(0);
  assert.deepEqual([scene.reported, scene.healed.length, scene.clock.alarms()], [[], 1, 0]);
  assert.deepEqual(scene.strays.all(), []);
  scene.strays.add(damaged);
  scene.strays.look();
  await scene.pass(0);
  assert.deepEqual([scene.lists, scene.clock.alarms()], [1, 0]);
});

test('once nothing is wrong any more there is no further look', async () => {
  const scene = createScene();
  scene.onHeal = () => scene.strays.forget('/volume');
  scene.strays.add(damaged);
  scene.strays.look();
  await scene.pass(0);
  assert.equal(scene.healed.length, 1);
  assert.equal(scene.clock.alarms(), 0);
});

test('a fault in a look is noted, and ends neither the looks nor those at other volumes', async () => {
  const scene = createScene();
  const fault = new TypeError('no such property');
  scene.list = () => Promise.reject(fault);
  scene.strays.add(damaged);
  scene.strays.look();
  await scene.pass(0);
  assert.deepEqual(scene.faults, [fault]);
  scene.list = async () => listing();
  await scene.pass(minute);
  assert.equal(scene.healed.length, 1);
});
