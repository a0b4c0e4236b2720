/** Real tmpfs mounts: how they are mounted, and that they always come off. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { inspect } from 'node:util';
import { createMounts } from '../../../volumes/mounts/mounts.ts';
import { eventOf } from '../../support/bounded.ts';
import { modeOf, mountPointsBelow, mountSkip, temporaryDirectory } from '../support.ts';

const mounts = createMounts('csi.test');

function makeMountPoint(t: TestContext): string {
  const target = path.join(temporaryDirectory(t), 'a b');
  fs.mkdirSync(target);
  return target;
}

/** A program that stands in for mount or umount. */
function makeProgram(t: TestContext, script: string): string {
  const file = path.join(temporaryDirectory(t), 'program');
  fs.writeFileSync(file, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  return file;
}

/** A process whose working directory is inside the mount, which keeps it busy. */
async function occupy(t: TestContext, directory: string) {
  const script = "process.stdout.write('in'); process.stdin.resume();";
  const child = spawn(process.execPath, ['-e', script], { cwd: directory });
  t.after(() => child.kill('SIGKILL'));
  await eventOf(child.stdout, 'data', 'the first output');
  return child;
}

test('a volume is a small private tmpfs without suid, devices, programs and swap', { skip: mountSkip }, async (t) => {
  const target = makeMountPoint(t);
  const memory = await mounts.mount(target, 100 * 1024);
  const line = fs
    .readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .find((each) => each.startsWith(`csi.test ${target.replaceAll(' ', '\\040')} `));
  const options = line?.split(' ')[3]?.split(',') ?? [];
  for (const option of ['nosuid', 'nodev', 'noexec', 'size=100k', 'mode=700']) {
    assert(options.includes(option), option);
  }
  assert.equal(options.includes('noswap'), memory === 'noswap');
  assert.equal(modeOf(target), '700');
  assert.deepEqual(mounts.at(target).map(mounts.isOwn), [true]);
  assert.ok(
    mounts.own().some((entry) => entry.mountPoint === target),
    `${target} is not among ${inspect(mounts.own())}`,
  );
  await mounts.unmountAll(target);
  assert.deepEqual(mounts.at(target), []);
});

test('a volume grows, and nothing else, whatever is mounted at its path between the look and the change', {
  skip: mountSkip,
}, async (t) => {
  const target = makeMountPoint(t);
  const sizes = () =>
    fs
      .readFileSync('/proc/self/mounts', 'utf8')
      .split('\n')
      .filter((line) => line.includes(` ${target.replaceAll(' ', '\\040')} `))
      .map((line) => `${line.split(' ')[0]} ${/size=\d+k/.exec(line)?.[0]}`);
  await mounts.mount(target, 100 * 1024);
  const { dev, ino } = fs.statSync(target);
  const slow = makeProgram(t, `mount -t tmpfs -o size=64k other '${target}' && exec mount "$@"`);
  await createMounts('csi.test', { mount: slow, umount: 'umount' }).grow(target, { dev, ino }, 1024 * 1024);
  assert.deepEqual(sizes(), ['csi.test size=1280k', 'other size=64k']);
  await assert.rejects(mounts.grow(target, { dev, ino }, 4 * 1024 * 1024), { code: 'Gone' });
  assert.deepEqual(sizes(), ['csi.test size=1280k', 'other size=64k']);
  await mounts.unmountAll(target);
});

test('a kernel without noswap gets a tmpfs that says so', { skip: mountSkip }, async (t) => {
  const target = makeMountPoint(t);
  const mount = makeProgram(t, 'case "$*" in *noswap*) echo "bad option" >&2; exit 32;; esac; exec mount "$@"');
  assert.equal(await createMounts('csi.test', { mount, umount: 'umount' }).mount(target, 4096), 'swappable');
  await mounts.unmountAll(target);
});

test('a volume of a pod with an SELinux context is mounted with it, as one option whatever it holds', {
  skip: mountSkip,
}, async (t) => {
  const target = makeMountPoint(t);
  const seen = path.join(temporaryDirectory(t), 'options');
  // The kernel here may know no SELinux: what mount is asked for counts, and the rest of it is done.
  const mount = makeProgram(t, `printf '%s\\n' "$4" >> '${seen}'; exec mount -t tmpfs -o size=64k csi.test "$6"`);
  const context = 'system_u:object_r:container_file_t:s0:c10,c20';
  await createMounts('csi.test', { mount, umount: 'umount' }).mount(target, 64 * 1024, context);
  assert.equal(fs.readFileSync(seen, 'utf8'), `size=64k,mode=0700,nosuid,nodev,noexec,context="${context}",noswap\n`);
  await mounts.unmountAll(target);
  await createMounts('csi.test', { mount, umount: 'umount' }).mount(target, 64 * 1024);
  assert.doesNotMatch(fs.readFileSync(seen, 'utf8').split('\n')[1] ?? 'context', /context/);
  await mounts.unmountAll(target);
});

test('mount(8) itself takes a context with commas for one option', { skip: mountSkip }, async (t) => {
  const target = makeMountPoint(t);
  // Without SELinux mount(8) leaves the context out; with it, an unknown one is refused by the kernel, by its name.
  const made = createMounts('csi.test').mount(target, 64 * 1024, 'system_u:object_r:container_file_t:s0:c10,c20');
  await made.then(
    () => assert.deepEqual(mounts.at(target).map(mounts.isOwn), [true]),
    (error) => assert.match(String(error), /SELinux|context|Invalid argument|wrong fs type/),
  );
  await mounts.unmountAll(target);
});

test('a mount that fails says what mount said', { skip: mountSkip }, async (t) => {
  const target = makeMountPoint(t);
  const missing = { code: 'MountFailed', message: /mounting a tmpfs at .*absent: .*does not exist/ };
  await assert.rejects(mounts.mount(path.join(target, 'absent'), 4096), missing);
});

test('a mount that is said to have worked and cannot be seen is an error', { skip: mountSkip }, async (t) => {
  // The temporary directory may itself lie on a tmpfs; /proc does not.
  const lying = createMounts('csi.test', { mount: makeProgram(t, 'exit 0'), umount: 'umount' });
  await assert.rejects(lying.mount('/proc', 4096), { code: 'MountFailed', message: /cannot be seen there/ });
});

test('programs that are missing or silent still give a message', async (t) => {
  const target = makeMountPoint(t);
  const none = createMounts('csi.test', { mount: '/nonexistent/mount', umount: '/nonexistent/umount' });
  await assert.rejects(none.mount(target, 4096), { code: 'MountFailed', message: /ENOENT/ });
  const silent = createMounts('csi.test', { mount: makeProgram(t, 'exit 32'), umount: 'umount' });
  await assert.rejects(silent.mount(target, 4096), { code: 'MountFailed', message: /Command failed/ });
});

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
