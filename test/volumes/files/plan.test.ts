/** What a change of a set of files is planned to be: what stays, what is the same, what room it needs, and which set is the present one. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { atOnce } from '../../../volumes/base/steps.ts';
import { carryOut, currentSet, isComplete, planChange, repair } from '../../../volumes/files/atomic-writer.ts';
import { mostEntriesCleared } from '../../../volumes/files/limits.ts';
import { makeDirectory } from '../../support/directory.ts';
import { mountSkip, temporaryDirectory, visibleTree } from '../support.ts';
import { bytesNotKept, plantLong, whileMeasured } from './kept-memory.ts';
import { change, hidden, read, write } from './sets.ts';

const setName = '..2026_11_21_09_00_00.000000001';

test('files of a known form stay beside those that are named, each once', (t) => {
  const root = temporaryDirectory(t);
  write(root, change({ 'a.pem': '1', 'b.pem': '1', c: '1', d: '1' }));
  const keeping = { keep: ['a.pem', 'c'], keepAlso: (file: string) => file.endsWith('.pem') };
  const plan = atOnce(planChange(root, change({ d: '1' }, keeping)));
  assert.deepEqual(plan.kept.toSorted(), ['a.pem', 'b.pem', 'c']);
  assert.deepEqual(plan.paths.toSorted(), ['a.pem', 'b.pem', 'c', 'd']);
  assert.equal(plan.isSame, true);
  assert.equal(write(root, change({ d: '2' }, keeping)), 'written');
  assert.deepEqual(
    ['a.pem', 'b.pem', 'c', 'd'].map((name) => read(root, name)),
    ['1', '1', '1', '2'],
  );
});

test('a plan tells its room in whole pages, one for files that share a content, and every file and directory of the new set', (t) => {
  const root = temporaryDirectory(t);
  const { content } = change({ a: 'x'.repeat(4097) }).files[0] ?? assert.fail('there is a file');
  const files = ['b', 'x/y/c', 'x/d'].map((name) => ({ path: name, content, mode: 0o600 }));
  const needs = (of: ReturnType<typeof change>) => atOnce(planChange(root, of)).needs;
  assert.deepEqual(needs(change({}, { files })), { bytes: 8192, entries: 1 + 1 + 3 + 2 });
  assert.deepEqual(needs(change({ a: '1', b: 'x'.repeat(4096) })), { bytes: 8192, entries: 3 });
  assert.deepEqual(needs(change({ a: '' })), { bytes: 0, entries: 2 });
  write(root, change({ a: '1', 'x/b': '1' }));
  assert.deepEqual(needs(change({ a: '2' }, { keep: ['x/b'] })), { bytes: 4096, entries: 4 });
});

test('a set without files is a set, and the first write makes it', (t) => {
  const root = temporaryDirectory(t);
  assert.equal(write(root, change({})), 'written');
  assert.notEqual(currentSet(root), undefined);
  assert.equal(write(root, change({})), 'unchanged');
});

test('whatever number a set is given, it is found again', (t) => {
  const root = temporaryDirectory(t);
  // One in ten of the numbers begins with a nought.
  for (let count = 0; count < 60; count += 1) {
    assert.equal(write(root, change({ a: String(count) })), 'written');
    assert.match(path.basename(currentSet(root) ?? ''), /^\.\.\d{4}(_\d\d){5}\.\d{9}$/);
  }
});

test('only a directory of the volume that is named after a time is a set', (t) => {
  const root = temporaryDirectory(t);
  const link = path.join(root, '..data');
  const leadTo = (place: string) => {
    fs.rmSync(link, { recursive: true, force: true });
    fs.symlinkSync(place, link);
  };
  assert.equal(currentSet(root), undefined);
  fs.mkdirSync(path.join(root, 'deep', setName), { recursive: true });
  fs.mkdirSync(path.join(root, '..agent'));
  fs.mkdirSync(path.join(root, `${setName}.old`));
  for (const place of [setName, '..agent', `deep/${setName}`, `${setName}.old`, '/']) {
    leadTo(place);
    assert.equal(currentSet(root), undefined, place);
  }
  leadTo(setName);
  const set = path.join(root, setName);
  fs.writeFileSync(set, '');
  assert.equal(currentSet(root), undefined, 'a file');
  fs.rmSync(set);
  fs.symlinkSync('..agent', set);
  assert.equal(currentSet(root), undefined, 'a link');
  fs.rmSync(set);
  fs.mkdirSync(set);
  assert.equal(currentSet(root), setName);
  fs.rmSync(link);
  fs.mkdirSync(link);
  assert.equal(currentSet(root), undefined, 'a directory in place of the link');
});

test('what is only nearly named like a set is nobody’s leftover', (t) => {
  const root = temporaryDirectory(t);
  const names = [`x${setName}`, `${setName}x`, `${setName}0`].toSorted();
  for (const name of [...names, setName]) {
    fs.mkdirSync(path.join(root, name));
  }
  atOnce(repair(root));
  assert.deepEqual(fs.readdirSync(root).toSorted(), names);
});

test('clearing ends though leftovers are made as fast as they are cleared', (t) => {
  const root = temporaryDirectory(t);
  let made = 0;
  const endless = {
    readSync: () => {
      made += 1;
      return { name: `..2026_11_21_09_00_00.${String(made).padStart(9, '0')}` };
    },
    closeSync: t.mock.fn(),
  };
  t.mock.method(fs, 'opendirSync', () => endless);
  const clearing = repair(root);
  let steps = 0;
  while (steps <= mostEntriesCleared && clearing.next().done !== true) {
    steps += 1;
  }
  assert.equal(steps, mostEntriesCleared);
  assert.equal(endless.closeSync.mock.callCount(), 1);
});

test('a set is complete with every file in it and every link to it, and not with some', (t) => {
  const root = temporaryDirectory(t);
  const names = ['a', 'b', 'x/c'];
  const spoilings: Readonly<Record<string, string>> = {
    'a file of the set': '..data/b',
    'a deep file of the set': '..data/x/c',
    'a link': 'b',
    'the link of a directory': 'x',
  };
  for (const [what, name] of Object.entries(spoilings)) {
    write(root, change({ a: '1', b: '1', 'x/c': '1' }));
    assert.equal(isComplete(root, names), true, 'it is not complete when it is written');
    fs.rmSync(path.join(root, name));
    assert.equal(isComplete(root, names), false, `it is complete without ${what}`);
    assert.equal(isComplete(root, ['a']), true, 'the other file is not complete');
  }
});

test('a write that fails when links were made already takes them back, and leaves those of the old set', {
  skip: mountSkip,
}, (t) => {
  for (const old of [undefined, change({ z: '1' })]) {
    const root = temporaryDirectory(t);
    if (old !== undefined) {
      write(root, old);
    }
    const before = currentSet(root);
    fs.mkdirSync(path.join(root, 'b'));
    execFileSync('mount', ['-t', 'tmpfs', 'other', path.join(root, 'b')]);
    assert.throws(() => write(root, change({ a: '1', b: '1' })), { code: 'Tampered' });
    execFileSync('umount', [path.join(root, 'b')]);
    fs.rmdirSync(path.join(root, 'b'));
    assert.deepEqual(visibleTree(root), old === undefined ? {} : { z: '..data/z' });
    assert.equal(currentSet(root), before);
    assert.deepEqual(
      hidden(root).filter((name) => name !== '..visible_tmp'),
      before === undefined ? [] : [before],
    );
  }
});

test('taking back the links of a write that failed costs no memory, whatever somebody put into the old set', (t) => {
  const root = makeDirectory(t, '/dev/shm');
  write(root, change({ a: '1', 'x/b': '1' }));
  const unreadable = {
    length: 1,
    pieces: (): never => {
      throw new Error('there are no bytes');
    },
  };
  const files = [{ path: 'c', content: unreadable, mode: 0o600 }];
  const plan = atOnce(planChange(root, change({}, { files, keep: ['a', 'x/b'] })));
  const planted = 8_192;
  plantLong(path.join(root, plan.current ?? ''), planted);
  fs.symlinkSync('..data/c', path.join(root, 'c'));
  const { result, grownBy } = whileMeasured(
    (function* () {
      try {
        return yield* carryOut(root, plan);
      } catch (error) {
        return error;
      }
    })(),
  );
  assert.match(String(result), /there are no bytes/);
  assert.deepEqual(visibleTree(root), { a: '..data/a', x: '..data/x' });
  assert.ok(grownBy < planted * bytesNotKept, `${planted} names were met, and ${grownBy} bytes kept`);
});

test('a set whose name is taken gets another one', (t) => {
  const root = temporaryDirectory(t);
  const { mkdirSync } = fs;
  let taken: string | undefined;
  const taking = t.mock.method(fs, 'mkdirSync', (directory: string, options: { mode: number }) => {
    if (taken === undefined) {
      taken = path.basename(directory);
      mkdirSync(directory, options);
    }
    return mkdirSync(directory, options);
  });
  assert.equal(write(root, change({ a: '1' })), 'written');
  taking.mock.restore();
  assert.ok(taken !== undefined && taken !== currentSet(root), 'the name that was taken is used');
  assert.equal(read(root, 'a'), '1');
});

test('what fails says what was being done, and in which volume', (t) => {
  const root = temporaryDirectory(t);
  const plan = atOnce(planChange(root, change({ a: '1' })));
  fs.rmdirSync(root);
  const failures: readonly [string, () => unknown][] = [
    ['looking at the files of', () => atOnce(planChange(root, change({ a: '1' })))],
    ['writing the files of', () => atOnce(carryOut(root, plan))],
    ['clearing', () => atOnce(repair(root))],
  ];
  for (const [doing, fail] of failures) {
    assert.throws(fail, { code: 'FileSystem', message: new RegExp(`^${doing} ${root}: ENOENT`) });
  }
});
