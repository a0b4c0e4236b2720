/** What the agent finds when it starts, what it says of the volumes that it has, and what happens to those with which something is wrong. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AgentError } from '../../../agent/base/errors.ts';
import type { Relief } from '../../../agent/lifecycle/relief.ts';
import type { PublishRequest } from '../../../volumes/csi/driver.ts';
import { certificate, createManagerScene, type ManagerScene, recordFor, requestFor } from './manager-scene.ts';
import { createMemoryVolume, type MemoryVolume } from './memory-volume.ts';
import { denied, found, missing } from './node-scene.ts';
import { hour, minute, trustBundle } from './plain.ts';

const second = 1_000;
const mtls = requestFor('mtls');
const unavailable = new AgentError('Unavailable', 'connection refused', { actor: 'nobody' });
const fail = (error: Error): never => {
  throw error;
};

/** What an earlier run has left of a volume: its record and nothing more. */
const leftOf = (request: PublishRequest): MemoryVolume => createMemoryVolume(recordFor(request));

const damaged = { targetPath: '/uid/bad', podUID: 'uid', volumeName: 'bad', reason: 'its record is damaged' };
const notes = { driverName: 'csi.example', volumeName: 'bad', volumeId: 'csi-bad' };
const sources = '- podCertificate: {signerName: example.com/mesh, keyType: ECDSAP256, credentialBundlePath: tls.pem}';

/** The pod as it is listed, with the volume that is damaged. */
function listed(): ManagerScene['listed'] {
  const csiVolumes = new Map([['bad', { driver: 'csi.example', attributes: { sources } }]]);
  return new Map([['uid', { pod: mtls.pod, csiVolumes }]]);
}

test('volumes of an earlier run are taken up, but for those that cannot be, and then pods are looked for', async () => {
  const scene = createManagerScene();
  const faulty = leftOf(requestFor('faulty'));
  faulty.onKept = () => fail(new Error('its state is damaged'));
  scene.left = { volumes: [leftOf(mtls), faulty, leftOf(requestFor('other'))], unusable: [damaged] };
  const found = await scene.manager.recover();
  const broken = {
    ...{ targetPath: '/uid/faulty', podUID: 'uid', volumeName: 'faulty' },
    reason: 'its state is damaged',
  };
  assert.deepEqual(found, { adopted: 2, unusable: [damaged, broken] });
  assert.deepEqual([scene.manager.count(), scene.manager.unusable()], [2, 2]);
  assert.deepEqual(scene.ahead, ['called uid', 'called uid', 'start']);
  assert.equal(scene.lists, 1, 'what is wrong is looked after at once');
  for (const targetPath of ['/uid/mtls', '/uid/faulty', '/uid/bad']) {
    assert.ok(scene.manager.holds(targetPath), `${targetPath} may be in use`);
  }
  assert.equal(scene.manager.holds('/uid/none'), false);
  scene.manager.stop();
  assert.equal(scene.clock.alarms(), 0);
});

test('where nothing was left, and nothing is wrong, nothing is looked for', async () => {
  const scene = createManagerScene();
  assert.deepEqual(await scene.manager.recover(), { adopted: 0, unusable: [] });
  assert.deepEqual([scene.lists, scene.manager.unusable()], [0, 0]);
});

test('a volume that cannot be taken up is not unusable any more once the kubelet calls for it, or has it removed', async () => {
  for (const call of ['publish', 'unpublish'] as const) {
    const scene = createManagerScene();
    const request = { ...requestFor('bad'), volumeId: 'csi-bad' };
    scene.left = { volumes: [], unusable: [damaged] };
    await scene.manager.recover();
    if (call === 'publish') {
      await scene.serve(request);
    } else {
      await scene.manager.unpublish('csi-bad', damaged.targetPath);
    }
    assert.equal(scene.manager.unusable(), 0);
    const looks = scene.lists;
    await scene.pass(hour);
    assert.equal(scene.lists, looks, 'it is looked after no more');
    scene.manager.stop();
  }
});

test('a volume that cannot be taken up is made anew from what the kubelet and the API server know, and says so', async () => {
  const scene = createManagerScene();
  scene.left = { volumes: [], unusable: [damaged] };
  scene.listed = listed();
  scene.notes.set(damaged.targetPath, notes);
  await scene.manager.recover();
  await scene.settle();
  const healed = scene.notices.find(({ type }) => type === 'healed');
  assert.deepEqual(
    [healed?.type, healed?.type === 'healed' && healed.reason, healed?.volume.volumeId],
    ['healed', 'its record is damaged', 'csi-bad'],
  );
  assert.deepEqual([scene.manager.count(), scene.manager.unusable()], [1, 0]);
  scene.manager.stop();
});

test('a volume that the kubelet has called for while it was healed is left as it is', async () => {
  const scene = createManagerScene();
  const request = { ...requestFor('bad'), volumeId: 'csi-bad' };
  scene.left = { volumes: [], unusable: [damaged] };
  scene.listed = listed();
  scene.notes.set(damaged.targetPath, notes);
  const { promise: held, resolve: goOn } = Promise.withResolvers<void>();
  scene.onCreate = () => held;
  void scene.publish(request);
  await scene.settle();
  await scene.manager.recover();
  await scene.settle();
  goOn();
  await scene.settle();
  assert.deepEqual(scene.stored, ['create /uid/bad']);
  assert.ok(!scene.types().includes('healed'), 'it was not this that healed it');
  assert.equal(scene.manager.unusable(), 0);
  const looks = scene.lists;
  await scene.pass(hour);
  assert.equal(scene.lists, looks);
  scene.manager.stop();
});

test('while the kubelet’s call removes a volume, it is not healed', async () => {
  const scene = createManagerScene();
  scene.left = { volumes: [], unusable: [damaged] };
  scene.listed = listed();
  scene.notes.set(damaged.targetPath, notes);
  const { promise: held, resolve: goOn } = Promise.withResolvers<void>();
  scene.onIdentify = () => held;
  await scene.manager.recover();
  await scene.settle();
  const removing = scene.manager.unpublish('csi-bad', damaged.targetPath);
  await scene.settle();
  assert.deepEqual(scene.stored, [], 'one after the other');
  goOn();
  await removing;
  assert.deepEqual(scene.stored, ['create /uid/bad', 'remove /uid/bad']);
});

/** A volume of an earlier run that the kubelet has no notes on. */
async function forgotten(look: () => unknown): Promise<ManagerScene> {
  const scene = createManagerScene();
  scene.left = { volumes: [leftOf(mtls)], unusable: [], unknownToKubelet: [mtls.targetPath, '/uid/none'] };
  await scene.manager.recover();
  await scene.settle();
  scene.identified.splice(0);
  scene.onIdentify = look;
  await scene.pass(minute);
  await scene.pass(minute);
  assert.deepEqual(
    scene.identified.map(({ pod, call }) => [pod, call.priority]),
    scene.identified.map(() => [mtls.pod, 'refresh']),
  );
  return scene;
}

test('a volume that the kubelet knows nothing of goes when its pod is gone, by more than one look, and is not unusable till then', async () => {
  const gone = new AgentError('PodGone', 'it is gone', { actor: 'nobody' });
  const scene = await forgotten(() => fail(gone));
  assert.deepEqual(scene.stored, ['remove /uid/mtls']);
  assert.deepEqual([scene.manager.count(), scene.notices.at(-1)?.type], [0, 'unpublished']);
});

for (const [what, look] of [
  ['the pod is there', () => undefined],
  ['the API server does not answer', () => fail(unavailable)],
  ['asking for the pod is a fault', () => fail(new TypeError('no function'))],
] as const) {
  test(`a volume that the kubelet knows nothing of stays while ${what}`, async () => {
    const scene = await forgotten(look);
    assert.deepEqual([scene.stored, scene.manager.count(), scene.manager.unusable()], [[], 1, 0]);
    scene.manager.stop();
  });
}

test('what cannot be removed though no pod has it is a fault, and is tried again', async () => {
  const scene = createManagerScene();
  scene.left = { volumes: [leftOf(mtls)], unusable: [], unknownToKubelet: [mtls.targetPath] };
  await scene.manager.recover();
  scene.onIdentify = () => fail(new AgentError('PodGone', 'it is gone', { actor: 'nobody' }));
  scene.onRemove = () => fail(new Error('busy'));
  await scene.pass(minute);
  await scene.pass(minute);
  const fault = ['busy', 'the volume at /uid/mtls, which no pod has any more, could not be removed'];
  assert.deepEqual(scene.faults, [fault, fault]);
  assert.ok(scene.manager.holds(mtls.targetPath), 'it is there');
});

test('volumes with which something is wrong are looked at when the API server is heard or the operator asks, and at nothing else', async () => {
  const reliefs: readonly (readonly [Relief, number])[] = [
    [{ type: 'apiServerHeard' }, 1],
    [{ type: 'operatorAsks' }, 1],
    [{ type: 'rulesChanged' }, 0],
  ];
  for (const [relief, looks] of reliefs) {
    const scene = createManagerScene();
    scene.left = { volumes: [], unusable: [damaged] };
    await scene.manager.recover();
    await scene.settle();
    const before = scene.lists;
    scene.manager.relieve(relief);
    await scene.settle();
    assert.equal(scene.lists - before, looks);
    scene.manager.stop();
  }
});

test('a relief is for every pod, or for those of one name, and it is said whom it helps', async () => {
  const scene = createManagerScene();
  const other = requestFor('mtls', [certificate], 'other');
  for (const request of [mtls, other]) {
    void scene.publish(request);
    await scene.answer(denied);
  }
  await scene.pass(second);
  const helped = (pod?: { readonly namespace: string; readonly name: string }): readonly string[] =>
    scene.manager.relieve({ type: 'operatorAsks' }, pod).map(({ volume }) => volume.pod.uid);
  assert.deepEqual(helped({ namespace: 'shop', name: 'web-none' }), []);
  assert.deepEqual(helped({ namespace: 'other', name: 'web-uid' }), []);
  assert.deepEqual(helped({ namespace: 'shop', name: 'web-other' }), ['other']);
  assert.deepEqual(helped(), ['uid']);
  scene.manager.stop();
});

test('the health of a volume is known by its path, or by its ID alone, and nothing is said of another', async () => {
  const scene = createManagerScene();
  scene.left = { volumes: [], unusable: [damaged] };
  await scene.manager.recover();
  await scene.serve(requestFor('first', [certificate], 'other'));
  await scene.serve(mtls);
  const { volumeId, targetPath } = mtls;
  assert.deepEqual(scene.manager.health(volumeId, targetPath), []);
  assert.deepEqual(scene.manager.health(volumeId, undefined), []);
  assert.equal(scene.manager.health('csi-other', targetPath), undefined);
  assert.equal(scene.manager.health('csi-other', undefined), undefined);
  assert.equal(scene.manager.health(volumeId, '/uid/none'), undefined);
  assert.deepEqual(
    scene.manager.health('csi-bad', damaged.targetPath)?.map(({ reason }) => reason),
    ['VolumeUnusable'],
  );
  await scene.pass(24 * hour);
  assert.deepEqual(
    scene.manager.health(volumeId, undefined)?.map(({ reason }) => reason),
    ['CertificateExpired'],
  );
  scene.manager.stop();
});

test('a volume is described as it stands', async () => {
  const scene = createManagerScene();
  const request = requestFor('mtls', [certificate, trustBundle(1, 'ca.pem')]);
  const publishing = scene.publish(request);
  await scene.answer();
  assert.deepEqual(scene.manager.anchorWaits(), []);
  await scene.announce({ ...missing, expired: 1 });
  const since = scene.clock.now();
  await scene.pass(second);
  assert.deepEqual(scene.manager.anchorWaits(), [since]);
  const [waiting] = scene.manager.describe();
  assert.equal(waiting?.waitsForAnchorsSince, since);
  assert.equal(waiting.status.type, 'waiting');
  assert.ok(!('served' in waiting), 'nobody has looked');
  assert.deepEqual(scene.manager.served(), []);
  await scene.announce({ ...found('ca'), expired: 2 });
  await publishing;
  scene.served = { state: 'current', since };
  assert.deepEqual(scene.manager.anchorWaits(), []);
  assert.deepEqual(scene.manager.describe(), [
    {
      volume: scene.volumes.get(request.targetPath)?.record,
      status: { type: 'ready' },
      credentials: scene.manager.credentials(),
      expiredAnchors: new Map([[1, 2]]),
      trustDomains: new Map(),
      served: { state: 'current', since },
    },
  ]);
  assert.deepEqual(
    scene.manager.credentials().map(({ source, state }) => [source, state]),
    [[0, 'fresh']],
  );
  assert.deepEqual(scene.manager.served(), ['current']);
  scene.manager.stop();
});

test('the agent can serve when its watches are synced', () => {
  const scene = createManagerScene();
  assert.equal(scene.manager.ready(), true);
  scene.isReady = false;
  assert.equal(scene.manager.ready(), false);
});
