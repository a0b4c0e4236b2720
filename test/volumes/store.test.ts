/**
 * Volumes on a node: made and removed in every order, found again after a restart, never outside the kubelet's root. Each test
 * runs in directory mode, and with real tmpfs mounts where this run may mount.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { inspect } from 'node:util';
import { VolumeError } from '../../volumes/base/errors.ts';
import type { FileOwner, OpenVolume, VolumeRecord } from '../../volumes/base/volume.ts';
import { createMounts } from '../../volumes/mounts/mounts.ts';
import { createVolumeStore } from '../../volumes/store.ts';
import { eventOf } from '../support/bounded.ts';
import {
  anchors,
  anchorsSource,
  credential,
  makeRecord,
  makeTarget,
  modeOf,
  mountPointsBelow,
  mountSkip,
  podUID,
  someCertificate,
  temporaryDirectory,
} from './support.ts';

type Mode = 'tmpfs' | 'directory';
const driverName = 'csi.test';
const megabyte = 1024 * 1024;

/** How large the file system may grow. */
function sizeOf(target: string): number {
  const { blocks, bsize } = fs.statfsSync(target);
  return blocks * bsize;
}

/** A kubelet's root with the directories of one volume, and stores on it. */
function setUp(t: TestContext, mode: Mode) {
  const root = temporaryDirectory(t);
  const targetPath = makeTarget(root);
  const problems: string[] = [];
  const restart = (kubeletRoot = root, memoryBytes?: number) =>
    createVolumeStore({
      ...{ kubeletRoot, driverName, mode },
      ...(memoryBytes === undefined ? {} : { memoryBytes }),
      onProblem: (_target, problem) => problems.push(problem),
    });
  const mounted = () => mountPointsBelow(root).length;
  return { root, targetPath, record: makeRecord(targetPath), store: restart(), restart, problems, mounted };
}

/** Runs a test in both modes. */
function inBothModes(name: string, body: (t: TestContext, mode: Mode) => Promise<void>): void {
  test(`${name} (directory)`, (t) => body(t, 'directory'));
  test(`${name} (tmpfs)`, { skip: mountSkip }, (t) => body(t, 'tmpfs'));
}

async function fill(volume: OpenVolume, generation = 1): Promise<void> {
  await volume.project(
    new Map([
      [0, credential(generation)],
      [1, anchors(generation)],
    ]),
  );
}

inBothModes('a volume is made, filled, and removed without a trace', async (t, mode) => {
  const { targetPath, record, store, mounted } = setUp(t, mode);
  const volume = await store.create(record);
  assert.equal(mounted(), mode === 'tmpfs' ? 1 : 0);
  assert.equal(volume.isProjected(0), false, 'source 0 is projected');
  await fill(volume);
  assert.deepEqual([0, 1].map(volume.isProjected), [true, true]);
  assert.match(fs.readFileSync(path.join(targetPath, 'credentials.pem'), 'utf8'), /^-----BEGIN PRIVATE KEY-----\n/);
  await store.remove(targetPath);
  assert.equal(fs.existsSync(targetPath), false, `${targetPath} is still there`);
  assert.equal(mounted(), 0);
});

inBothModes('making a volume again changes nothing in it', async (t, mode) => {
  const { targetPath, record, store, restart, mounted } = setUp(t, mode);
  await fill(await store.create(record));
  const before = fs.readlinkSync(path.join(targetPath, '..data'));
  const again = await restart().create(record);
  assert.equal(again.isProjected(0), true, 'source 0 is not projected');
  assert.equal(fs.readlinkSync(path.join(targetPath, '..data')), before);
  assert.ok(mounted() <= 1, `${mounted()} is more than 1`);
});

inBothModes('removing is right whatever the state: absent, empty, made, removed twice', async (t, mode) => {
  const { root, targetPath, record, store } = setUp(t, mode);
  await store.remove(targetPath);
  fs.mkdirSync(targetPath);
  await store.remove(targetPath);
  assert.equal(fs.existsSync(targetPath), false, `${targetPath} is still there`);
  await store.create(record);
  await Promise.all([store.remove(targetPath), store.remove(targetPath)]);
  fs.rmSync(path.join(root, 'pods'), { recursive: true });
  await store.remove(targetPath);
});

inBothModes('calls for one volume that come at the same time take turns', async (t, mode) => {
  const { targetPath, record, store, mounted } = setUp(t, mode);
  await Promise.all([store.create(record), store.create(record), store.remove(targetPath), store.create(record)]);
  assert.equal(mounted(), mode === 'tmpfs' ? 1 : 0);
  assert.equal(
    fs.existsSync(path.join(targetPath, '..agent', 'volume.json')),
    true,
    `${path.join(targetPath, '..agent', 'volume.json')} is missing`,
  );
});

inBothModes('a restart finds its volumes, with everything that was pending', async (t, mode) => {
  const { record, store, restart } = setUp(t, mode);
  const volume = await store.create(record);
  await fill(volume);
  await volume.saveCurrent(0, someCertificate, [Uint8Array.of(1)]);
  volume.savePending(0, { requestName: 'next', keyType: 'ED25519', createdAt: 5 }, Uint8Array.of(7));
  const { volumes, unusable } = await restart().recover();
  assert.deepEqual(unusable, []);
  const [found] = volumes;
  assert.deepEqual(found?.record, record);
  assert.deepEqual(found?.current(0), someCertificate);
  assert.equal(found?.pending(0)?.requestName, 'next');
  assert.deepEqual([...(found?.readPendingKey(0) ?? [])], [7]);
  assert.equal(found?.isProjected(0), true, 'source 0 is not projected');
  found?.discardPending(0);
  assert.equal(found?.pending(0), undefined);
});

inBothModes('a restart clears what an interrupted write left', async (t, mode) => {
  const { targetPath, record, store, restart } = setUp(t, mode);
  const volume = await store.create(record);
  await fill(volume);
  fs.mkdirSync(path.join(targetPath, '..2026_11_21_09_00_00.000000001'));
  fs.symlinkSync('..2026_11_21_09_00_00.000000001', path.join(targetPath, '..data_tmp'));
  fs.writeFileSync(path.join(targetPath, '..agent', 'pending-0.0000000000000000.key'), 'orphan');
  const before = fs.readlinkSync(path.join(targetPath, '..data'));
  const { volumes } = await restart().recover();
  assert.equal(volumes[0]?.isProjected(0), true, 'source 0 is not projected');
  assert.deepEqual(fs.readdirSync(path.join(targetPath, '..agent')), ['volume.json']);
  assert.deepEqual(
    fs
      .readdirSync(targetPath)
      .filter((name) => /^\.\.[\dd]/.test(name))
      .toSorted(),
    [before, '..data'].toSorted(),
  );
});

inBothModes('an answer is kept until it is projected', async (t, mode) => {
  const { record, store, restart } = setUp(t, mode);
  const volume = await store.create(record);
  const issued = { ...someCertificate, certificates: [Uint8Array.of(1)] };
  volume.savePending(0, { requestName: 'r', keyType: 'ED25519', createdAt: 5 }, Uint8Array.of(7));
  const { requestName: _name, keyType: _type, refreshAt: _at, ...chain } = issued;
  await volume.saveAnswer(0, 'r', chain);
  const { volumes } = await restart().recover();
  assert.deepEqual(volumes[0]?.pending(0)?.answer, chain);
});

inBothModes('what is found and cannot be used is named with the reason', async (t, mode) => {
  const { root, targetPath, record, store, restart } = setUp(t, mode);
  await store.create(record);
  const second = makeTarget(root, 'second');
  await store.create(makeRecord(second, { volumeName: 'second' }));
  fs.writeFileSync(path.join(second, '..agent', 'volume.json'), 'broken');
  const third = makeTarget(root, 'third');
  await store.create(makeRecord(third, { volumeName: 'third' }));
  fs.copyFileSync(path.join(targetPath, '..agent', 'volume.json'), path.join(third, '..agent', 'volume.json'));
  const fourth = makeTarget(root, 'fourth');
  await store.create(makeRecord(fourth, { volumeName: 'fourth' }));
  fs.rmSync(path.join(fourth, '..agent', 'volume.json'));
  const { volumes, unusable } = await restart().recover();
  assert.equal(volumes.length, 1);
  const reasons = new Map(unusable.map((place) => [place.targetPath, place.reason]));
  assert.match(reasons.get(second) ?? '', /volume\.json is unusable: it is not JSON/);
  assert.match(reasons.get(third) ?? '', /belongs to another pod or volume/);
  assert.match(reasons.get(fourth) ?? '', /holds no record of its volume/);
  for (const target of [second, third, fourth]) {
    await restart().remove(target);
  }
});

inBothModes('a volume whose record is broken is taken over with its files', async (t, mode) => {
  const { targetPath, record, store, restart } = setUp(t, mode);
  const volume = await store.create(record);
  await fill(volume);
  await volume.saveCurrent(0, someCertificate, [Uint8Array.of(1)]);
  fs.writeFileSync(path.join(targetPath, '..agent', 'volume.json'), '');
  const again = await restart().create(record);
  assert.equal(again.isProjected(0), true, 'source 0 is not projected');
  assert.deepEqual(again.current(0), someCertificate);
  assert.deepEqual((await restart().recover()).volumes[0]?.record, record);
});

inBothModes(
  'a volume of another incarnation is cleared away, and a changed record replaces the stored one',
  async (t, mode) => {
    const { targetPath, record, store, restart } = setUp(t, mode);
    await fill(await store.create(record));
    const changed: VolumeRecord = { ...record, owner: { kind: 'group', gid: 7 } };
    assert.equal((await restart().create(changed)).isProjected(0), true, 'source 0 is not projected');
    assert.deepEqual((await restart().recover()).volumes[0]?.record, changed);
    const other = await restart().create({ ...record, volumeId: 'csi-other' });
    assert.equal(other.isProjected(0), false, 'source 0 is projected');
    assert.deepEqual(fs.readdirSync(targetPath), ['..agent']);
  },
);

inBothModes(
  'target paths that are not of this pod, volume and kubelet are refused before anything is touched',
  async (t, mode) => {
    const { root, targetPath, record, store, mounted } = setUp(t, mode);
    const refused: VolumeRecord[] = [
      { ...record, pod: { ...record.pod, uid: 'another' } },
      { ...record, volumeName: 'another' },
      ...[`${targetPath}/..`, '/tmp/x', `${root}/../x`, `${targetPath}/../../../../../../etc`].map((target) => ({
        ...record,
        targetPath: target,
      })),
    ];
    for (const each of refused) {
      await assert.rejects(store.create(each), { code: 'InvalidTarget' });
    }
    for (const target of ['/', '/etc', `${targetPath}/..`, '']) {
      await assert.rejects(store.remove(target), { code: 'InvalidTarget' }, target);
    }
    assert.equal(fs.existsSync(targetPath), false, `${targetPath} is still there`);
    assert.equal(mounted(), 0);
  },
);

inBothModes('a symlink in the target path is never followed', async (t, mode) => {
  const { root, targetPath, record, store, mounted } = setUp(t, mode);
  const victim = path.join(root, 'victim');
  fs.mkdirSync(victim);
  fs.writeFileSync(path.join(victim, 'file'), '');
  fs.symlinkSync(victim, targetPath);
  await assert.rejects(store.create(record), { code: 'InvalidTarget' });
  await assert.rejects(store.remove(targetPath), { code: 'InvalidTarget' });
  fs.unlinkSync(targetPath);
  fs.rmdirSync(path.dirname(targetPath));
  fs.symlinkSync(victim, path.dirname(targetPath));
  await assert.rejects(store.create(record), { code: 'InvalidTarget' });
  await assert.rejects(store.remove(targetPath), { code: 'InvalidTarget' });
  assert.deepEqual(fs.readdirSync(victim), ['file']);
  assert.equal(mounted(), 0);
});

inBothModes('without the directory that the kubelet makes there is nothing to publish into', async (t, mode) => {
  const { root, targetPath, record, restart } = setUp(t, mode);
  fs.rmdirSync(path.dirname(targetPath));
  await assert.rejects(restart().create(record), { code: 'NoParent' });
  fs.rmSync(root, { recursive: true });
  await assert.rejects(restart().create(record), { name: 'VolumeError' });
});

inBothModes('a volume that fails to open leaves nothing behind', async (t, mode) => {
  const { targetPath, record, store, mounted } = setUp(t, mode);
  // An uncloneable record fails when it is stored, after the mount.
  const circular: Record<string, string> = {};
  Object.defineProperty(circular, 'self', { enumerable: true, get: () => circular });
  const [first, second] = record.declaration.sources;
  assert.ok(first?.kind === 'podCertificate' && second !== undefined, inspect(first));
  const broken = { ...record, declaration: { sources: [{ ...first, userAnnotations: circular }, second] } };
  await assert.rejects(store.create(broken), { name: 'VolumeError' });
  assert.equal(fs.existsSync(targetPath), false, `${targetPath} is still there`);
  assert.equal(mounted(), 0);
});

inBothModes('a removed volume is not written to any more', async (t, mode) => {
  const { targetPath, record, store } = setUp(t, mode);
  const volume = await store.create(record);
  await store.remove(targetPath);
  await assert.rejects(fill(volume), { code: 'Gone' });
  assert.throws(() => volume.savePending(0, { requestName: 'r', keyType: 'ED25519', createdAt: 1 }, Uint8Array.of(1)), {
    code: 'Gone',
  });
  const next = await store.create(record);
  assert.throws(() => volume.current(0), { code: 'Gone' });
  await fill(next);
  assert.throws(() => next.isProjected(9), RangeError);
});

inBothModes('keys in the buffers of a projection are overwritten, and the files hold them', async (t, mode) => {
  const { targetPath, record, store } = setUp(t, mode);
  const volume = await store.create(record);
  const content = credential(5);
  assert.ok(content.kind === 'credential', inspect(content));
  await volume.project(new Map([[0, content]]));
  assert(
    content.privateKey.every((byte) => byte === 5),
    "the caller's own buffer stays the caller's",
  );
  assert.match(fs.readFileSync(path.join(targetPath, 'parts/key.pem'), 'latin1'), /BQUFBQUF/);
  assert.equal(await volume.project(new Map([[0, credential(5)]])), 'unchanged');
  assert.equal(await volume.project(new Map([[1, anchors(1)]])), 'written');
  assert.equal(volume.isProjected(0), true, 'source 0 is not projected');
});

test('in tmpfs mode files belong to whom the pod says', { skip: mountSkip }, async (t) => {
  const { targetPath, record, store } = setUp(t, 'tmpfs');
  const expected: [FileOwner, string, string][] = [
    [{ kind: 'group', gid: 2000 }, '640 0:2000', '750 0:2000'],
    [{ kind: 'user', uid: 1000 }, '600 1000:0', '700 1000:0'],
    [{ kind: 'none' }, '600 0:0', '755 0:0'],
  ];
  for (const [owner, key, root] of expected) {
    await fill(await store.create({ ...record, owner }));
    const show = (file: string) => {
      const { uid, gid } = fs.statSync(file);
      return `${modeOf(file)} ${uid}:${gid}`;
    };
    assert.equal(show(path.join(targetPath, 'credentials.pem')), key);
    assert.equal(show(targetPath), root);
    assert.equal(show(path.join(targetPath, '..data')), root);
    assert.equal(show(path.join(targetPath, '..agent')), '700 0:0');
    await store.remove(targetPath);
  }
});

test("a source's own user and mode are those of its files, with an fsGroup and without", {
  skip: mountSkip,
}, async (t) => {
  const { targetPath, record, store } = setUp(t, 'tmpfs');
  const [first, second] = record.declaration.sources;
  assert.ok(first !== undefined && second !== undefined, 'the record has two sources');
  const sources = [{ ...first, user: 70, mode: 0o600 }, second];
  const show = (file: string) => {
    const { uid, gid } = fs.statSync(path.join(targetPath, file));
    return `${modeOf(path.join(targetPath, file))} ${uid}:${gid}`;
  };
  const cat = (file: string, uid: number, gid: number) =>
    execFileSync('cat', [path.join(targetPath, file)], { uid, gid, stdio: 'pipe' }).toString();
  for (const [owner, key, other, gid] of [
    [{ kind: 'group', gid: 2000 }, '600 70:2000', '640 80:2000', 2000],
    [{ kind: 'none' }, '600 70:0', '644 80:0', 3000],
  ] as const) {
    await fill(await store.create({ ...record, owner, declaration: { sources, defaultUser: 80 } }));
    assert.equal(show('credentials.pem'), key);
    assert.equal(show('trust-anchors.pem'), other);
    assert.match(cat('parts/key.pem', 70, gid), /PRIVATE KEY/);
    assert.throws(() => cat('parts/key.pem', 80, gid), owner.kind);
    assert.match(cat('trust-anchors.pem', 80, gid), /CERTIFICATE/);
    await store.remove(targetPath);
  }
});

test("a pod's process reads its files, and others and the agent's state stay closed", {
  skip: mountSkip,
}, async (t) => {
  const { targetPath, record, store } = setUp(t, 'tmpfs');
  const read = (file: string, uid: number, gid: number) => {
    try {
      execFileSync('cat', [path.join(targetPath, file)], { uid, gid, stdio: 'pipe' });
      return 'read';
    } catch {
      return 'denied';
    }
  };
  await fill(await store.create({ ...record, owner: { kind: 'group', gid: 2000 } }));
  assert.equal(read('credentials.pem', 1000, 2000), 'read');
  assert.equal(read('credentials.pem', 1000, 1000), 'denied');
  assert.equal(read('trust-anchors.pem', 1000, 1000), 'denied');
  assert.equal(read('..agent/volume.json', 1000, 2000), 'denied');
  await store.remove(targetPath);
  await fill(await store.create({ ...record, owner: { kind: 'user', uid: 1000 } }));
  assert.equal(read('parts/key.pem', 1000, 3000), 'read');
  assert.equal(read('parts/key.pem', 1001, 3000), 'denied');
  assert.equal(read('..agent/volume.json', 1000, 3000), 'denied');
  await store.remove(targetPath);
  await fill(await store.create(record));
  assert.equal(read('trust-anchors.pem', 1001, 3000), 'read');
  assert.equal(read('parts/key.pem', 1001, 3000), 'denied');
});

test('a volume mounted twice, the second time by accident, is found and comes off whole', {
  skip: mountSkip,
}, async (t) => {
  const { targetPath, record, store, restart, mounted } = setUp(t, 'tmpfs');
  await fill(await store.create(record));
  await createMounts(driverName).mount(targetPath, 4096);
  assert.equal(mounted(), 2);
  assert.equal((await restart().create(record)).isProjected(0), true, 'source 0 is not projected');
  assert.equal(mounted(), 1);
  await createMounts(driverName).mount(targetPath, 4096);
  await restart().remove(targetPath);
  assert.equal(mounted(), 0);
});

test('the table of all mounts is read neither to make a volume nor to remove it, however many mounts there are', {
  skip: mountSkip,
}, async (t) => {
  const { targetPath, record, store, mounted } = setUp(t, 'tmpfs');
  const { readFileSync } = fs;
  const tables: string[] = [];
  const mock = t.mock.method(fs, 'readFileSync', (...values: Parameters<typeof readFileSync>) => {
    if (/^\/proc\/.*mount/.test(String(values[0]))) {
      tables.push(String(values[0]));
    }
    return readFileSync(...values);
  });
  await fill(await store.create(record));
  await store.remove(targetPath);
  mock.mock.restore();
  assert.deepEqual(tables, []);
  assert.equal(mounted(), 0);
});

test('a change of one volume asks about no other pod’s, until memory may become scarce', {
  skip: mountSkip,
}, async (t) => {
  const { root, restart } = setUp(t, 'tmpfs');
  const uids = Array.from({ length: 4 }, (_, index) => `pod-${index}`);
  const records = uids.map((uid) => {
    const record = makeRecord(makeTarget(root, 'mtls', uid));
    return { ...record, pod: { ...record.pod, uid } };
  });
  const others = (asked: readonly string[]) => new Set(asked.filter((path) => /pod-[123]/.test(path))).size;
  const { statfsSync } = fs;
  let asked: string[] = [];
  t.mock.method(fs, 'statfsSync', (path: string) => {
    asked.push(path);
    return statfsSync(path);
  });
  for (const [generation, memoryBytes, looksAtOthers] of [
    [1, 512 * megabyte, 0],
    // A quarter is for files, and much of it may be in use without having been seen.
    [2, megabyte / 4, 3],
  ] as const) {
    const store = restart(root, memoryBytes);
    const volumes: OpenVolume[] = [];
    for (const record of records) {
      volumes.push(await store.create(record));
    }
    asked = [];
    const [volume] = volumes;
    assert.ok(volume, 'there is a volume');
    await fill(volume, generation).catch((error: unknown) => assert.match(String(error), /MiB/));
    assert.equal(others(asked), looksAtOthers, `${memoryBytes} bytes`);
  }
});

test('a volume that another mount hides is not taken for one that is gone', { skip: mountSkip }, async (t) => {
  const { root, targetPath, record, store, mounted } = setUp(t, 'tmpfs');
  await fill(await store.create(record));
  const above = path.dirname(targetPath);
  execFileSync('mount', ['-t', 'tmpfs', 'cover', above]);
  await assert.rejects(store.remove(targetPath), { code: 'UnmountFailed' });
  execFileSync('umount', [above]);
  await store.remove(targetPath);
  assert.equal(mounted(), 0, `mounts are left below ${root}`);
});

test('a mount that was made and never filled is used', { skip: mountSkip }, async (t) => {
  const { targetPath, record, store, restart, mounted } = setUp(t, 'tmpfs');
  fs.mkdirSync(targetPath);
  await createMounts(driverName).mount(targetPath, 64 * 1024);
  const { dev } = fs.statSync(targetPath);
  assert.match((await restart().recover()).unusable[0]?.reason ?? '', /holds no record/);
  await fill(await store.create(record));
  assert.equal(mounted(), 1);
  assert.equal(fs.statSync(targetPath).dev, dev, 'another one was mounted');
});

test("a mount that is not this driver's is left alone when publishing", { skip: mountSkip }, async (t) => {
  const { targetPath, record, store, restart, mounted } = setUp(t, 'tmpfs');
  fs.mkdirSync(targetPath);
  await createMounts('somebody').mount(targetPath, 4096);
  await assert.rejects(store.create(record), { code: 'Foreign', message: /tmpfs mounted that is not this driver's/ });
  assert.deepEqual(await restart().recover(), { volumes: [], unusable: [], unknownToKubelet: [] });
  assert.equal(mounted(), 1);
  await store.remove(targetPath);
  assert.equal(mounted(), 0);
});

test('a busy volume is removed all the same', { skip: mountSkip }, async (t) => {
  const { targetPath, record, store, mounted } = setUp(t, 'tmpfs');
  await fill(await store.create(record));
  const child = spawn(process.execPath, ['-e', "process.stdout.write('in'); process.stdin.resume();"], {
    cwd: targetPath,
  });
  t.after(() => child.kill('SIGKILL'));
  await eventOf(child.stdout, 'data', 'the first output');
  await store.remove(targetPath);
  assert.equal(fs.existsSync(targetPath), false, `${targetPath} is still there`);
  assert.equal(mounted(), 0);
  assert.deepEqual(fs.readdirSync(`/proc/${child.pid}/cwd`), []);
});

test('a mount that an outsider took off is not written below', { skip: mountSkip }, async (t) => {
  const { targetPath, record, store } = setUp(t, 'tmpfs');
  const volume = await store.create(record);
  execFileSync('umount', [targetPath]);
  await assert.rejects(fill(volume), { code: 'Gone' });
  assert.deepEqual(fs.readdirSync(targetPath), []);
  assert.ok((await store.create(record)).record, 'the volume has no record');
});

test('a tmpfs grows for trust anchors of any size, old and new ones together, again and again', {
  skip: mountSkip,
}, async (t) => {
  const { targetPath, record, store } = setUp(t, 'tmpfs');
  const volume = await store.create(record);
  await fill(volume);
  assert.ok(sizeOf(targetPath) < megabyte, 'a volume is made small');
  for (const generation of [3, 4, 5]) {
    assert.equal(await volume.project(new Map([[1, anchors(generation, 6 * megabyte)]])), 'written');
    assert.ok(volume.isProjected(0) && volume.isProjected(1), 'every file is in place');
  }
  assert.ok(fs.statSync(path.join(targetPath, 'trust-anchors.pem')).size > 8 * megabyte, 'the anchors are there');
  assert.ok(sizeOf(targetPath) < 20 * megabyte, 'no larger than for two sets');
  const options = fs
    .readFileSync('/proc/mounts', 'utf8')
    .split('\n')
    .find((line) => line.includes(targetPath));
  assert.match(options ?? '', /rw,nosuid,nodev,noexec,.*mode=700/);
});

test('files of a pod beyond its share of the memory are refused by the limit’s name, and the old ones stay', {
  skip: mountSkip,
}, async (t) => {
  const { root, record, restart } = setUp(t, 'tmpfs');
  // A quarter of this is for files, and a quarter of that for one pod.
  const store = restart(root, 64 * megabyte);
  const [volume, second] = [
    await store.create(record),
    await store.create(makeRecord(makeTarget(root, 'second'), { volumeId: 'b', volumeName: 'second' })),
  ];
  await fill(volume);
  await fill(second);
  const refused = {
    code: 'OverShare',
    message: /would take 4\.\d MiB .*, more than the 4 MiB that one pod may have: its author has to project fewer/,
  };
  await assert.rejects(volume.project(new Map([[1, anchors(2, 3 * megabyte)]])), refused);
  assert.equal(await volume.project(new Map([[1, anchors(2, 1.2 * megabyte)]])), 'written');
  // The pod's other volume counts, and so does the old set while the new one is written.
  await assert.rejects(second.project(new Map([[1, anchors(3, 2 * megabyte)]])), refused);
  assert.ok(second.isProjected(0) && second.isProjected(1), 'the old files stay');
  await store.remove(record.targetPath);
  assert.equal(await second.project(new Map([[1, anchors(3, 2 * megabyte)]])), 'written');
});

/** Names of the directories that hold a set of files each. */
function setsIn(targetPath: string): readonly string[] {
  return fs.readdirSync(targetPath).filter((name) => /^\.\.\d{4}_/.test(name));
}

test('files and directories count with what the kernel keeps for each of them', { skip: mountSkip }, async (t) => {
  const { root, targetPath, restart } = setUp(t, 'tmpfs');
  const sources = Array.from({ length: 100 }, (_, index) => ({
    ...anchorsSource,
    index,
    path: `${index}${'/deep'.repeat(12)}/anchors.pem`,
  }));
  // One MiB for one pod, which a hundred small files alone are far from.
  const volume = await restart(root, 16 * megabyte).create(makeRecord(targetPath, { declaration: { sources } }));
  const contents = new Map(sources.map(({ index }) => [index, anchors(1)]));
  await assert.rejects(volume.project(contents), { code: 'OverShare', message: /would take 1\.\d MiB/ });
});

inBothModes(
  'the set before the present one stays until the next change, and a restart clears it with its key',
  async (t, mode) => {
    const { targetPath, record, store, restart } = setUp(t, mode);
    const volume = await store.create(record);
    await fill(volume, 1);
    assert.equal(setsIn(targetPath).length, 1);
    for (const generation of [2, 3, 4]) {
      const before = fs.readlinkSync(path.join(targetPath, '..data'));
      await fill(volume, generation);
      assert.deepEqual(
        setsIn(targetPath).toSorted(),
        [before, fs.readlinkSync(path.join(targetPath, '..data'))].toSorted(),
      );
    }
    const old = setsIn(targetPath).find((name) => name !== fs.readlinkSync(path.join(targetPath, '..data'))) ?? '';
    const keyFile = path.join(targetPath, old, 'parts/key.pem');
    assert.match(fs.readFileSync(keyFile, 'latin1'), /AwMDAwMD/, 'the key of the third generation is there');
    assert.equal(await volume.project(new Map([[0, credential(4)]])), 'unchanged');
    assert.ok(fs.existsSync(keyFile), 'nothing has changed, so it stays');
    assert.equal((await restart().recover()).volumes.length, 1);
    assert.deepEqual(setsIn(targetPath), [fs.readlinkSync(path.join(targetPath, '..data'))]);
  },
);

test('sets before the present ones count as used memory, and go first where they leave no room: those of the same pod', {
  skip: mountSkip,
}, async (t) => {
  const { root, record, restart } = setUp(t, 'tmpfs');
  // 16 MiB for all files, 4 MiB for those of one pod.
  const store = restart(root, 64 * megabyte);
  const other = makeRecord(makeTarget(root, 'mtls', `${podUID}-1`), { volumeId: 'c' });
  const [first, second, others] = [
    await store.create(record),
    await store.create(makeRecord(makeTarget(root, 'second'), { volumeId: 'b', volumeName: 'second' })),
    await store.create({ ...other, pod: { ...other.pod, uid: `${podUID}-1` } }),
  ];
  // Each set of anchors takes 1.1 MiB: two pairs of them do not fit beside each other.
  for (const volume of [others, first, second]) {
    await fill(volume);
    assert.equal(await volume.project(new Map([[1, anchors(2, 0.8 * megabyte)]])), 'written');
  }
  for (const volume of [others, first, second]) {
    assert.equal(await volume.project(new Map([[1, anchors(3, 0.8 * megabyte)]])), 'written');
  }
  const sets = [others, first, second].map((volume) => setsIn(volume.record.targetPath).length);
  assert.deepEqual(sets, [2, 1, 2]);
  assert.ok(
    [first, second].every((volume) => volume.isProjected(0) && volume.isProjected(1)),
    'every file is in place',
  );
});

test('sets of other pods go too before a pod is refused for the memory of the node', { skip: mountSkip }, async (t) => {
  const { root, restart } = setUp(t, 'tmpfs');
  const store = restart(root, 64 * megabyte);
  const volumes: OpenVolume[] = [];
  for (const index of [0, 1, 2, 3, 4]) {
    const uid = `0b7a4a6e-93a5-4d3c-8f53-1f6a1a3c0d3${index}`;
    const pod = { namespace: 'shop', name: `web-${index}`, uid, serviceAccountName: 'web' };
    const volume = await store.create(makeRecord(makeTarget(root, 'mtls', uid), { volumeId: `v${index}`, pod }));
    volumes.push(volume);
    await fill(volume);
    // Five pods with 3.6 MiB for two sets each take more than the node's 16 MiB.
    for (const generation of [2, 3]) {
      const result = await volume.project(new Map([[1, anchors(generation, 1.3 * megabyte)]]));
      assert.equal(result, 'written', `${index} ${generation}`);
    }
  }
  const sets = volumes.map(({ record }) => setsIn(record.targetPath).length);
  assert.ok(sets.filter((count) => count === 1).length > 0, `${sets} shows that some were given up`);
  assert.equal(sets.at(-1), 2, 'and the last one has its own');
});

test('a volume that two sets fill has room for the next request', { skip: mountSkip }, async (t) => {
  const { targetPath, record, store } = setUp(t, 'tmpfs');
  const volume = await store.create(record);
  await fill(volume);
  const { bfree, bsize } = fs.statfsSync(targetPath);
  // As much as fits without growing: PEM is a third longer than DER.
  const fitting = Math.floor(((bfree - 2) * bsize * 48) / 65) - 100;
  assert.equal(await volume.project(new Map([[1, anchors(2, fitting)]])), 'written');
  const request = { requestName: 'r', keyType: 'RSA4096', createdAt: 1 } as const;
  volume.savePending(0, request, new Uint8Array(2400));
  // One request takes the place of another: for a moment there are two.
  volume.savePending(0, { ...request, requestName: 's' }, new Uint8Array(2400));
  assert.equal(volume.pending(0)?.requestName, 's');
});

test('files beyond what all pods may have are refused by the limit’s name, and count again after a restart', {
  skip: mountSkip,
}, async (t) => {
  const { root, restart } = setUp(t, 'tmpfs');
  const records = [0, 1, 2, 3, 4, 5].map((index) => {
    const uid = `0b7a4a6e-93a5-4d3c-8f53-1f6a1a3c0d2${index}`;
    const pod = { namespace: 'shop', name: `web-${index}`, uid, serviceAccountName: 'web' };
    return makeRecord(makeTarget(root, 'mtls', uid), { volumeId: `v${index}`, pod });
  });
  const put = async (volume: OpenVolume | undefined) => await volume?.project(new Map([[1, anchors(1, 2 * megabyte)]]));
  const refused = {
    code: 'NoSpace',
    message:
      /of all volumes of the node would take \d+\.?\d* MiB .*, more than the 12 MiB that the agent's memory limit leaves for them beside the 4 MiB/,
  };
  const store = restart(root, 64 * megabyte);
  for (const record of records.slice(0, 4)) {
    const volume = await store.create(record);
    await fill(volume);
    assert.equal(await put(volume), 'written');
  }
  const next = restart(root, 64 * megabyte);
  assert.equal((await next.recover()).volumes.length, 4);
  const fifth = await next.create(records[4] ?? assert.fail('there are six records'));
  await fill(fifth);
  await assert.rejects(put(fifth), refused);
  await next.remove(records[0]?.targetPath ?? '');
  assert.equal(await put(fifth), 'written');
});

test('pods that take all the memory that they may have keep no other pod from its first certificate, nor from its next one', {
  skip: mountSkip,
}, async (t) => {
  const { root, record, restart } = setUp(t, 'tmpfs');
  // 16 MiB for all files, 4 MiB for those of one pod.
  const store = restart(root, 64 * megabyte);
  const running = await store.create(record);
  await fill(running);
  const greedy = [2.6, 2.6, 2.6, 2.6, 1.3, 0.15, 0.04, 0.02, 0.02, 0.02];
  const outcomes: string[] = [];
  for (const [index, size] of [...greedy, 0].entries()) {
    const uid = `${podUID.slice(0, -2)}${index + 20}`;
    const pod = { ...record.pod, name: `web-${index}`, uid };
    const volume = await store.create(makeRecord(makeTarget(root, 'mtls', uid), { volumeId: `v${index}`, pod }));
    if (size === 0) {
      await fill(volume);
      assert.ok(volume.isProjected(0) && volume.isProjected(1), 'the files of a pod that comes now are in place');
    } else {
      const put = volume.project(new Map([[1, anchors(1, size * megabyte)]]));
      outcomes.push(await put.catch((error: unknown) => (error instanceof VolumeError ? error.code : String(error))));
    }
  }
  assert.deepEqual(new Set(outcomes), new Set(['written', 'NoSpace']));
  assert.equal(await running.project(new Map([[0, credential(2)]])), 'written');
});

test('a volume that is removed while it is written goes at once, and its write ends', {
  skip: mountSkip,
}, async (t) => {
  const { targetPath, record, store, mounted } = setUp(t, 'tmpfs');
  const sources = Array.from({ length: 128 }, (_, index) => ({
    ...anchorsSource,
    index,
    path: `${Array.from({ length: 15 }, (_unused, depth) => `${index}-${depth}`).join('/')}/ca.pem`,
  }));
  const volume = await store.create({ ...record, declaration: { sources } });
  const writing = volume.project(new Map(sources.map(({ index }) => [index, anchors(1)])));
  const ended = assert.rejects(writing, { code: 'Gone' });
  await new Promise((resolve) => setImmediate(resolve));
  await store.remove(targetPath);
  await ended;
  assert.equal(mounted(), 0);
});

test('a kubelet root that is a symlink works, and so does recovery through it', { skip: mountSkip }, async (t) => {
  const { root, record, restart, mounted } = setUp(t, 'tmpfs');
  const link = path.join(path.dirname(root), `${path.basename(root)}-link`);
  fs.symlinkSync(root, link);
  t.after(() => fs.unlinkSync(link));
  const linked = makeRecord(record.targetPath.replace(root, link));
  const store = restart(`${link}/`);
  await fill(await store.create(linked));
  assert.equal((await store.create(linked)).isProjected(0), true, 'source 0 is not projected');
  assert.equal(mounted(), 1);
  assert.deepEqual((await restart(link).recover()).volumes[0]?.record, linked);
  await store.remove(linked.targetPath);
  assert.equal(mounted(), 0);
});

test('volumes that the kubelet keeps no notes on are named', { skip: mountSkip }, async (t) => {
  const { targetPath, record, store, restart } = setUp(t, 'tmpfs');
  await store.create(record);
  assert.deepEqual((await restart().recover()).unknownToKubelet, [targetPath]);
  fs.writeFileSync(path.join(path.dirname(targetPath), 'vol_data.json'), '{}');
  assert.deepEqual((await restart().recover()).unknownToKubelet, []);
});

test('a directory tree without volumes, or with strange names, gives nothing', async (t) => {
  const { root, restart } = setUp(t, 'directory');
  fs.mkdirSync(path.join(root, 'pods', 'strange name', 'volumes', 'kubernetes.io~csi', 'v', 'mount', '..agent'), {
    recursive: true,
  });
  fs.writeFileSync(path.join(root, 'pods', 'file'), '');
  assert.deepEqual(await restart().recover(), { volumes: [], unusable: [], unknownToKubelet: [] });
  fs.rmSync(path.join(root, 'pods'), { recursive: true });
  assert.deepEqual((await restart().recover()).volumes, []);
});

test('a directory tree that cannot be read is an error, not an empty one', async (t) => {
  const { root, restart } = setUp(t, 'directory');
  fs.rmSync(path.join(root, 'pods'), { recursive: true });
  fs.symlinkSync('pods', path.join(root, 'pods'));
  await assert.rejects(restart().recover(), { name: 'VolumeError', message: /searching .* for volumes/ });
});

test('250 mounted volumes are found again, whole', { skip: mountSkip }, async (t) => {
  const { root, store, restart } = setUp(t, 'tmpfs');
  const records = Array.from({ length: 250 }, (_, index) => {
    const uid = `${podUID}-${index}`;
    const record = makeRecord(makeTarget(root, 'mtls', uid));
    return { ...record, volumeId: `csi-${index}`, pod: { ...record.pod, uid } };
  });
  for (const volume of await Promise.all(records.map((record) => store.create(record)))) {
    await fill(volume);
  }
  const { volumes, unusable } = await restart().recover();
  assert.deepEqual(unusable, []);
  assert.equal(volumes.length, 250);
  assert.ok(
    volumes.every((volume) => volume.isProjected(0) && volume.isProjected(1)),
    'a source of a volume is not projected',
  );
  await Promise.all(records.map((record) => store.remove(record.targetPath)));
});

test("a state directory that was swapped for a link into another pod's volume receives no key", {
  skip: mountSkip,
}, async (t) => {
  const { root, record, store } = setUp(t, 'tmpfs');
  const other = '1b7a4a6e-93a5-4d3c-8f53-1f6a1a3c0d12';
  const own = await store.create(record);
  const base = makeRecord(makeTarget(root, 'mtls', other));
  const victim = await store.create({ ...base, volumeId: 'csi-4567', pod: { ...base.pod, uid: other } });
  const state = (volume: typeof own) => path.join(volume.record.targetPath, '..agent');
  const before = fs.readdirSync(state(victim));
  const pending = { requestName: 'req-1', keyType: 'ED25519', createdAt: 1 } as const;

  fs.renameSync(state(own), `${state(own)}-away`);
  fs.symlinkSync(state(victim), state(own));
  assert.throws(() => own.savePending(0, pending, new Uint8Array(48)), { code: 'Tampered' });
  assert.throws(() => own.discardPending(0), { code: 'Tampered' });
  assert.deepEqual(fs.readdirSync(state(victim)), before);

  fs.unlinkSync(state(own));
  fs.mkdirSync(state(own), { mode: 0o700 });
  assert.throws(() => own.savePending(0, pending, new Uint8Array(48)), { code: 'Tampered' });
  assert.deepEqual(fs.readdirSync(state(own)), []);

  fs.rmdirSync(state(own));
  fs.renameSync(`${state(own)}-away`, state(own));
  own.savePending(0, pending, new Uint8Array(48));
  assert.equal(own.pending(0)?.requestName, 'req-1');
});
