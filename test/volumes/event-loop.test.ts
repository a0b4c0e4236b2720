/** How long a volume holds the event loop up, whatever its author asks for: no longer than a few files at a time. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import type { OpenVolume } from '../../volumes/base/volume.ts';
import { createVolumeStore } from '../../volumes/store.ts';
import { makeDirectory } from '../support/directory.ts';
import { turnsOf, usedMs } from '../support/processor-time.ts';
import { anchors, anchorsSource, makeRecord, makeTarget, temporaryDirectory } from './support.ts';

const sources = Array.from({ length: 256 }, (_, index) => ({
  ...anchorsSource,
  index,
  path: [...Array.from({ length: 15 }, (_unused, depth) => `${index}-${depth}`), 'ca.pem'].join('/'),
}));

async function makeVolume(t: TestContext, count: number): Promise<OpenVolume> {
  const kubeletRoot = temporaryDirectory(t);
  const store = createVolumeStore({ kubeletRoot, driverName: 'csi.test', mode: 'directory' });
  const declaration = { sources: sources.slice(0, count) };
  return await store.create(makeRecord(makeTarget(kubeletRoot), { declaration }));
}

const write = (volume: OpenVolume, generation: number) =>
  volume.project(new Map(volume.record.declaration.sources.map(({ index }) => [index, anchors(generation)])));

test('256 sources with 16 parts in their paths hold the event loop up no longer than a few of them', async (t) => {
  const [few, many] = [await makeVolume(t, 8), await makeVolume(t, 256)];
  await write(few, 1);
  await write(many, 1);
  const ratios: number[] = [];
  for (const generation of [2, 3, 4]) {
    const unit = (await turnsOf(() => write(few, generation))).all;
    const changed = await turnsOf(() => write(many, generation));
    const unchanged = await turnsOf(() => write(many, generation));
    assert.ok(changed.all > 8 * unit, `256 sources take ${changed.all} ms, and 8 of them ${unit} ms`);
    ratios.push(Math.max(changed.longest, unchanged.longest) / unit);
  }
  const best = Math.min(...ratios);
  assert.ok(best < 4, `the longest turn takes as long as ${best} times 8 sources; all rounds: ${ratios.join(', ')}`);
});

test('looking whether 256 sources with deep paths are in place takes as long as a few of them take to write', async (t) => {
  const [few, many] = [await makeVolume(t, 32), await makeVolume(t, 256)];
  await write(few, 1);
  await write(many, 1);
  const ratios: number[] = [];
  for (const generation of [2, 3, 4]) {
    const unit = (await turnsOf(() => write(few, generation))).all;
    const before = process.cpuUsage();
    assert.ok(
      sources.every(({ index }) => many.isProjected(index)),
      'every source is in place',
    );
    ratios.push(usedMs(before) / unit);
  }
  assert.ok(Math.min(...ratios) < 1, `it takes ${ratios.join(', ')} times as long as 32 sources`);
  assert.ok(fs.existsSync(path.join(many.record.targetPath, '0-0')), 'the files are there');
});

test('a hundred damaged records are read in a turn each after a restart', async (t) => {
  const kubeletRoot = temporaryDirectory(t);
  const store = createVolumeStore({ kubeletRoot, driverName: 'csi.test', mode: 'directory' });
  // Of what may be read, what takes the parser longest: names.
  const damaged = JSON.stringify(Object.fromEntries(Array.from({ length: 6_000 }, (_, index) => [`n${index}`, 0])));
  for (let count = 0; count < 100; count += 1) {
    const state = path.join(makeTarget(kubeletRoot, `volume-${count}`), '..agent');
    fs.mkdirSync(state, { recursive: true, mode: 0o700 });
    fs.writeFileSync(path.join(state, 'volume.json'), damaged);
  }
  const before = process.cpuUsage();
  for (let count = 0; count < 20; count += 1) {
    JSON.parse(damaged);
  }
  const unit = usedMs(before) / 20;
  const ratios: number[] = [];
  for (let round = 0; round < 2; round += 1) {
    const { longest } = await turnsOf(async () => {
      const { unusable } = await store.recover();
      assert.match(unusable[99]?.reason ?? '', /volume\.json is unusable/);
    });
    ratios.push(longest / unit);
  }
  assert.ok(Math.min(...ratios) < 20, `the longest turn takes ${ratios.join(', ')} times as long as parsing one`);
});

/** As a privileged container can do in its volume. @param name of each, by its number */
function plant(directory: string, name: (count: number) => string): void {
  fs.mkdirSync(directory, { recursive: true });
  for (let count = 0; count < 2_000; count += 1) {
    fs.writeFileSync(path.join(directory, name(count)), '');
  }
}

test('thousands of entries in the state of a volume, and in the place of a link or file, are removed over many turns', async (t) => {
  const kubeletRoot = makeDirectory(t, '/dev/shm');
  const store = createVolumeStore({ kubeletRoot, driverName: 'csi.test', mode: 'directory' });
  const target = makeTarget(kubeletRoot);
  const declaration = { sources: [{ ...anchorsSource, index: 0 }], reload: { touch: 'changed' } };
  const record = makeRecord(target, { declaration });
  await write(await store.create(record), 1);
  const inState = (name: string): string => path.join(target, '..agent', name);
  const hex = (count: number): string => count.toString(16).padStart(16, '0');
  plant(inState(''), (count) => `pending-${count % 2}.${hex(count)}.key`);
  plant(inState('keystore-0.password.0.tmp'), String);
  fs.rmSync(path.join(target, 'changed'));
  plant(path.join(target, 'changed'), String);
  let volume: OpenVolume | undefined;
  const opened = await turnsOf(async () => {
    volume = await store.create(record);
  });
  assert.deepEqual(fs.readdirSync(inState('')), ['volume.json']);
  assert.ok(fs.statSync(path.join(target, 'changed')).isFile(), 'the file is put back');
  assert.ok(opened.all / opened.longest > 5, `a turn of ${opened.longest} ms of ${opened.all} ms`);
  fs.rmSync(path.join(target, 'trust-anchors.pem'));
  plant(path.join(target, 'trust-anchors.pem'), String);
  fs.rmSync(path.join(target, '..data'));
  plant(path.join(target, '..data'), String);
  const written = await turnsOf(async () => volume && (await write(volume, 2)));
  assert.ok(volume?.isProjected(0), 'the link is put back');
  assert.ok(written.all / written.longest > 5, `a turn of ${written.longest} ms of ${written.all} ms`);
});

test('what lies beside a request in the state makes neither keeping nor discarding it slower', async (t) => {
  const kubeletRoot = makeDirectory(t, '/dev/shm');
  const store = createVolumeStore({ kubeletRoot, driverName: 'csi.test', mode: 'directory' });
  const target = makeTarget(kubeletRoot);
  const volume = await store.create(makeRecord(target));
  const pending = { requestName: 'req', keyType: 'ED25519', createdAt: 1 } as const;
  const best = (): number =>
    Math.min(
      ...Array.from({ length: 20 }, () => {
        const before = process.cpuUsage();
        volume.savePending(0, pending, Uint8Array.of(1));
        volume.savePending(0, pending, Uint8Array.of(2));
        volume.discardPending(0);
        return usedMs(before);
      }),
    );
  const alone = best();
  plant(path.join(target, '..agent'), (count) => `other-${count}`);
  const beside = best();
  assert.ok(beside < 3 * alone, `it takes ${beside} ms, and ${alone} ms without`);
  assert.equal(fs.readdirSync(path.join(target, '..agent')).length, 2_001, 'and neither leaves anything');
});
