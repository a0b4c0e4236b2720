import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeDirectory } from './directory.ts';

test('a directory is its maker’s alone, and goes with what is in it when its owner ends', () => {
  const ends: (() => void)[] = [];
  const directory = makeDirectory({ after: (remove) => void ends.push(remove) });
  assert.equal(statSync(directory).mode & 0o777, 0o700);
  writeFileSync(join(directory, 'file'), '');
  assert.equal(ends.length, 1);
  ends[0]?.();
  assert.equal(existsSync(directory), false);
});

test('a directory without an owner is there as long as its process, and no longer', () => {
  const program = `
    import { existsSync } from 'node:fs';
    import { makeDirectory } from ${JSON.stringify(join(import.meta.dirname, 'directory.ts'))};
    const directories = Array.from({ length: 20 }, () => makeDirectory());
    console.log(JSON.stringify(directories.map((directory) => [directory, existsSync(directory)])));
  `;
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', program], {
    encoding: 'utf8',
    timeout: 60_000,
  });
  assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });
  const directories: readonly [string, boolean][] = JSON.parse(stdout);
  assert.equal(directories.length, 20);
  for (const [directory, wasThere] of directories) {
    assert.deepEqual([directory, wasThere, existsSync(directory)], [directory, true, false]);
  }
});
