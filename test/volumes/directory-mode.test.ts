/** What a store promises in directory mode, where it costs no mount: to whoever has a volume open, to root, and to whoever asks what was found. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { createVolumeStore } from '../../volumes/store.ts';
import { anchors, credential, makeRecord, makeTarget, rootSkip, temporaryDirectory } from './support.ts';

function setUp(t: TestContext) {
  const kubeletRoot = temporaryDirectory(t);
  const targetPath = makeTarget(kubeletRoot);
  const problems: [string, string][] = [];
  const onProblem = (...problem: [string, string]) => void problems.push(problem);
  const restart = () => createVolumeStore({ kubeletRoot, driverName: 'csi.test', mode: 'directory', onProblem });
  return { targetPath, problems, restart, record: makeRecord(targetPath) };
}

test('a volume that is made again stays open to whoever has it open, and is not written for it', async (t) => {
  const { targetPath, restart, record } = setUp(t);
  const store = restart();
  const first = await store.create(record);
  const stored = () => fs.statSync(path.join(targetPath, '..agent', 'volume.json')).ino;
  const before = stored();
  const second = await store.create(record);
  assert.equal(stored(), before, 'the record was written again');
  for (const [generation, volume] of [first, second].entries()) {
    assert.equal(await volume.project(new Map([[1, anchors(generation)]])), 'written');
  }
});

test('files stay the agent’s own, also where it might give them away', { skip: rootSkip }, async (t) => {
  const { targetPath, restart, record } = setUp(t);
  const volume = await restart().create({ ...record, owner: { kind: 'group', gid: 4242 } });
  await volume.project(new Map([[0, credential(1)]]));
  const places = [targetPath, path.join(targetPath, 'credentials.pem')];
  assert.deepEqual(
    places.map((place) => fs.statSync(place).gid),
    [process.getegid?.(), process.getegid?.()],
  );
});

test('no volume counts as unknown to the kubelet, and a file that cannot be understood is told by its volume', async (t) => {
  const { targetPath, problems, restart, record } = setUp(t);
  await restart().create(record);
  const file = path.join(targetPath, '..agent', 'pending-0.json');
  fs.writeFileSync(file, '{');
  const { volumes, unusable, unknownToKubelet } = await restart().recover();
  assert.deepEqual([volumes.length, unusable, unknownToKubelet], [1, [], []]);
  assert.equal(volumes[0]?.pending(0), undefined);
  assert.deepEqual(problems, [[targetPath, `${file} is unusable: it is not JSON`]]);
});

test('a volume whose record names another place is not found, and is told by where it lies', async (t) => {
  const { targetPath, restart, record } = setUp(t);
  await restart().create(record);
  const file = path.join(targetPath, '..agent', 'volume.json');
  const stored = JSON.parse(fs.readFileSync(file, 'utf8'));
  stored.record.targetPath = `/elsewhere${targetPath}`;
  fs.writeFileSync(file, JSON.stringify(stored));
  const { volumes, unusable } = await restart().recover();
  const reason = `target path ${targetPath} belongs to another pod or volume than its record`;
  const { volumeName, pod } = record;
  assert.deepEqual([volumes, unusable], [[], [{ targetPath, volumeName, podUID: pod.uid, reason }]]);
});

test("the kubelet's notes are read where they are of this driver's volume", (t) => {
  const { targetPath, restart } = setUp(t);
  const notes = { driverName: 'csi.test', specVolID: 'mtls', volumeHandle: 'csi-0123' };
  const file = path.join(path.dirname(targetPath), 'vol_data.json');
  assert.equal(restart().kubeletNotes(targetPath), 'none');
  fs.writeFileSync(file, JSON.stringify(notes));
  assert.deepEqual(restart().kubeletNotes(targetPath), {
    driverName: 'csi.test',
    volumeName: 'mtls',
    volumeId: 'csi-0123',
  });
  fs.writeFileSync(file, JSON.stringify({ ...notes, driverName: 'csi.example' }));
  assert.equal(restart().kubeletNotes(targetPath), 'unreadable');
});
