/** Volumes that an earlier run left: which mounts and directories are taken for them, and what the kubelet notes of them. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import type { MountEntry } from '../../volumes/mounts/mount-table.ts';
import { findUnknownToKubelet, readKubeletNotes, scanTargets } from '../../volumes/search.ts';
import { makeTarget, podUID, temporaryDirectory } from './support.ts';

const driver = 'csi.test';
const target = (root: string, volumeName: string): string =>
  path.join(root, 'pods', podUID, 'volumes/kubernetes.io~csi', volumeName, 'mount');

/** A mount table in which this driver has mounts at these paths. */
function mountsAt(...mountPoints: readonly string[]) {
  const entries = mountPoints.map((mountPoint, id): MountEntry => {
    const fileSystem = { device: `0:${id}`, root: '/', fileSystemType: 'tmpfs', source: driver };
    return { id, parentId: 1, mountPoint, ...fileSystem, isShared: true };
  });
  return { own: () => entries };
}

/** A kubelet's root, and beside it a link to it. */
function makeRoot(t: TestContext) {
  const directory = temporaryDirectory(t);
  const [real, link] = [path.join(directory, 'kubelet'), path.join(directory, 'link')];
  fs.mkdirSync(real);
  fs.symlinkSync(real, link);
  return { real, link };
}

test("the driver's mounts at target paths are found, each once and in order, by the path that the kubelet's root was given by", (t) => {
  const { real, link } = makeRoot(t);
  const mounts = mountsAt(target(real, 'b'), target(real, 'a'), target(real, 'b'));
  assert.deepEqual(scanTargets(real, mounts), [target(real, 'a'), target(real, 'b')]);
  assert.deepEqual(scanTargets(link, mounts), [target(link, 'a'), target(link, 'b')]);
  assert.deepEqual(scanTargets('/', mountsAt(target('/', 'a'))), [target('/', 'a')]);
});

test("what the driver mounted elsewhere than at target paths below the kubelet's root is no volume", (t) => {
  const { real, link } = makeRoot(t);
  const beside = ['kubelet-other', 'another'].map((name) => target(path.join(path.dirname(real), name), 'a'));
  const mounts = mountsAt(real, path.join(real, 'pods'), path.join(target(real, 'a'), 'inner'), ...beside);
  assert.deepEqual([scanTargets(real, mounts), scanTargets(link, mounts)], [[], []]);
});

test("without mounts, the directories at target paths that hold the agent's state are found, and nothing else", (t) => {
  const root = temporaryDirectory(t);
  assert.deepEqual(scanTargets(root, undefined), []);
  for (const name of ['b', 'a', 'bare']) {
    fs.mkdirSync(makeTarget(root, name));
  }
  makeTarget(root, 'absent');
  for (const directory of [
    target(root, 'b'),
    target(root, 'a'),
    path.join(root, 'pods/strange name/volumes/kubernetes.io~csi/v/mount'),
    path.join(root, 'pods', podUID, 'volumes/kubernetes.io~empty-dir/v/mount'),
  ]) {
    fs.mkdirSync(path.join(directory, '..agent'), { recursive: true });
  }
  fs.writeFileSync(path.join(root, 'pods/file'), '');
  fs.mkdirSync(path.join(root, 'pods/empty'));
  assert.deepEqual(scanTargets(root, undefined), [target(root, 'a'), target(root, 'b')]);
});

test('a directory that cannot be listed is an error, since volumes may lie in it', (t) => {
  const root = temporaryDirectory(t);
  fs.symlinkSync('pods', path.join(root, 'pods'));
  assert.throws(() => scanTargets(root, undefined), { code: 'ELOOP' });
});

test('the targets that the kubelet has no notes on are unknown to it, whatever the notes of the others are', (t) => {
  const root = temporaryDirectory(t);
  const targets = ['noted', 'unknown', 'linked'].map((name) => makeTarget(root, name));
  fs.writeFileSync(path.join(path.dirname(target(root, 'noted')), 'vol_data.json'), '');
  fs.symlinkSync('elsewhere', path.join(path.dirname(target(root, 'linked')), 'vol_data.json'));
  assert.deepEqual(findUnknownToKubelet(targets), [target(root, 'unknown')]);
});

test('the kubelet’s notes on a volume are read with distrust', (t) => {
  const targetPath = makeTarget(temporaryDirectory(t));
  const file = path.join(path.dirname(targetPath), 'vol_data.json');
  const read = () => readKubeletNotes(targetPath, driver);
  assert.equal(read(), 'none');
  const notes = {
    driverName: driver,
    specVolID: 'mtls',
    volumeHandle: 'csi-0123',
    nodeName: 'a',
    volumeLifecycleMode: 'Ephemeral',
  };
  const text = JSON.stringify(notes);
  const found = { driverName: driver, volumeName: 'mtls', volumeId: 'csi-0123' };
  for (const good of [text, text + ' '.repeat(64 * 1024 - text.length), JSON.stringify({ ...notes, nodeName: 'ä' })]) {
    fs.writeFileSync(file, good);
    assert.deepEqual(read(), found);
  }
  for (const bad of [
    '',
    '{"driver',
    '[]',
    'null',
    text + ' '.repeat(64 * 1024 + 1 - text.length),
    JSON.stringify({ ...notes, driverName: 'other' }),
    JSON.stringify({ ...notes, specVolID: undefined }),
    JSON.stringify({ ...notes, volumeHandle: 7 }),
    '{"driverName":7}',
  ]) {
    fs.writeFileSync(file, bad);
    assert.equal(read(), 'unreadable', bad.slice(0, 100));
  }
  fs.rmSync(file);
  fs.symlinkSync('elsewhere', file);
  assert.equal(read(), 'unreadable');
});
