/**
 * Volumes that a privileged container has made larger and filled with what it likes: what that costs other pods, and the agent. On real
 * tmpfs mounts, which only such a container can make larger.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import type { OpenVolume } from '../../volumes/base/volume.ts';
import { createVolumeStore } from '../../volumes/store.ts';
import { turnsOf } from '../support/processor-time.ts';
import {
  anchors,
  credential,
  makeRecord,
  makeTarget,
  mountPointsBelow,
  mountSkip,
  podUID,
  temporaryDirectory,
} from './support.ts';

const megabyte = 1024 * 1024;

/** A node with 16 MiB for all files of volumes, and 4 MiB for those of one pod. */
function makeNode(t: TestContext) {
  const root = temporaryDirectory(t);
  const problems: string[] = [];
  const start = () =>
    createVolumeStore({
      ...{ kubeletRoot: root, driverName: 'csi.test', mode: 'tmpfs', memoryBytes: 64 * megabyte },
      onProblem: (_target, problem) => problems.push(problem),
    });
  /** @param pod a digit */
  const recordOf = (pod: number, volumeName: string) => {
    const uid = `${podUID.slice(0, -1)}${pod}`;
    const target = makeTarget(root, volumeName, uid);
    const record = makeRecord(target, { volumeId: `${pod}-${volumeName}`, volumeName });
    return { ...record, pod: { ...record.pod, uid } };
  };
  return { root, problems, start, recordOf };
}

async function write(volume: OpenVolume, generation: number): Promise<'written' | 'unchanged'> {
  return await volume.project(
    new Map([
      [0, credential(generation)],
      [1, anchors(generation)],
    ]),
  );
}

/** As a container with CAP_SYS_ADMIN can do in a mount namespace of its own: the file system is the same one. */
function makeLarger(targetPath: string): void {
  execFileSync('mount', ['-o', 'remount,size=1g,nr_inodes=1000000', targetPath]);
}

const setOf = ({ record: { targetPath } }: OpenVolume): string =>
  path.join(targetPath, fs.readlinkSync(path.join(targetPath, '..data')));

/** Two volumes of one pod; the set before the present one of the first holds more files than the pod may have. */
async function setUpSpare(t: TestContext) {
  const node = makeNode(t);
  const store = node.start();
  const one = await store.create(node.recordOf(0, 'one'));
  const two = await store.create(node.recordOf(0, 'two'));
  await write(one, 1);
  await write(two, 1);
  const set = setOf(one);
  await one.project(new Map([[1, anchors(2)]]));
  makeLarger(one.record.targetPath);
  for (let count = 0; count < 12_000; count += 1) {
    fs.writeFileSync(path.join(set, String(count)), '');
  }
  return { ...node, store, one, two, set };
}

test('a set with very many files is cleared away for another volume in many short turns', {
  skip: mountSkip,
}, async (t) => {
  const { two, set } = await setUpSpare(t);
  const { all, longest } = await turnsOf(() => write(two, 2));
  assert.equal(fs.existsSync(set), false, 'the set has gone for it');
  assert.ok(two.isProjected(0), 'the other volume has its files');
  assert.ok(all / longest > 5, `a turn of ${longest} ms of ${all} ms`);
});

test('a volume that is removed while its set is cleared away for another one is let go of first, and the other one gets its room', {
  skip: mountSkip,
}, async (t) => {
  const { root, problems, store, one, two, set } = await setUpSpare(t);
  const { targetPath } = one.record;
  const openIn = (): readonly string[] =>
    fs
      .readdirSync('/proc/self/fd')
      .map((descriptor) => {
        try {
          return fs.readlinkSync(`/proc/self/fd/${descriptor}`);
        } catch {
          return '';
        }
      })
      .filter((file) => file.startsWith(targetPath));
  const written = write(two, 2);
  for (let turn = 0; turn < 1_000 && !openIn().includes(set); turn += 1) {
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.ok(openIn().includes(set), 'the clearing has begun');
  const { realpathSync } = fs;
  const openAtUnmount: (readonly string[])[] = [];
  t.mock.method(fs, 'realpathSync', (file: string) => {
    openAtUnmount.push(openIn());
    return realpathSync(file);
  });
  await store.remove(targetPath);
  assert.deepEqual(openAtUnmount, [[]]);
  assert.equal(await written, 'written');
  assert.deepEqual(mountPointsBelow(root), [two.record.targetPath]);
  assert.deepEqual(problems, []);
});

for (const when of ['at once', 'after a restart'] as const) {
  test(`a container that fills its own volume takes nothing from other pods, and all of its own pod’s, ${when}`, {
    skip: mountSkip,
  }, async (t) => {
    const { start, recordOf } = makeNode(t);
    const store = start();
    const records = [0, 1].map((pod) => recordOf(pod, 'mtls'));
    for (const record of records) {
      await write(await store.create(record), 1);
    }
    const next = when === 'at once' ? store : start();
    const own = records[0]?.targetPath ?? assert.fail('there are two');
    makeLarger(own);
    fs.writeFileSync(path.join(own, 'junk'), new Uint8Array(20 * megabyte));
    const volumes: OpenVolume[] = [];
    for (const record of records) {
      volumes.push(await next.create(record));
    }
    const [filled, other] = volumes as [OpenVolume, OpenVolume];
    await assert.rejects(write(filled, 2), { code: 'OverShare' });
    assert.equal(await write(other, 2), 'written');
    // What one pod may have is still there for each of two more.
    for (const pod of [1, 2]) {
      const volume = pod === 1 ? other : await next.create(recordOf(pod, 'mtls'));
      assert.equal(await volume.project(new Map([[1, anchors(3, 2.5 * megabyte)]])), 'written', `pod ${pod}`);
    }
  });
}
