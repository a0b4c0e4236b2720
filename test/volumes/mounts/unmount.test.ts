/** Real tmpfs mounts: that they always come off, and what happens to the files in them. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { createMounts } from '../../../volumes/mounts/mounts.ts';
import { eventOf } from '../../support/bounded.ts';
import { mountPointsBelow, mountSkip } from '../support.ts';
import { makeMountPoint, makeProgram } from './support.ts';

const mounts = createMounts('csi.test');

/** A process whose working directory is inside the mount, which keeps it busy. */
async function occupy(t: TestContext, directory: string) {
  const script = "process.stdout.write('in'); process.stdin.resume();";
  const child = spawn(process.execPath, ['-e', script], { cwd: directory });
  t.after(() => child.kill('SIGKILL'));
  await eventOf(child.stdout, 'data', 'the first output');
  return child;
}

/** Keeps a mount busy until the end of the test. @returns a path that leads to the directory when the mount has left the tree */
function keepOpen(t: TestContext, directory: string): string {
  const descriptor = fs.openSync(directory, 'r');
  t.after(() => fs.closeSync(descriptor));
  return `/proc/self/fd/${descriptor}`;
}

test('every layer of a path that was mounted several times comes off', { skip: mountSkip }, async (t) => {
  const target = makeMountPoint(t);
  for (let layer = 0; layer < 3; layer += 1) {
    await mounts.mount(target, 4096);
  }
  assert.equal(mounts.at(target).length, 3);
  await mounts.unmountAll(target);
  await mounts.unmountAll(target);
  assert.deepEqual(mountPointsBelow(path.dirname(target)), []);
});

test('a busy volume is emptied and detached, so that no key outlives the pod', { skip: mountSkip }, async (t) => {
  const target = makeMountPoint(t);
  await mounts.mount(target, 64 * 1024);
  fs.mkdirSync(path.join(target, '..agent'));
  fs.writeFileSync(path.join(target, '..agent', 'key'), 'secret');
  const child = await occupy(t, target);
  const view = `/proc/${child.pid}/cwd`;
  await mounts.unmount(target);
  assert.deepEqual(mounts.at(target), []);
  assert.equal(child.exitCode, null);
  assert.deepEqual(fs.readdirSync(view), []);
});

test('a volume with a foreign mount inside is detached without touching the foreign files', {
  skip: mountSkip,
}, async (t) => {
  const target = makeMountPoint(t);
  await mounts.mount(target, 64 * 1024);
  const inner = path.join(target, 'inner');
  fs.mkdirSync(inner);
  await createMounts('foreign').mount(inner, 64 * 1024);
  fs.writeFileSync(path.join(inner, 'precious'), 'x');
  const child = await occupy(t, inner);
  await mounts.unmount(target);
  assert.deepEqual(mountPointsBelow(path.dirname(target)), []);
  assert.deepEqual(fs.readdirSync(`/proc/${child.pid}/cwd`), ['precious']);
});

test('a mount that cannot even be detached is an error with both reasons', { skip: mountSkip }, async (t) => {
  const target = makeMountPoint(t);
  await mounts.mount(target, 4096);
  const umount = makeProgram(
    t,
    'case "$1" in -l) echo "not detached" >&2;; *) echo "target is busy" >&2;; esac; exit 32',
  );
  const stuck = createMounts('csi.test', { mount: 'mount', umount });
  await assert.rejects(stuck.unmountAll(target), {
    code: 'UnmountFailed',
    message: /is busy; detaching it: not detached/,
  });
  const pretending = createMounts('csi.test', { mount: 'mount', umount: makeProgram(t, 'exit 0') });
  await assert.rejects(pretending.unmountAll(target), { code: 'UnmountFailed', message: /again and again/ });
  await mounts.unmountAll(target);
});

test('a mount that is gone when umount fails was what was wanted', { skip: mountSkip }, async (t) => {
  const target = makeMountPoint(t);
  await mounts.unmount(target);
  await mounts.mount(target, 4096);
  const umount = makeProgram(t, 'umount "$@"; exit 32');
  await createMounts('csi.test', { mount: 'mount', umount }).unmountAll(target);
  assert.deepEqual(mounts.at(target), []);
});

test("another pod's volume that is mounted over a busy one while it is looked at keeps its files", {
  skip: mountSkip,
}, async (t) => {
  const [target, other] = [makeMountPoint(t), makeMountPoint(t)];
  await mounts.mount(target, 4096);
  await mounts.mount(other, 4096);
  fs.writeFileSync(path.join(other, 'key'), 'secret');
  keepOpen(t, target);
  const { lstatSync } = fs;
  const mock = t.mock.method(fs, 'lstatSync', (...values: Parameters<typeof lstatSync>) => {
    if (values[0] === target) {
      execFileSync('mount', ['--bind', other, target]);
      mock.mock.restore();
    }
    return lstatSync(...values);
  });
  await mounts.unmountAll(target);
  assert.equal(mock.mock.callCount(), 1);
  assert.deepEqual(fs.readdirSync(other), ['key']);
});

test("of a busy mount that is not a whole volume of this driver's, or that is mounted elsewhere too, the files stay", {
  skip: mountSkip,
}, async (t) => {
  const [part, elsewhere, foreign, otherType] = [1, 2, 3, 4].map(() => makeMountPoint(t));
  assert.ok(part && elsewhere && foreign && otherType, 'there is no path');
  const whole = makeMountPoint(t);
  await mounts.mount(whole, 4096);
  fs.mkdirSync(path.join(whole, 'part'));
  execFileSync('mount', ['--bind', path.join(whole, 'part'), part]);
  await mounts.unmount(whole);
  await mounts.mount(elsewhere, 4096);
  execFileSync('mount', ['--bind', elsewhere, whole]);
  await createMounts('foreign').mount(foreign, 4096);
  execFileSync('mount', ['-t', 'ramfs', 'csi.test', otherType]);
  const views = [part, elsewhere, foreign, otherType].map((target) => {
    fs.writeFileSync(path.join(target, 'file'), 'x');
    return keepOpen(t, target);
  });
  const entries = [part, elsewhere, foreign, otherType].flatMap(mounts.at);
  assert.deepEqual(entries.map(mounts.isOwn), [true, true, false, false]);
  assert.deepEqual(entries.map(mounts.isElsewhere), [false, true, false, false]);
  const own = mounts.own().map(({ mountPoint }) => mountPoint);
  assert.deepEqual(
    entries.map(({ mountPoint }) => own.includes(mountPoint)),
    [true, true, false, false],
  );
  await Promise.all([part, elsewhere, foreign, otherType].map(mounts.unmount));
  assert.deepEqual([part, elsewhere, foreign, otherType].flatMap(mounts.at), []);
  assert.deepEqual(
    views.map((view) => fs.readdirSync(view)),
    [['file'], ['file'], ['file'], ['file']],
  );
});

test('only the visible mount is taken off, busy or not, and the one below it keeps its files', {
  skip: mountSkip,
}, async (t) => {
  const target = makeMountPoint(t);
  await mounts.mount(target, 4096);
  fs.writeFileSync(path.join(target, 'key'), 'secret');
  for (const isBusy of [false, true]) {
    await mounts.mount(target, 4096);
    if (isBusy) {
      keepOpen(t, target);
    }
    await mounts.unmount(target);
    assert.equal(mounts.at(target).length, 1);
    assert.deepEqual(fs.readdirSync(target), ['key']);
  }
  await mounts.unmountAll(target);
});

test('a busy mount is tried three times before it is detached, and not again once it is off', {
  skip: mountSkip,
}, async (t) => {
  const target = makeMountPoint(t);
  const log = path.join(path.dirname(target), 'log');
  for (const [script, words] of [
    ['umount "$@"', ['']],
    ['umount "$@"; exit 32', ['']],
    ['[ $(wc -l < log) = 3 ] || exit 32; umount "$@"', ['', '', '']],
    ['[ "$1" = -l ] || exit 32; umount "$@"', ['', '', '', '-l ']],
  ] as const) {
    await mounts.mount(target, 4096);
    fs.writeFileSync(log, '');
    const umount = makeProgram(t, `cd '${path.dirname(target)}'; echo "$*" >> log; ${script}`);
    await createMounts('csi.test', { mount: 'mount', umount }).unmount(target);
    assert.deepEqual(mounts.at(target), []);
    assert.equal(fs.readFileSync(log, 'utf8'), words.map((word) => `${word}${target}\n`).join(''));
  }
});

test('a busy mount that is gone, or its directory with it, between two looks was what was wanted', {
  skip: mountSkip,
}, async (t) => {
  const target = makeMountPoint(t);
  for (const look of ['readFileSync', 'lstatSync'] as const) {
    await mounts.mount(target, 4096);
    keepOpen(t, target);
    const original = fs[look] as (...values: readonly unknown[]) => unknown;
    const mock = t.mock.method(fs, look, (...values: readonly unknown[]) => {
      if (values[0] === '/proc/self/mountinfo' || values[0] === target) {
        mock.mock.restore();
        execFileSync('umount', ['-l', target]);
        fs.rmdirSync(target);
      }
      return original(...values);
    });
    await mounts.unmount(target);
    assert.equal(fs.existsSync(target), false);
    fs.mkdirSync(target);
  }
});

test('a program that follows links is not sent after one', { skip: mountSkip }, async (t) => {
  const target = makeMountPoint(t);
  await mounts.mount(target, 4096);
  fs.symlinkSync(target, `${target}-link`);
  await createMounts('csi.test', { mount: 'mount', umount: 'umount' }).unmount(`${target}-link`);
  assert.equal(mounts.at(target).length, 1);
  await mounts.unmountAll(target);
});
