/** Real tmpfs mounts: how they are mounted. */
import assert from 'node:assert/strict';
import childProcess from 'node:child_process';
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import path from 'node:path';
import { test } from 'node:test';
import { inspect } from 'node:util';
import { withSystemCalls } from '../../../volumes/mounts/mount-calls.ts';
import { createMounts } from '../../../volumes/mounts/mounts.ts';
import { makeTarget, modeOf, mountPointsBelow, mountSkip, temporaryDirectory } from '../support.ts';
import { makeMountPoint, makeProgram } from './support.ts';

const mounts = createMounts('csi.test');
const byPrograms = createMounts('csi.test', { mount: 'mount', umount: 'umount' });

for (const [how, made] of [
  ['system calls', mounts],
  ['programs', byPrograms],
] as const) {
  test(`a volume is a small private tmpfs without suid, devices, programs and swap, mounted by ${how}`, {
    skip: mountSkip,
  }, async (t) => {
    const target = makeMountPoint(t);
    const memory = await made.mount(target, 100 * 1024);
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
    await grows(target, made);
    await made.unmountAll(target);
    assert.deepEqual(made.at(target), []);
  });
}

/** A larger tmpfs is the same one, with what else it was mounted with. */
async function grows(target: string, made: typeof mounts): Promise<void> {
  const options = () =>
    fs
      .readFileSync('/proc/self/mounts', 'utf8')
      .split('\n')
      .filter((line) => line.includes(` ${target.replaceAll(' ', '\\040')} `));
  const [before = ''] = options();
  const { dev, ino } = fs.statSync(target);
  await made.grow(target, { dev, ino }, 1024 * 1024);
  assert.deepEqual(options(), [before.replace('size=100k', 'size=1280k')]);
}

test('no program is started to mount and unmount, and all the same work goes by programs where koffi cannot be loaded', {
  skip: mountSkip,
}, async (t) => {
  const target = makeMountPoint(t);
  assert.equal(mounts.handicap, undefined);
  const { execFile } = childProcess;
  let started = 0;
  const stub = (...values: Parameters<typeof execFile>) => {
    started += 1;
    return execFile(...values);
  };
  Object.assign(childProcess, { execFile: stub });
  syncBuiltinESMExports();
  t.after(() => {
    Object.assign(childProcess, { execFile });
    syncBuiltinESMExports();
  });
  await mounts.mount(target, 4096);
  await mounts.unmountAll(target);
  assert.equal(started, 0);
  const mock = t.mock.method(process, 'dlopen', () => {
    throw new Error('another C library');
  });
  const slow = createMounts('csi.test');
  mock.mock.restore();
  assert.match(slow.handicap ?? '', /program is started for every mount: another C library/);
  await slow.mount(target, 4096);
  assert.equal(mounts.at(target).length, 1);
  await slow.unmountAll(target);
  assert.ok(started >= 2, `${started} programs were started`);
});

test('a link at the end of a path is not followed to what is mounted behind it, nor is a path cut off at a NUL', {
  skip: mountSkip,
}, async (t) => {
  const target = makeMountPoint(t);
  await mounts.mount(target, 4096);
  const calls = withSystemCalls();
  fs.symlinkSync(target, `${target}-link`);
  for (const path of [`${target}-link`, `${target}\0`]) {
    assert.equal((await calls.unmount(path)).ok, false, inspect(path));
    assert.equal((await calls.detach(path)).ok, false, inspect(path));
  }
  assert.equal(mounts.at(target).length, 1);
  await mounts.unmountAll(target);
});

test('as many mounts as a node has pods, asked for at once, are all made and all come off', {
  skip: mountSkip,
}, async (t) => {
  const directory = temporaryDirectory(t);
  const targets = Array.from({ length: 110 }, (_, index) => path.join(directory, 'a/b/c/d', String(index), 'mount'));
  for (const target of targets) {
    fs.mkdirSync(target, { recursive: true });
  }
  await Promise.all(targets.map((target) => mounts.mount(target, 4096)));
  assert.equal(mountPointsBelow(directory).length, 110);
  await Promise.all(targets.map((target) => mounts.unmountAll(target)));
  assert.deepEqual(mountPointsBelow(directory), []);
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

test('a volume that may hold enough stays as it is, and one that cannot grow says why', {
  skip: mountSkip,
}, async (t) => {
  const target = makeMountPoint(t);
  await mounts.mount(target, 100 * 1024);
  const { dev, ino } = fs.statSync(target);
  const unable = createMounts('csi.test', { mount: makeProgram(t, 'echo "no memory" >&2; exit 32'), umount: 'umount' });
  await unable.grow(target, { dev, ino }, 100 * 1024);
  await assert.rejects(unable.grow(target, { dev, ino }, 100 * 1024 + 1), {
    code: 'MountFailed',
    message: `making the tmpfs at ${target} larger: no memory`,
  });
  await mounts.unmountAll(target);
});

test('whether a volume is mounted is known from its path alone, and from the table where something hides the path', {
  skip: mountSkip,
}, async (t) => {
  const target = makeTarget(temporaryDirectory(t));
  const read = t.mock.method(fs, 'readFileSync');
  const tablesRead = () => read.mock.calls.filter((call) => call.arguments[0] === '/proc/self/mountinfo').length;
  assert.equal(mounts.isMounted(target), false);
  fs.mkdirSync(target);
  await mounts.mount(target, 4096);
  assert.equal(mounts.isMounted(target), true);
  await mounts.unmount(target);
  assert.equal(tablesRead(), 0);
  await mounts.mount(path.dirname(target), 4096);
  fs.mkdirSync(target);
  assert.equal(mounts.isMounted(target), false);
  await mounts.mount(target, 4096);
  assert.equal(mounts.isMounted(target), true);
  assert.equal(tablesRead(), 2);
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
  assert.equal(fs.readFileSync(seen, 'utf8'), `nosuid,nodev,noexec,size=64k,mode=0700,noswap,context="${context}"\n`);
  await mounts.unmountAll(target);
  await createMounts('csi.test', { mount, umount: 'umount' }).mount(target, 64 * 1024);
  assert.doesNotMatch(fs.readFileSync(seen, 'utf8').split('\n')[1] ?? 'context', /context/);
  await mounts.unmountAll(target);
});

test('a context with commas is taken for one option', { skip: mountSkip }, async (t) => {
  const target = makeMountPoint(t);
  for (const each of [mounts, byPrograms]) {
    // Without SELinux the context is left out; with it, an unknown one is refused by the kernel, by its name.
    const made = each.mount(target, 64 * 1024, 'system_u:object_r:container_file_t:s0:c10,c20');
    await made.then(
      () => assert.deepEqual(mounts.at(target).map(mounts.isOwn), [true]),
      (error) => assert.match(String(error), /SELinux|context|[Ii]nvalid argument|wrong fs type/),
    );
    await mounts.unmountAll(target);
  }
});

test('a mount that fails says what the system said', { skip: mountSkip }, async (t) => {
  const target = makeMountPoint(t);
  const missing = { code: 'MountFailed', message: /mounting a tmpfs at .*absent: .*(does not exist|no such file)/ };
  await assert.rejects(mounts.mount(path.join(target, 'absent'), 4096), missing);
  await assert.rejects(byPrograms.mount(path.join(target, 'absent'), 4096), missing);
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
