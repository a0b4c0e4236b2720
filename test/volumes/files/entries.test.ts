/** The names in a directory: all of them, and the directory let go of however the reading ends. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { entriesOf } from '../../../volumes/files/entries.ts';
import { openFiles, temporaryDirectory } from '../support.ts';

test('every name is given once, and the directory is let go of at the end, and where the reading ends before', (t) => {
  const directory = temporaryDirectory(t);
  const names = Array.from({ length: 100 }, (_, index) => String(index));
  for (const name of names) {
    fs.writeFileSync(path.join(directory, name), '');
  }
  const before = openFiles();
  assert.deepEqual([...entriesOf(directory)].toSorted(), names.toSorted());
  assert.equal(openFiles(), before, 'it is held after the end');
  for (const name of entriesOf(directory)) {
    assert.ok(names.includes(name), name);
    assert.equal(openFiles(), before + 1, 'it is not held while it is read');
    break;
  }
  assert.equal(openFiles(), before, 'it is held after a reading that ended before');
});
