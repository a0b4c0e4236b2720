/** A new set of files beside the old one, while somebody else changes both. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { atOnce } from '../../../volumes/base/steps.ts';
import { carryOut, planChange } from '../../../volumes/files/atomic-writer.ts';
import { temporaryDirectory, visibleTree } from '../support.ts';
import { change, read, write } from './sets.ts';

test('a directory of the old set that is gone or replaced before its files are taken over costs those files only', (t) => {
  const spoilings: readonly ((directory: string) => void)[] = [
    () => undefined,
    (directory) => fs.writeFileSync(directory, ''),
    (directory) => fs.symlinkSync('../..', directory),
  ];
  for (const spoil of spoilings) {
    const root = temporaryDirectory(t);
    write(root, change({ 'x/y/key': 'secret', ca: '1', top: '1' }));
    const plan = atOnce(planChange(root, change({ ca: '2', 'x/y/new': '2' }, { keep: ['x/y/key', 'top'] })));
    const directory = path.join(root, '..data', 'x');
    fs.rmSync(directory, { recursive: true });
    spoil(directory);
    assert.equal(atOnce(carryOut(root, plan)), 'written');
    assert.deepEqual(visibleTree(root), { ca: '..data/ca', top: '..data/top', x: '..data/x' });
    assert.deepEqual([read(root, 'ca'), read(root, 'top'), read(root, 'x/y/new')], ['2', '1', '2']);
    assert.deepEqual(fs.readdirSync(path.join(root, 'x/y')), ['new']);
  }
});

test('files that share a content stand beside files of any name', (t) => {
  const root = temporaryDirectory(t);
  const { content } = change({ a: 'shared' }).files[0] ?? assert.fail('there is a file');
  const shared = ['0', '1', 'copy-0'].map((name) => ({ path: name, content, mode: 0o600 }));
  write(root, change({}, { files: shared }));
  assert.deepEqual(
    shared.map((file) => read(root, file.path)),
    ['shared', 'shared', 'shared'],
  );
  assert.deepEqual(fs.readdirSync(path.join(root, '..data')).toSorted(), ['0', '1', 'copy-0']);
});
