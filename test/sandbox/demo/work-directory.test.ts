import assert from 'node:assert/strict';
import { existsSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { makeWorkDirectory, removeWorkDirectory } from '../../../sandbox/demo/work-directory.ts';
import { makeDirectory } from '../../support/directory.ts';

const root = makeDirectory({ after });

test('the work directory is fresh and its owner’s alone', async () => {
  for (const path of [undefined, join(root, 'a/b')]) {
    const directory = await makeWorkDirectory(path);
    assert.equal(statSync(directory).mode & 0o777, 0o700);
    await removeWorkDirectory(directory);
    assert.equal(existsSync(directory), false);
  }
});

test('a directory with something in it is refused and left as it is', async () => {
  const used = join(root, 'used');
  mkdirSync(used);
  writeFileSync(join(used, 'mine'), '');
  await assert.rejects(makeWorkDirectory(used), /is not empty/);
  assert.equal(existsSync(join(used, 'mine')), true, `${join(used, 'mine')} is missing`);
});

test('a path that is too long for sockets is refused', async () => {
  await assert.rejects(makeWorkDirectory(join(root, 'x'.repeat(100))), /too long a path/);
});
