/**
 * What a privileged container with mount propagation can do to its own volume, with real mounts: whatever of another pod's volume
 * it mounts in the places that the agent works in, the other volume stays as it is, and none of it is believed.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import type { OpenVolume } from '../../volumes/base/volume.ts';
import { createMounts } from '../../volumes/mounts/mounts.ts';
import { createVolumeStore } from '../../volumes/store.ts';
import { eventOf } from '../support/bounded.ts';
import { anchors, credential, makeRecord, makeTarget, mountSkip, temporaryDirectory } from './support.ts';

const victimUID = '1b7a4a6e-93a5-4d3c-8f53-1f6a1a3c0d12';
const pending = { requestName: 'req-1', keyType: 'ED25519', createdAt: 1 } as const;

async function fill(volume: OpenVolume, generation: number): Promise<void> {
  await volume.project(
    new Map([
      [0, credential(generation)],
      [1, anchors(generation)],
    ]),
  );
}

/** The volume of the pod that attacks and that of another, both with files and a request under way. */
async function setUp(t: TestContext) {
  const kubeletRoot = temporaryDirectory(t);
  const restart = () => createVolumeStore({ kubeletRoot, driverName: 'csi.test', mode: 'tmpfs' });
  const store = restart();
  const ownRecord = makeRecord(makeTarget(kubeletRoot));
  const base = makeRecord(makeTarget(kubeletRoot, 'mtls', victimUID));
  const victimRecord = { ...base, volumeId: 'csi-4567', pod: { ...base.pod, name: 'db-0', uid: victimUID } };
  const own = await store.create(ownRecord);
  const victim = await store.create(victimRecord);
  for (const [volume, generation] of [
    [own, 1],
    [victim, 2],
  ] as const) {
    await fill(volume, generation);
    volume.savePending(0, pending, new Uint8Array(48).fill(generation));
  }
  const at = (volume: OpenVolume, ...names: string[]) => path.join(volume.record.targetPath, ...names);
  const before = everythingIn(at(victim));
  return { restart, own, victim, at, untouched: () => assert.deepEqual(everythingIn(at(victim)), before) };
}

/** Every file, link and directory of a volume with its mode, owner, number and bytes. */
function everythingIn(root: string): readonly string[] {
  return ['.', ...fs.readdirSync(root, { recursive: true }).map(String)].toSorted().map((name) => {
    const file = path.join(root, name);
    const { mode, uid, gid, ino } = fs.lstatSync(file);
    const bytes = fs.lstatSync(file).isFile() ? fs.readFileSync(file, 'hex') : '';
    return `${name} ${mode.toString(8)} ${uid}:${gid} ${ino} ${bytes}`;
  });
}

const bind = (from: string, to: string) => execFileSync('mount', ['--bind', from, to]);

test("another volume's state that is mounted in the place of a volume's own is refused, also after a restart", {
  skip: mountSkip,
}, async (t) => {
  const { restart, own, victim, at, untouched } = await setUp(t);
  bind(at(victim, '..agent'), at(own, '..agent'));
  assert.throws(() => own.savePending(0, pending, new Uint8Array(48)), { code: 'Tampered' });
  const { volumes, unusable } = await restart().recover();
  assert.deepEqual(
    volumes.map(({ record }) => record.pod.name),
    ['db-0'],
  );
  assert.deepEqual(
    unusable.map(({ targetPath }) => targetPath),
    [at(own)],
  );
  assert.match(unusable[0]?.reason ?? '', /\.\.agent is not part of its volume; something is mounted there/);
  await assert.rejects(restart().create(own.record), { code: 'Tampered', message: /something is mounted there/ });
  untouched();
  await restart().remove(at(own));
  untouched();
  assert(!fs.existsSync(at(own)), 'the volume goes all the same');
});

test("a state directory that is mounted where a volume's own was removed is refused as well", {
  skip: mountSkip,
}, async (t) => {
  const { restart, own, at, untouched } = await setUp(t);
  fs.rmSync(at(own, '..agent'), { recursive: true });
  fs.mkdirSync(at(own, '..agent'));
  execFileSync('mount', ['-t', 'tmpfs', 'empty', at(own, '..agent')]);
  await assert.rejects(restart().create(own.record), { code: 'Tampered' });
  assert.deepEqual(fs.readdirSync(at(own, '..agent')), []);
  untouched();
});

test('a volume that has lost its state, with nothing mounted on it, is taken over as it is', {
  skip: mountSkip,
}, async (t) => {
  const { restart, own, at } = await setUp(t);
  fs.rmSync(at(own, '..agent'), { recursive: true });
  const files = everythingIn(at(own)).filter((line) => !line.startsWith('.'));
  const { dev } = fs.statSync(at(own));
  await restart().create(own.record);
  assert.equal(fs.statSync(at(own)).dev, dev, 'it is the same mount');
  assert.deepEqual(
    everythingIn(at(own)).filter((line) => !line.startsWith('.')),
    files,
  );
});

test("another volume's state files that are mounted over a volume's own are neither read nor changed", {
  skip: mountSkip,
}, async (t) => {
  const { restart, own, victim, at, untouched } = await setUp(t);
  const keyOf = (volume: OpenVolume) => {
    const name = fs.readdirSync(at(volume, '..agent')).find((each) => each.endsWith('.key'));
    return at(volume, '..agent', name ?? 'no key');
  };
  bind(keyOf(victim), keyOf(own));
  assert.throws(() => own.readPendingKey(0), { code: 'Tampered', message: /not a regular file of its volume/ });
  bind(at(victim, '..agent', 'volume.json'), at(own, '..agent', 'volume.json'));
  const { volumes, unusable } = await restart().recover();
  assert.deepEqual([volumes.length, unusable.length], [1, 1]);
  assert.match(unusable[0]?.reason ?? '', /not a regular file of its volume/);
  untouched();
});

test('directories of files that another volume is mounted on are not written to, linked from, or cleared', {
  skip: mountSkip,
}, async (t) => {
  for (const place of ['..data', '..data/parts', '..2026_11_21_10_00_00.000000001', 'leftover']) {
    const { restart, own, victim, at, untouched } = await setUp(t);
    const mountPoint = place === '..data' ? at(own, fs.readlinkSync(at(own, '..data'))) : at(own, place);
    fs.mkdirSync(mountPoint, { recursive: true });
    bind(place === '..data' ? at(victim, '..data') : at(victim), mountPoint);
    try {
      await own.project(new Map([[1, anchors(3)]]));
      await fill(own, 3);
    } catch (error) {
      assert.match(String(error), /mounted|EBUSY|EXDEV|ENOTEMPTY/, place);
    }
    untouched();
    await restart().recover();
    untouched();
    await restart().remove(at(own));
    untouched();
  }
});

test('a volume that is mounted over another one is not taken for it at any step of its opening', {
  skip: mountSkip,
}, async (t) => {
  const { openSync } = fs;
  for (let step = 1; step <= 15; step += 1) {
    const { restart, own, victim, at, untouched } = await setUp(t);
    let opened = 0;
    const mock = t.mock.method(fs, 'openSync', (...values: Parameters<typeof openSync>) => {
      opened += String(values[0]).startsWith(at(own)) ? 1 : 0;
      if (opened === step) {
        opened += 1;
        bind(at(victim), at(own));
      }
      return openSync(...values);
    });
    const changed = { ...own.record, owner: { kind: 'group', gid: 7 } } as const;
    const outcome = await restart()
      .create(changed)
      .then((volume) => fill(volume, 3))
      .catch((error: unknown) => error);
    mock.mock.restore();
    assert(outcome === undefined || outcome instanceof Error, 'it fails with an error or not at all');
    untouched();
    await restart().remove(at(own));
    untouched();
  }
});

test('a busy volume that another one is mounted over is taken away, and the other one keeps its files', {
  skip: mountSkip,
}, async (t) => {
  for (const part of [[], ['..agent'], ['..data']]) {
    const { restart, own, victim, at, untouched } = await setUp(t);
    bind(at(victim, ...part), at(own));
    const process = spawn('sleep', ['60'], { cwd: at(own) });
    t.after(() => process.kill('SIGKILL'));
    await eventOf(process, 'spawn', 'the process to begin');
    await restart().remove(at(own));
    untouched();
    assert(!fs.existsSync(at(own)), 'the volume below goes too');
  }
});

test('a volume with an unreadable record that is mounted over another one is not taken for it', {
  skip: mountSkip,
}, async (t) => {
  const { restart, own, victim, at } = await setUp(t);
  fs.writeFileSync(at(victim, '..agent', 'volume.json'), 'damaged');
  bind(at(victim), at(own));
  const again = await restart().create(own.record);
  assert.equal(fs.readFileSync(at(victim, '..agent', 'volume.json'), 'utf8'), 'damaged');
  assert.equal(again.pending(0)?.requestName, 'req-1');
  const taken = await restart().create(victim.record);
  assert(taken.isProjected(0), 'its own pod takes it over as it is');
});

test('a volume that lies over an empty mount, and elsewhere too, is used with its files', {
  skip: mountSkip,
}, async (t) => {
  const { restart, own, at } = await setUp(t);
  const elsewhere = path.join(path.dirname(at(own)), 'elsewhere');
  fs.mkdirSync(elsewhere);
  bind(at(own), elsewhere);
  execFileSync('umount', [at(own)]);
  await createMounts('csi.test').mount(at(own), 4096);
  bind(elsewhere, at(own));
  const again = await restart().create(own.record);
  assert.deepEqual([again.isProjected(0), again.pending(0)], [true, pending]);
});
