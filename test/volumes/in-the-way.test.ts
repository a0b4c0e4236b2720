/** What stands in the way of a volume: it is cleared where that is safe, and told where it is not. In directory mode, which is the same here. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { createVolumeStore } from '../../volumes/store.ts';
import { certificateSource, credential, makeRecord, makeTarget, temporaryDirectory } from './support.ts';

function setUp(t: TestContext) {
  const kubeletRoot = temporaryDirectory(t);
  const targetPath = makeTarget(kubeletRoot);
  const problems: string[] = [];
  const onProblem = (target: string, problem: string) => void problems.push(`${target}: ${problem}`);
  const store = createVolumeStore({ kubeletRoot, driverName: 'csi.test', mode: 'directory', onProblem });
  const declaration = { sources: [certificateSource] };
  return { targetPath, problems, store, record: makeRecord(targetPath, { declaration }) };
}

test('a file at the target path is no volume, and stays', async (t) => {
  const { targetPath, problems, store, record } = setUp(t);
  fs.writeFileSync(targetPath, 'no volume');
  const refusal = { code: 'InvalidTarget', message: `${targetPath} is not a directory` };
  await assert.rejects(store.create(record), refusal);
  await assert.rejects(store.remove(targetPath), refusal);
  assert.equal(fs.readFileSync(targetPath, 'utf8'), 'no volume');
  assert.deepEqual(problems, []);
});

test('a volume that says that it is another pod’s is cleared away, whatever its id', async (t) => {
  const { targetPath, store, record } = setUp(t);
  const volume = await store.create(record);
  await volume.project(new Map([[0, credential(1)]]));
  const file = path.join(targetPath, '..agent', 'volume.json');
  const stored = JSON.parse(fs.readFileSync(file, 'utf8'));
  stored.record.pod.uid = 'another';
  fs.writeFileSync(file, JSON.stringify(stored));
  assert.equal((await store.create(record)).isProjected(0), false);
  assert.deepEqual(fs.readdirSync(targetPath), ['..agent']);
});

test('a link in the place of a volume’s record is refused, and what it leads to is not believed', async (t) => {
  const { targetPath, store, record } = setUp(t);
  await store.create(record);
  const file = path.join(targetPath, '..agent', 'volume.json');
  fs.renameSync(file, `${file}-away`);
  fs.symlinkSync(`${file}-away`, file);
  await assert.rejects(store.create(record), { code: 'Tampered' });
  assert.ok(fs.lstatSync(file).isSymbolicLink(), 'the link is gone');
});

test('of a volume that neither opens nor goes both reasons are told', async (t) => {
  const { targetPath, problems, store, record } = setUp(t);
  const userAnnotations = {
    // Asked for when the record is stored.
    get name(): string {
      fs.renameSync(targetPath, `${targetPath}-away`);
      fs.symlinkSync(`${targetPath}-away`, targetPath);
      throw new Error('no record');
    },
  };
  const declaration = { sources: [{ ...certificateSource, userAnnotations }] };
  await assert.rejects(store.create({ ...record, declaration }), { name: 'VolumeError', message: /no record$/ });
  assert.equal(problems.length, 1, problems.join('; '));
  assert.match(problems[0] ?? '', /mount: VolumeError: .*mount is not a directory$/);
});
