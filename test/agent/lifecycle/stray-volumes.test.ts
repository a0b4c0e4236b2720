/** Volumes with which something is wrong: none is lost, none is taken away for one answer, and all come right again. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { AgentError } from '../../../agent/base/errors.ts';
import type { ListedPod } from '../../../agent/lifecycle/ports.ts';
import { createStrayVolumes } from '../../../agent/lifecycle/stray-volumes.ts';
import type { PublishRequest } from '../../../volumes/csi/driver.ts';
import { until } from '../../support/bounded.ts';
import { createManualClock } from '../../support/manual-clock.ts';
import { turnsOf } from '../../support/processor-time.ts';
import { createWorld, hour, minute, podCertificate, podUID, trustBundle, type World } from './world.ts';

type Answer = 'there' | 'away' | 'gone';

const sources = '- podCertificate: {signerName: example.com/mesh, keyType: ECDSAP256, credentialBundlePath: tls.pem}';
const web = { namespace: 'shop', name: 'web', uid: podUID, serviceAccountName: 'web' };

/** A world whose API server a test plays: what it says of the pod, and what it has in the pod's spec. */
async function createNode(t: TestContext) {
  const server = {
    pod: 'there' as Answer,
    volumes: new Map([['mtls', { driver: 'csi.example', attributes: { sources } }]]) as ListedPod['csiVolumes'],
    lists: 0,
    forgotten: [] as readonly string[],
  };
  const refuse = (): void => {
    if (server.pod === 'away') {
      throw new AgentError('Unavailable', 'connection refused', { actor: 'nobody' });
    }
  };
  const world = await createWorld(t, {
    identity(identity) {
      refuse();
      if (server.pod === 'gone') {
        throw new AgentError('PodGone', 'no such pod', { actor: 'nobody' });
      }
      return identity;
    },
    listed() {
      server.lists += 1;
      refuse();
      return server.pod === 'gone' ? new Map() : new Map([[podUID, { pod: web, csiVolumes: server.volumes }]]);
    },
    store: (store) => ({
      ...store,
      recover: async () => ({ ...(await store.recover()), unknownToKubelet: server.forgotten }),
    }),
  });
  return { world, server };
}

/** A volume with its first certificate. */
async function issue(world: World, name = 'mtls'): Promise<PublishRequest> {
  const request = world.request(name, [podCertificate(0, 'tls.pem')]);
  const published = world.publish(request);
  await world.answer('issue');
  assert.deepEqual(await published, { type: 'ready' });
  return request;
}

/** What the kubelet keeps beside a target path. */
function note({ targetPath, volumeName, volumeId }: PublishRequest, more: object = {}): void {
  const notes = { driverName: 'csi.example', specVolID: volumeName, volumeHandle: volumeId, ...more };
  writeFileSync(join(dirname(targetPath), 'vol_data.json'), JSON.stringify(notes));
}

const damage = ({ targetPath }: PublishRequest): void =>
  writeFileSync(join(targetPath, '..agent', 'volume.json'), 'damaged');

/** Lets everything that waits for nothing happen. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) {
    await new Promise((resolve) => setImmediate(resolve));
  }
}

async function pass(world: World, ms: number): Promise<void> {
  await settle();
  world.clock.advance(ms);
  await settle();
}

test('a volume whose files are damaged while the API server is away stays looked after, and is healed when it is back', async (t) => {
  const { world, server } = await createNode(t);
  const request = await issue(world);
  rmSync(join(request.targetPath, '..data'));
  server.pod = 'away';
  assert.equal((await world.publish(request)).type, 'unavailable');
  assert.equal(world.manager.count(), 1);
  assert.equal(world.manager.describe()[0]?.volume.volumeName, 'mtls');
  await pass(world, minute);
  assert.equal(world.manager.count(), 1);
  server.pod = 'there';
  world.manager.relieve({ type: 'apiServerHeard' });
  await world.answer('issue');
  await settle();
  assert.match(world.read(request, 'tls.pem'), /BEGIN CERTIFICATE/);
  assert.equal(world.types().filter((type) => type === 'healed').length, 1);
  assert.equal(world.manager.count(), 1);
});

test('a volume that could not be made anew is tried again, and counts as unusable until then', async (t) => {
  let broken = false;
  const world = await createWorld(t, {
    listed: () => new Map([[podUID, { pod: web, csiVolumes: new Map() }]]),
    store: (store) => ({
      ...store,
      create: (record) => (broken ? Promise.reject(new Error('no space left')) : store.create(record)),
    }),
  });
  const request = await issue(world);
  rmSync(join(request.targetPath, '..data'));
  broken = true;
  await assert.rejects(world.publish(request), /no space left/);
  assert.deepEqual([world.manager.count(), world.manager.unusable()], [0, 1]);
  await pass(world, minute);
  const [notice] = world.notices.filter(({ type }) => type === 'unusable');
  assert.ok(notice?.type === 'unusable' && /files are damaged; no space left/.test(notice.reason), 'the pod is told');
  broken = false;
  await pass(world, 2 * minute);
  await world.answer('issue');
  assert.deepEqual([world.manager.count(), world.manager.unusable()], [1, 0]);
});

test('a volume with a damaged record is made anew from the kubelet’s notes and the pod’s spec, and refreshed', async (t) => {
  const { world, server } = await createNode(t);
  const request = await issue(world);
  note(request);
  damage(request);
  const before = world.read(request, 'tls.pem');
  server.pod = 'away';
  await world.restart();
  await settle();
  assert.deepEqual([world.manager.count(), world.manager.unusable()], [0, 1]);
  server.pod = 'there';
  await pass(world, minute);
  assert.deepEqual([world.manager.count(), world.manager.unusable()], [1, 0]);
  assert.equal(world.read(request, 'tls.pem'), before, 'the certificate that is valid stays');
  const healed = world.notices.find(({ type }) => type === 'healed');
  assert.ok(healed?.type === 'healed' && /volume\.json is unusable/.test(healed.reason), 'the pod is told why');
  assert.deepEqual(healed.volume.pod, web);
  await pass(world, 24 * hour);
  await world.answer('issue');
  assert.notEqual(world.read(request, 'tls.pem'), before);
  await world.restart();
  assert.deepEqual([world.manager.count(), world.manager.unusable()], [1, 0]);
});

test('of a volume that cannot be taken up nothing is believed but the kubelet’s notes and the pod’s spec', async (t) => {
  const { world, server } = await createNode(t);
  const request = await issue(world);
  const stays = async (why: string) => {
    damage(request);
    await world.restart();
    await pass(world, 10 * minute);
    assert.deepEqual([world.manager.count(), world.manager.unusable()], [0, 1], why);
    assert.ok(existsSync(join(request.targetPath, 'tls.pem')), `${why}: its files stay`);
  };
  await stays('the kubelet has no notes');
  note(request, { specVolID: 'other' });
  await stays('the notes are of another volume');
  note(request, { driverName: 'csi.other' });
  await stays('the notes are of another driver');
  note(request);
  server.volumes = new Map();
  await stays('the pod has no such volume');
  server.volumes = new Map([['mtls', { driver: 'csi.other', attributes: { sources } }]]);
  await stays('the volume of the pod is of another driver');
  server.volumes = new Map([['mtls', { driver: 'csi.example', attributes: { sources: '- nothing: {}' } }]]);
  await stays('the declaration in the spec is refused');
  const told = world.notices.filter(({ type }) => type === 'unusable');
  assert.equal(told.length, 1, 'said once');
  assert.match(told[0]?.type === 'unusable' ? told[0].reason : '', /sources\[0\]/);
});

test('a volume with a damaged record goes with its key once its pod is gone in two looks, and not at one', async (t) => {
  const { world, server } = await createNode(t);
  const request = await issue(world);
  damage(request);
  server.pod = 'gone';
  await world.restart();
  await settle();
  assert.ok(existsSync(request.targetPath), 'one look is not enough');
  server.pod = 'there';
  await pass(world, minute);
  server.pod = 'gone';
  await pass(world, 2 * minute);
  assert.ok(existsSync(request.targetPath), 'a pod that was there in between is looked for anew');
  server.pod = 'away';
  await pass(world, 4 * minute);
  assert.ok(existsSync(request.targetPath), 'no answer says nothing');
  server.pod = 'gone';
  await pass(world, 8 * minute);
  assert.equal(existsSync(request.targetPath), false);
  assert.equal(world.manager.unusable(), 0);
  assert.deepEqual(world.faults, []);
});

test('what the kubelet has notes on is left to the kubelet for ten minutes', async (t) => {
  const { world, server } = await createNode(t);
  const request = await issue(world);
  note(request);
  damage(request);
  server.pod = 'gone';
  await world.restart();
  for (let minutes = 0; minutes < 9; minutes += 1) {
    await pass(world, minute);
  }
  assert.ok(existsSync(request.targetPath), 'the kubelet may yet come');
  await pass(world, 10 * minute);
  assert.equal(existsSync(request.targetPath), false);
});

test('a volume that the kubelet does not know any more goes when its pod is gone in two looks, and not before', async (t) => {
  const { world, server } = await createNode(t);
  const request = world.request('trust', [trustBundle(0, 'ca.pem', true)]);
  void world.publish(request);
  await world.until(() => world.manager.count() === 1);
  server.forgotten = [request.targetPath];
  await world.restart();
  await pass(world, minute);
  assert.ok(existsSync(request.targetPath), 'its pod is there');
  server.pod = 'gone';
  await pass(world, minute);
  assert.ok(existsSync(request.targetPath), 'one look is not enough');
  server.pod = 'away';
  await pass(world, 2 * minute);
  assert.ok(existsSync(request.targetPath), 'no answer says nothing');
  server.pod = 'gone';
  await pass(world, 4 * minute);
  assert.equal(existsSync(request.targetPath), false);
  assert.ok(world.types().includes('unpublished'), 'and the log says so');
});

test('a volume that the kubelet comes to know again is the kubelet’s, whatever is said of its pod', async (t) => {
  const { world, server } = await createNode(t);
  const request = await issue(world);
  server.forgotten = [request.targetPath];
  server.pod = 'gone';
  await world.restart();
  await settle();
  server.pod = 'there';
  note(request);
  await pass(world, minute);
  server.pod = 'gone';
  await pass(world, hour);
  await pass(world, hour);
  assert.ok(existsSync(request.targetPath), 'the kubelet unpublishes it');
});

test('a thousand volumes that cannot be taken up cost one list of pods a look, and looks become rare', async (t) => {
  const { world, server } = await createNode(t);
  for (let index = 0; index < 40; index += 1) {
    const request = world.request(`v${index}`, [podCertificate(0, 'tls.pem')]);
    void world.publish(request);
  }
  await world.until(() => world.followed.size === 40);
  const parent = dirname(dirname(world.request('v0', []).targetPath));
  for (const name of readdirSync(parent)) {
    writeFileSync(join(parent, name, 'mount', '..agent', 'volume.json'), 'damaged');
  }
  await world.restart();
  await settle();
  assert.deepEqual([world.manager.unusable(), server.lists], [40, 1]);
  for (let minutes = 0; minutes < 60; minutes += 1) {
    await pass(world, minute);
  }
  assert.ok(server.lists <= 11, `${server.lists} lists in an hour`);
});

test('a hundred declarations of damaged volumes that take long to read are read over many turns of the event loop', async () => {
  const clock = createManualClock();
  const annotations = Array.from({ length: 150 }, (_, index) => `example.com/k${index}: ""`).join(', ');
  const long = `[{podCertificate: {signerName: a.b/c, keyType: ED25519, keyPath: k, userAnnotations: {${annotations}}}}]`;
  const names = Array.from({ length: 100 }, (_, index) => `volume-${index}`);
  const csiVolumes = new Map(
    names.map((name) => [name, { driver: 'csi.example', attributes: { sources: long, name } }]),
  );
  const told: string[] = [];
  const strays = createStrayVolumes({
    clock,
    nodePods: { list: async () => new Map([[podUID, { pod: web, csiVolumes }]]) },
    store: {
      kubeletNotes: (targetPath) => ({ driverName: 'csi.example', volumeName: targetPath, volumeId: targetPath }),
    },
    report: (notice) => void told.push(notice.type === 'unusable' ? notice.reason : notice.type),
    onFault: (error) => assert.fail(String(error)),
    isPodGone: async () => false,
    heal: async () => assert.fail('a declaration with an unknown attribute is refused'),
    remove: async () => undefined,
  });
  for (const name of names) {
    strays.add({ targetPath: name, podUID, volumeName: name, reason: 'damaged' });
  }
  const { longest, all } = await turnsOf(async () => {
    strays.look();
    await until(() => told.length === names.length, 'all to be looked at');
  });
  strays.stop();
  assert.match(told[0] ?? '', /^damaged; volumeAttributes: unknown attribute "name"/);
  assert.ok(all / longest > 10, `a turn of ${longest} ms of ${all} ms`);
});
