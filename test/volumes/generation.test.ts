/**
 * The file that is touched after each change: whoever watches it, and nothing else of the volume, sees every change and finds it in place.
 * Each test runs in directory mode, and with real tmpfs mounts where this run may mount.
 */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import type { OpenVolume, VolumeRecord } from '../../volumes/base/volume.ts';
import { createVolumeStore } from '../../volumes/store.ts';
import { eventOf } from '../support/bounded.ts';
import {
  anchors,
  anchorsSource,
  certificateSource,
  credential,
  makeRecord,
  makeTarget,
  modeOf,
  mountSkip,
  rootSkip,
  temporaryDirectory,
} from './support.ts';

function setUp(t: TestContext, mode: 'tmpfs' | 'directory', more: Partial<VolumeRecord> = {}) {
  const kubeletRoot = temporaryDirectory(t);
  const targetPath = makeTarget(kubeletRoot);
  const problems: string[] = [];
  const onProblem = (_target: string, problem: string) => void problems.push(problem);
  const restart = () => createVolumeStore({ kubeletRoot, driverName: 'csi.test', mode, onProblem });
  const declaration = { sources: [certificateSource, anchorsSource], reload: { touch: 'generation' } };
  const record = makeRecord(targetPath, { declaration, ...more });
  const file = path.join(targetPath, 'generation');
  const set = () => fs.readlinkSync(path.join(targetPath, '..data')).slice(2);
  return { targetPath, restart, record, file, set, problems };
}

function inBothModes(name: string, body: (t: TestContext, mode: 'tmpfs' | 'directory') => Promise<void>): void {
  test(`${name} (directory)`, (t) => body(t, 'directory'));
  test(`${name} (tmpfs)`, { skip: mountSkip }, (t) => body(t, 'tmpfs'));
}

async function fill(volume: OpenVolume, generation: number): Promise<void> {
  await volume.project(
    new Map([
      [0, credential(generation)],
      [1, anchors(generation)],
    ]),
  );
}

inBothModes('the file is there with the first set and names every set that follows', async (t, mode) => {
  const { restart, record, file, set } = setUp(t, mode);
  const volume = await restart().create(record);
  assert.ok(!fs.existsSync(file), 'there is no generation without a set');
  await fill(volume, 1);
  assert.equal(fs.readFileSync(file, 'utf8'), `${set()}\n`);
  const first = fs.statSync(file, { bigint: true });
  await fill(volume, 1);
  const same = fs.statSync(file, { bigint: true });
  assert.equal(same.mtimeNs, first.mtimeNs, 'nothing is written when nothing changed');
  await fill(volume, 2);
  assert.equal(fs.readFileSync(file, 'utf8'), `${set()}\n`);
  assert.equal(fs.statSync(file, { bigint: true }).ino, first.ino, 'it is the same file, so that a watch on it lasts');
});

inBothModes(
  'a watch on this one file sees the second change as it saw the first, and the files in place',
  async (t, mode) => {
    const { targetPath, restart, record, file } = setUp(t, mode);
    const volume = await restart().create(record);
    await fill(volume, 1);
    const watcher = fs.watch(file);
    t.after(() => watcher.close());
    for (const generation of [2, 3]) {
      const { promise, resolve } = Promise.withResolvers<Buffer>();
      const look = () => resolve(fs.readFileSync(path.join(targetPath, 'parts/key.pem')));
      watcher.once('change', look);
      const seen = eventOf(watcher, 'change', 'a change of the file');
      await fill(volume, generation);
      await seen;
      const wanted = Buffer.alloc(48, generation).toString('base64');
      assert.ok(
        (await promise).includes(wanted),
        `the key of generation ${generation} is in place when the watch rings`,
      );
    }
  },
);

inBothModes(
  'after a crash between change and touch the file is set right when the volume is taken up',
  async (t, mode) => {
    const { restart, record, file, set, problems } = setUp(t, mode);
    const volume = await restart().create(record);
    await fill(volume, 1);
    const before = fs.readFileSync(file);
    await fill(volume, 2);
    fs.writeFileSync(file, before);
    const { volumes } = await restart().recover();
    assert.deepEqual(volumes[0]?.record, record);
    assert.equal(fs.readFileSync(file, 'utf8'), `${set()}\n`);
    assert.deepEqual(problems, []);
  },
);

inBothModes('whatever is put in its place is replaced, and nothing outside is written', async (t, mode) => {
  const { targetPath, restart, record, file, set } = setUp(t, mode);
  const volume = await restart().create(record);
  await fill(volume, 1);
  const victim = path.join(temporaryDirectory(t), 'victim');
  const plants: readonly (() => void)[] = [
    () => fs.symlinkSync(victim, file),
    () => fs.linkSync(path.join(targetPath, 'trust-anchors.pem'), file),
    () => fs.mkdirSync(path.join(file, 'deep'), { recursive: true }),
    () => fs.writeFileSync(file, 'short'),
    () => undefined,
  ];
  for (const [index, plant] of plants.entries()) {
    fs.writeFileSync(victim, 'untouched');
    fs.rmSync(file, { recursive: true, force: true });
    plant();
    await fill(volume, index + 2);
    assert.equal(fs.readFileSync(file, 'utf8'), `${set()}\n`, `plant ${index}`);
    assert.ok(fs.lstatSync(file).isFile(), `plant ${index} is gone`);
    assert.equal(fs.readFileSync(victim, 'utf8'), 'untouched', `plant ${index}`);
  }
});

test('the file belongs to whom the other files belong to', { skip: rootSkip }, async (t) => {
  const { restart, record, file } = setUp(t, 'tmpfs', { owner: { kind: 'group', gid: 4242 } });
  await fill(await restart().create(record), 1);
  assert.equal(modeOf(file), '640');
  assert.equal(fs.statSync(file).gid, 4242);
});
