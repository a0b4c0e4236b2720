/** What the C library is asked for, and what becomes of its answers; koffi is a stand-in here, and nothing is mounted. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { withSystemCalls } from '../../../volumes/mounts/mount-calls.ts';

type Done = (error: Error | null, result: number) => void;

/** The calls made so far, by the name of the function and its values, and what ends each of them. */
function standIn(t: TestContext) {
  const calls: { readonly asked: readonly unknown[]; readonly done: Done }[] = [];
  const loaded: string[] = [];
  let errno = 0;
  const func = (declaration: string) => {
    const name = /^int (\w+)\(/.exec(declaration)?.[1];
    return {
      async: (...values: readonly (string | number | Done)[]) => {
        const done = values.at(-1);
        assert.ok(typeof done === 'function', 'nobody waits for the call');
        calls.push({ asked: [name, ...values.slice(0, -1)], done });
      },
    };
  };
  const mock = t.mock.method(process, 'dlopen', (library: { exports: object }, file: string) => {
    loaded.push(file);
    library.exports = { load: () => ({ func }), errno: () => errno };
  });
  const means = withSystemCalls();
  mock.mock.restore();
  return {
    means,
    loaded,
    asked: () => calls.map(({ asked }) => asked),
    /** Ends the latest call. */
    end(error: Error | null, result: number, reason = 0) {
      errno = reason;
      calls.at(-1)?.done(error, result);
    },
  };
}

/** What the kernel says of its file systems, for the time of a test. */
function fileSystems(t: TestContext, ...lines: readonly string[]) {
  const { readFileSync } = fs;
  const stub = (file: fs.PathOrFileDescriptor, encoding: BufferEncoding) =>
    file === '/proc/filesystems' ? lines.map((line) => `${line}\n`).join('') : readFileSync(file, encoding);
  const read = t.mock.method(fs, 'readFileSync', stub);
  return { looks: () => read.mock.callCount() };
}

const context = 'system_u:object_r:container_file_t:s0:c10,c20';

test('the kernel is asked for a private tmpfs, for the change of one as it is, and to take off what no link leads to', async (t) => {
  const { means, asked, end } = standIn(t);
  fileSystems(t, 'nodev\tproc', 'nodev\tselinuxfs', '\text4');
  const privately = 2 + 4 + 8;
  const remount = 32;
  const notByLink = 8;
  const started: readonly [() => Promise<unknown>, readonly unknown[]][] = [
    [() => means.mount('csi.test', '/a b', 'size=64k'), ['mount', 'csi.test', '/a b', 'tmpfs', privately, 'size=64k']],
    [
      () => means.mount('csi.test', '/a', 'size=64k', context),
      ['mount', 'csi.test', '/a', 'tmpfs', privately, `size=64k,context="${context}"`],
    ],
    [() => means.change('/a', 'size=1k'), ['mount', 'none', '/a', 'tmpfs', privately + remount, 'size=1k']],
    [() => means.unmount('/a'), ['umount2', '/a', notByLink]],
    [() => means.detach('/a'), ['umount2', '/a', notByLink + 2]],
  ];
  for (const [start, values] of started) {
    const made = start();
    await nextTurn();
    assert.deepEqual(asked().at(-1), values);
    end(null, 0);
    assert.deepEqual(await made, { ok: true });
  }
});

test('a kernel without SELinux is not told of a context, which it would refuse', async (t) => {
  const { means, asked, end } = standIn(t);
  fileSystems(t, 'nodev\tproc', '\text4', 'nodev\tnot-selinuxfs', 'nodev\tselinuxfs2');
  const made = means.mount('csi.test', '/a', 'size=64k', context);
  await nextTurn();
  assert.equal(asked()[0]?.at(-1), 'size=64k');
  end(null, 0);
  await made;
});

test('the kernel is asked whether it has SELinux only where there is a context to tell it', async (t) => {
  const { means, end } = standIn(t);
  const { looks } = fileSystems(t, 'nodev\tproc');
  for (const [given, expected] of [
    [undefined, 0],
    [context, 1],
  ] as const) {
    const made = means.mount('csi.test', '/a', 'size=64k', given);
    await nextTurn();
    end(null, 0);
    await made;
    assert.equal(looks(), expected);
  }
});

test('one call is made at a time, and what it says of its end is its own', async (t) => {
  const { means, asked, end } = standIn(t);
  const [first, second] = [means.unmount('/a'), means.unmount('/b')];
  await nextTurn();
  assert.equal(asked().length, 1);
  end(null, -1, 16);
  assert.deepEqual(await first, { ok: false, message: 'EBUSY: resource busy or locked' });
  await nextTurn();
  assert.equal(asked().length, 2);
  end(null, 0);
  assert.deepEqual(await second, { ok: true });
});

test('a call that could not even be made is an error, and the next one is made all the same', async (t) => {
  const { means, end } = standIn(t);
  const [first, second] = [means.unmount('/a'), means.unmount('/b')];
  const refused = assert.rejects(first, /too many calls/);
  await nextTurn();
  end(new Error('too many calls'), 0);
  await refused;
  await nextTurn();
  end(null, 0);
  assert.deepEqual(await second, { ok: true });
});

test('koffi is loaded from beside the agent where it lies there, as in the image, and else from its package', (t) => {
  assert.deepEqual(
    standIn(t).loaded.map((file) => file.endsWith(`/linux_${process.arch}/koffi.node`)),
    [true],
  );
  t.mock.method(fs, 'existsSync', (file: fs.PathLike) => path.basename(String(file)) === 'koffi.node');
  assert.deepEqual(standIn(t).loaded, [path.join(import.meta.dirname, '../../../volumes/mounts/koffi.node')]);
});
