/** What the system's programs are started with, and what is made of their answers; nothing is mounted here. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { systemPrograms, withPrograms } from '../../../volumes/mounts/mount-programs.ts';
import { temporaryDirectory } from '../support.ts';

/** Both programs in one, which notes what it is started with and then does as the script says. */
function programs(t: TestContext, script = '') {
  const directory = temporaryDirectory(t);
  const [program, seen] = ['program', 'seen'].map((name) => path.join(directory, name));
  assert.ok(program !== undefined && seen !== undefined, 'there is no path');
  fs.writeFileSync(program, `#!/bin/sh\nprintf '%s\\n' "$@" "PATH=$PATH" "LC_ALL=$LC_ALL" > '${seen}'\n${script}\n`, {
    mode: 0o755,
  });
  return { means: withPrograms({ mount: program, umount: program }), seen: () => fs.readFileSync(seen, 'utf8') };
}

const environment = 'PATH=/usr/sbin:/usr/bin:/sbin:/bin\nLC_ALL=C\n';

test('the programs are told of a private tmpfs, of the change of one as it is, and of what to take off', async (t) => {
  const { means, seen } = programs(t);
  const started: [() => Promise<unknown>, string][] = [
    [
      () => means.mount('csi.test', '/a b', 'size=64k'),
      '-t\ntmpfs\n-o\nnosuid,nodev,noexec,size=64k\ncsi.test\n/a b\n',
    ],
    [
      () => means.mount('csi.test', '/a', 'size=64k', 'a:b:c'),
      '-t\ntmpfs\n-o\nnosuid,nodev,noexec,size=64k,context="a:b:c"\ncsi.test\n/a\n',
    ],
    [() => means.change('/a', 'size=1k'), '--no-canonicalize\n-o\nremount,nosuid,nodev,noexec,size=1k\n/a\n'],
    [() => means.unmount('/a'), '/a\n'],
    [() => means.detach('/a'), '-l\n/a\n'],
  ];
  for (const [start, words] of started) {
    assert.deepEqual(await start(), { ok: true });
    assert.equal(seen(), `${words}${environment}`);
  }
});

test('a program that fails is told of by its first line, and by its end where it says nothing', async (t) => {
  const said = programs(t, 'echo "  umount: target is busy" >&2; echo "more" >&2; exit 32');
  assert.deepEqual(await said.means.unmount('/a'), { ok: false, message: 'umount: target is busy' });
  const silent = await programs(t, 'exit 32').means.unmount('/a');
  assert.ok(!silent.ok && /^Command failed: .*program \/a/.test(silent.message), JSON.stringify(silent));
  const absent = await withPrograms({ mount: '/nonexistent', umount: '/nonexistent' }).detach('/a');
  assert.ok(!absent.ok && absent.message.includes('ENOENT'), JSON.stringify(absent));
});

test('a warning of a program that did its work is no failure', async (t) => {
  assert.deepEqual(await programs(t, 'echo "a warning" >&2').means.unmount('/a'), { ok: true });
});

test('the programs of the system are found by their names', () => {
  assert.deepEqual(systemPrograms, { mount: 'mount', umount: 'umount' });
});
