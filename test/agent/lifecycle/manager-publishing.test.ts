/** What publish and unpublish calls come to, over plain objects. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AgentError } from '../../../agent/base/errors.ts';
import { certificate, createManagerScene, type ManagerScene, requestFor } from './manager-scene.ts';
import { denied } from './node-scene.ts';
import { minute, podCertificate, trustBundle } from './plain.ts';

const second = 1_000;
const mtls = requestFor('mtls');
const unavailable = new AgentError('Unavailable', 'connection refused', { actor: 'nobody' });
const forbidden = new AgentError('Forbidden', 'no permission', { actor: 'cluster operator' });
const waitsFor = (name: string): string =>
  `sources[0]: still waiting for signer example.com/mesh, request shop/${name}`;
const fail = (error: Error): never => {
  throw error;
};

/** What the pod was told that was no step of its certificate. */
const told = ({ notices }: ManagerScene) =>
  notices.filter(({ type }) =>
    ['publishing', 'published', 'unpublished', 'mountedBySubPath', 'healed', 'unusable'].includes(type),
  );

test('a volume is made for a pod that is there, and its call is ready once all its files are in it', async () => {
  const scene = createManagerScene();
  scene.identity = { subPathMounts: new Map([['mtls', ['app']]]), fsGroup: 7 };
  const publishing = scene.publish(mtls);
  await scene.settle();
  const [{ pod, call }] = scene.identified as [(typeof scene.identified)[number]];
  assert.deepEqual([pod, call.priority], [mtls.pod, 'first']);
  await scene.pass(second / 2);
  await scene.answer();
  assert.deepEqual(await publishing, { type: 'ready' });
  const record = scene.volumes.get(mtls.targetPath)?.record;
  assert.deepEqual(record?.owner, { kind: 'group', gid: 7 });
  assert.deepEqual(told(scene), [
    { volume: record, type: 'publishing' },
    { volume: record, type: 'mountedBySubPath', containers: ['app'] },
    { volume: record, type: 'published', tookMs: second / 2 },
  ]);
  assert.deepEqual(scene.hindered, [], 'nothing hinders what is ready');
  assert.deepEqual(await scene.publish(mtls), { type: 'ready' });
  assert.equal(told(scene).length, 3, 'it is said once');
  assert.deepEqual(scene.stored, [`create ${mtls.targetPath}`]);
});

test('a volume that was published while the clock was set back took no time', async () => {
  const scene = createManagerScene();
  const publishing = scene.publish(mtls);
  await scene.pass(-second);
  await scene.answer();
  await publishing;
  assert.deepEqual(
    told(scene).flatMap((notice) => ('tookMs' in notice ? notice.tookMs : [])),
    [0],
  );
});

test('what the kubelet calls for is begun by nobody else, and its tokens are taken for the signers that the volume asks', async () => {
  const scene = createManagerScene();
  const sources = [
    certificate,
    trustBundle(1, 'ca.pem'),
    { ...podCertificate(2, 'b.pem'), signerName: 'example.com/b' },
  ];
  const request = { ...requestFor('mtls', sources), tokens: () => 'a token' };
  void scene.publish(request);
  assert.deepEqual(scene.tokens, ['take uid example.com/mesh,example.com/b: a token']);
  assert.deepEqual(scene.ahead, ['called uid'], 'at once, before the pod is looked up');
  scene.manager.stop();
});

test('two calls for one volume make it once, one after the other', async () => {
  const scene = createManagerScene();
  const calls = [scene.publish(mtls), scene.publish(mtls)];
  await scene.answer();
  assert.deepEqual(await Promise.all(calls), [{ type: 'ready' }, { type: 'ready' }]);
  assert.deepEqual(scene.stored, [`create ${mtls.targetPath}`]);
});

test('a call answers two seconds before its deadline with what is waited for, and leaves nothing behind that waits', async () => {
  const scene = createManagerScene();
  let outcome: unknown;
  const publishing = scene.publish(mtls, 20 * second).then((value) => {
    outcome = value;
  });
  await scene.settle();
  const alarmsBefore = scene.clock.alarms();
  await scene.pass(18 * second - 1);
  assert.equal(outcome, undefined);
  await scene.pass(1);
  await publishing;
  assert.deepEqual(outcome, { type: 'waiting', message: waitsFor('mtls-0-key1') });
  assert.equal(alarmsBefore - scene.clock.alarms(), 2, 'the end of the call and its moment are waited for no more');
  assert.equal(scene.asking.size, 0);
});

test('a pod that waits is told what keeps its answers away, and one that was refused is not', async () => {
  const scene = createManagerScene();
  scene.hindrance = 'the watch is down';
  const publishing = scene.publish(mtls);
  await scene.pass(9 * second);
  assert.deepEqual(await publishing, { type: 'waiting', message: `${waitsFor('mtls-0-key1')}; the watch is down` });
  assert.deepEqual(scene.hindered, [['mtls-0-key1']]);
  await scene.answer(denied);
  const refused = await scene.publish(mtls);
  assert.deepEqual(
    [refused.type, 'message' in refused && refused.message.includes('the watch is down')],
    ['refused', false],
  );
  assert.equal(scene.hindered.length, 1);
});

test('without anything that hinders, or that could, a pod is told what it waits for', async () => {
  for (const without of [[], ['hindrance']] as const) {
    const scene = createManagerScene(without);
    const publishing = scene.publish(mtls);
    await scene.pass(9 * second);
    assert.deepEqual(await publishing, { type: 'waiting', message: waitsFor('mtls-0-key1') });
  }
});

test('a call that takes longer than a moment asks whether its pod is on its way out, and answers when it is', async () => {
  const scene = createManagerScene();
  const publishing = scene.publish(mtls);
  await scene.pass(second - 1);
  assert.equal(scene.asking.size, 0);
  await scene.pass(1);
  const [[ending, pod]] = scene.asking as never as [[() => void, unknown]];
  assert.equal(pod, mtls.pod);
  ending();
  assert.equal((await publishing).type, 'waiting');
  assert.equal(scene.asking.size, 0);
});

test('a call that the kubelet gives up answers', async () => {
  const scene = createManagerScene();
  const ending = new AbortController();
  const publishing = scene.publish(mtls, 10 * second, ending.signal);
  await scene.settle();
  ending.abort();
  assert.equal((await publishing).type, 'waiting');
});

test('the look for the pod ends when the call does', async () => {
  const scene = createManagerScene();
  scene.onIdentify = () => new Promise(() => undefined);
  void scene.publish(mtls);
  await scene.settle();
  const signal = scene.identified[0]?.call.signal;
  assert.equal(signal?.aborted, false);
  await scene.pass(8 * second);
  assert.equal(signal?.aborted, true);
});

test('what fails for a reason is said to be unavailable, and a fault of the agent is none', async () => {
  const scene = createManagerScene();
  scene.onIdentify = () => fail(unavailable);
  assert.deepEqual(await scene.publish(mtls), { type: 'unavailable', message: 'connection refused' });
  assert.deepEqual([scene.stored, told(scene), scene.manager.count()], [[], [], 0]);
  scene.onIdentify = () => fail(new TypeError('no function'));
  await assert.rejects(scene.publish(mtls), /^TypeError: no function$/);
  assert.equal(scene.clock.alarms(), 0);
});

test('a target path that another volume, or another pod, has in use is refused with its owner', async () => {
  const scene = createManagerScene();
  await scene.serve(mtls);
  const invalid = {
    type: 'invalid',
    message: 'target_path /uid/mtls is in use by volume csi-uid-mtls of pod shop/web-uid (uid)',
  };
  assert.deepEqual(await scene.publish({ ...mtls, volumeId: 'csi-other' }), invalid);
  assert.deepEqual(await scene.publish({ ...mtls, pod: { ...mtls.pod, uid: 'other' } }), invalid);
});

test('a call for a volume that is there ends the pauses that it can end', async () => {
  for (const [without, isHelped] of [
    [[], true],
    [['tokens', 'ahead'], false],
  ] as const) {
    const scene = createManagerScene(without);
    scene.onSubmit = () => fail(new AgentError('TokenMissing', 'no token', { actor: 'nobody' }));
    void scene.publish(mtls);
    await scene.pass(second);
    void scene.publish(mtls);
    const before = scene.submitted.length;
    await scene.pass(second);
    assert.equal(scene.submitted.length > before, isHelped);
    scene.manager.stop();
  }
});

test('a pod that counts as ended is looked for again when the kubelet calls for its volume', async () => {
  const scene = createManagerScene();
  scene.identity = { ended: true };
  const first = scene.publish(mtls, 3 * second);
  await scene.pass(second);
  assert.equal((await first).type, 'waiting');
  assert.deepEqual(scene.hindered, [[]], 'no request is waited for');
  scene.identity = {};
  const publishing = scene.publish(mtls);
  await scene.answer();
  assert.deepEqual(await publishing, { type: 'ready' });
});

test('a volume that was unmounted, or whose files are gone, is made anew, and the earlier one is looked after no more', async () => {
  for (const damage of ['unmounted', 'emptied'] as const) {
    const scene = createManagerScene();
    await scene.serve(mtls);
    const earlier = scene.volumes.get(mtls.targetPath);
    assert.ok(earlier !== undefined, 'there is no volume');
    if (damage === 'unmounted') {
      earlier.inPlace = false;
    } else {
      earlier.sources.clear();
    }
    await scene.serve(mtls);
    assert.equal(scene.stored.length, 2);
    assert.notEqual(scene.volumes.get(mtls.targetPath), earlier);
    assert.equal(scene.manager.count(), 1);
    assert.ok(scene.uptake.includes('mtls stopped'), 'the earlier one goes on');
  }
});

test('a volume that is damaged stays in use while it cannot be made anew, and is looked after until it is', async () => {
  const scene = createManagerScene();
  await scene.serve(mtls);
  const volume = scene.volumes.get(mtls.targetPath);
  assert.ok(volume !== undefined, 'there is no volume');
  volume.inPlace = false;
  scene.onIdentify = () => fail(unavailable);
  assert.deepEqual(await scene.publish(mtls), { type: 'unavailable', message: 'connection refused' });
  assert.deepEqual([scene.manager.count(), scene.manager.unusable()], [1, 0]);
  assert.ok(!scene.uptake.includes('mtls stopped'), 'it is looked after no more');
  scene.listed = new Map([['uid', { pod: mtls.pod, csiVolumes: new Map() }]]);
  scene.onIdentify = () => fail(forbidden);
  await scene.pass(minute);
  assert.deepEqual(told(scene).at(-1), {
    volume: { ...mtls, owner: { kind: 'none' } },
    type: 'unusable',
    reason: 'its files are damaged; no permission',
  });
  scene.onIdentify = () => undefined;
  await scene.pass(minute);
  assert.deepEqual(told(scene).slice(-1), [
    { volume: scene.volumes.get(mtls.targetPath)?.record, type: 'healed', reason: 'its files are damaged' },
  ]);
  assert.equal(scene.volumes.get(mtls.targetPath)?.inPlace, true);
  await scene.pass(10 * minute);
  assert.equal(scene.lists, 2, 'nothing is wrong with it any more');
});

test('a volume that could not be made because another is wrong with it is no stray', async () => {
  const scene = createManagerScene();
  scene.onCreate = () => fail(unavailable);
  assert.equal((await scene.publish(mtls)).type, 'unavailable');
  await scene.pass(10 * minute);
  assert.deepEqual([scene.manager.holds(mtls.targetPath), scene.lists], [false, 0]);
});

test('what was made while the agent stopped is left to the next one', async () => {
  const scene = createManagerScene();
  const { promise: held, resolve: goOn } = Promise.withResolvers<void>();
  scene.onCreate = () => held;
  const publishing = scene.publish(mtls);
  await scene.settle();
  scene.manager.stop();
  goOn();
  assert.deepEqual(await publishing, { type: 'unavailable', message: 'the agent is shutting down' });
  assert.deepEqual([scene.manager.count(), scene.submitted], [0, []]);
});

test('a volume is removed with all that is under way for it, and that is told once', async () => {
  const scene = createManagerScene();
  const publishing = scene.publish(mtls);
  await scene.settle();
  await scene.manager.unpublish(mtls.volumeId, mtls.targetPath);
  assert.equal((await publishing).type, 'waiting', 'nobody waits for it any more');
  assert.deepEqual(scene.stored, ['create /uid/mtls', 'remove /uid/mtls']);
  assert.deepEqual(scene.did, ['abandon mtls-0-key1']);
  assert.equal(told(scene).at(-1)?.type, 'unpublished');
  await scene.manager.unpublish(mtls.volumeId, mtls.targetPath);
  assert.equal(scene.stored.at(-1), 'remove /uid/mtls', 'what the agent does not know may be there');
  assert.equal(scene.stored.length, 3);
  assert.equal(told(scene).length, 2);
  assert.equal(scene.manager.holds(mtls.targetPath), false);
});

test('a volume is removed after it was made, not while it is', async () => {
  const scene = createManagerScene();
  const { promise: held, resolve: goOn } = Promise.withResolvers<void>();
  scene.onCreate = () => held;
  void scene.publish(mtls);
  await scene.settle();
  const removing = scene.manager.unpublish(mtls.volumeId, mtls.targetPath);
  await scene.settle();
  assert.deepEqual(scene.stored, ['create /uid/mtls']);
  goOn();
  await removing;
  assert.deepEqual([scene.stored.at(-1), scene.volumes.size], ['remove /uid/mtls', 0]);
});

test('what cannot be removed is said to the kubelet; once it is removed its pod’s tokens are forgotten, and that is told', async () => {
  const scene = createManagerScene();
  await scene.serve(mtls);
  scene.onRemove = () => fail(new Error('busy'));
  for (let call = 0; call < 2; call += 1) {
    await assert.rejects(scene.manager.unpublish(mtls.volumeId, mtls.targetPath), /^Error: busy$/);
  }
  assert.equal(told(scene).at(-1)?.type, 'published');
  scene.onRemove = () => undefined;
  for (let call = 0; call < 2; call += 1) {
    await scene.manager.unpublish(mtls.volumeId, mtls.targetPath);
  }
  assert.deepEqual(
    told(scene).map(({ type }) => type),
    ['publishing', 'published', 'unpublished'],
  );
  assert.deepEqual(scene.tokens.slice(1), ['forget uid']);
});

test('a pod’s tokens are forgotten with its last volume', async () => {
  const scene = createManagerScene();
  const other = requestFor('other');
  const another = requestFor('mtls', [certificate], 'another');
  for (const request of [mtls, other, another]) {
    await scene.serve(request);
  }
  await scene.manager.unpublish(mtls.volumeId, mtls.targetPath);
  const forgotten = (): readonly string[] => scene.tokens.filter((what) => what.startsWith('forget'));
  assert.deepEqual(forgotten(), []);
  await scene.manager.unpublish(other.volumeId, other.targetPath);
  assert.deepEqual(forgotten(), ['forget uid']);
});

test('an agent that wants no tokens and begins nothing ahead publishes, unpublishes and stops', async () => {
  const scene = createManagerScene(['ahead', 'tokens']);
  await scene.manager.recover();
  await scene.serve(mtls);
  await scene.manager.unpublish(mtls.volumeId, mtls.targetPath);
  scene.manager.stop();
  assert.deepEqual(scene.faults, []);
});

test('a call that waits for a volume ends when the agent stops, which leaves the volume and its request', async () => {
  const scene = createManagerScene();
  const publishing = scene.publish(mtls);
  await scene.settle();
  scene.manager.stop();
  assert.equal((await publishing).type, 'waiting');
  assert.deepEqual([scene.did, scene.stored.length, scene.manager.count()], [[], 1, 0]);
  assert.equal(scene.ahead.at(-1), 'stop');
  assert.equal(scene.clock.alarms(), 0);
});

test('what a signer refused one volume is asked again half a minute later when it answers another, and at nothing less', async () => {
  const scene = createManagerScene();
  void scene.publish(mtls);
  for (let refusals = 0; refusals < 4; refusals += 1) {
    await scene.pass((scene.manager.credentials()[0]?.nextAttemptAt ?? 0) - scene.clock.now());
    await scene.answer(denied);
  }
  void scene.publish(requestFor('asking', [certificate], 'other'));
  await scene.pass(minute / 2);
  const before = scene.submitted.length;
  await scene.pass(second);
  assert.equal(scene.submitted.length, before, 'a request says nothing of the signer');
  await scene.answer();
  await scene.pass(0);
  assert.equal(scene.submitted.length, before + 1);
  await scene.answer(denied);
  await scene.serve(requestFor('other', [certificate], 'another'));
  await scene.pass(minute / 2 - 1);
  assert.equal(scene.submitted.length, before + 2);
  await scene.pass(1);
  assert.equal(scene.submitted.length, before + 3);
  scene.manager.stop();
});
