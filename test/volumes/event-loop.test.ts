/** How long a volume holds the event loop up, whatever its author asks for: no longer than a few files at a time. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import type { OpenVolume } from '../../volumes/base/volume.ts';
import { createVolumeStore } from '../../volumes/store.ts';
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
  // Of what may be read, what takes the parser longest: as many names as there may be.
  const damaged = JSON.stringify(Object.fromEntries(Array.from({ length: 16_000 }, (_, index) => [`n${index}`, 0])));
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
  for (let round = 0; round < 3; round += 1) {
    const { longest } = await turnsOf(async () => {
      const { unusable } = await store.recover();
      assert.match(unusable[99]?.reason ?? '', /volume\.json is unusable/);
    });
    ratios.push(longest / unit);
  }
  assert.ok(Math.min(...ratios) < 20, `the longest turn takes ${ratios.join(', ')} times as long as parsing one`);
});
