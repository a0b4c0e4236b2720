/** All files at once or none, with traps laid. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { atOnce } from '../../../volumes/base/steps.ts';
import { carryOut, isComplete, planChange, removeSet, repair } from '../../../volumes/files/atomic-writer.ts';
import { wholeContent } from '../../../volumes/files/content.ts';
import { modeOf, mountPointsBelow, mountSkip, rootSkip, temporaryDirectory, visibleTree } from '../support.ts';
import { change, hidden, read, write } from './sets.ts';

test('files are reached through ..data, from a directory named after the time', (t) => {
  const root = temporaryDirectory(t);
  assert.equal(write(root, change({ 'a.pem': '1', 'x/y/b.pem': '2', 'x/c.pem': '3' })), 'written');
  assert.deepEqual(visibleTree(root), { 'a.pem': '..data/a.pem', x: '..data/x' });
  assert.deepEqual([read(root, 'a.pem'), read(root, 'x/y/b.pem'), read(root, 'x/c.pem')], ['1', '2', '3']);
  assert.match(fs.readlinkSync(path.join(root, '..data')), /^\.\.2026_11_21_10_00_00\.\d{9}$/);
  assert.equal(modeOf(path.join(root, '..data')), '755');
  assert.equal(modeOf(path.join(root, 'x/y')), '755');
  assert.equal(modeOf(path.join(root, 'x/y/b.pem')), '600');
});

test('what is in place already is not written again', (t) => {
  const root = temporaryDirectory(t);
  write(root, change({ a: '1', 'x/b': '2' }));
  const before = fs.readlinkSync(path.join(root, '..data'));
  assert.equal(write(root, change({ a: '1', 'x/b': '2' })), 'unchanged');
  assert.equal(write(root, change({ a: '1' }, { keep: ['x/b'] })), 'unchanged');
  assert.equal(fs.readlinkSync(path.join(root, '..data')), before);
});

test('a change of bytes, of length, of mode or of the set of files is written, and the set before the present one goes', (t) => {
  const root = temporaryDirectory(t);
  write(root, change({ a: '1' }));
  for (const next of [
    change({ a: '2' }),
    change({ a: '22' }),
    change({}, { files: [{ path: 'a', content: wholeContent(Buffer.from('22')), mode: 0o640 }] }),
    change({ a: '22', b: '3' }),
    change({ b: '3' }),
    change({ 'b/c': '3' }),
  ]) {
    assert.equal(write(root, next), 'written');
    assert.equal(hidden(root).length, 2);
  }
  atOnce(repair(root));
  assert.equal(hidden(root).length, 1);
  assert.deepEqual(visibleTree(root), { b: '..data/b' });
});

test('a reader that has followed ..data reads on in one set after the next change, until the one after that', (t) => {
  const root = temporaryDirectory(t);
  const step = (text: string, previous?: string) => {
    const plan = atOnce(planChange(root, change({ 'key.pem': text, 'x/chain.pem': text, ca: '1' }, { previous })));
    assert.equal(atOnce(carryOut(root, plan)), 'written');
    return plan.current;
  };
  step('first');
  const held = fs.openSync(path.join(root, '..data'), 'r');
  t.after(() => fs.closeSync(held));
  const readHeld = (file: string) => fs.readFileSync(`/proc/self/fd/${held}/${file}`, 'utf8');
  const replaced = step('second');
  assert.deepEqual([readHeld('key.pem'), readHeld('x/chain.pem')], ['first', 'first']);
  // An unchanged set, and a look at what there is, leave it alone.
  const same = atOnce(planChange(root, change({}, { previous: replaced, keep: ['key.pem', 'x/chain.pem', 'ca'] })));
  assert.equal(atOnce(carryOut(root, same)), 'unchanged');
  assert.deepEqual([readHeld('key.pem'), readHeld('x/chain.pem')], ['first', 'first']);
  assert.ok(replaced !== undefined, 'there was a set before');
  atOnce(removeSet(root, replaced));
  assert.throws(() => readHeld('key.pem'), { code: 'ENOENT' });
  atOnce(removeSet(root, fs.readlinkSync(path.join(root, '..data'))));
  assert.equal(read(root, 'key.pem'), 'second', 'the present set is never removed');
});

test('a file that is kept is the same file, linked into the new set', (t) => {
  const root = temporaryDirectory(t);
  write(root, change({ 'keys/key.pem': 'secret', ca: '1' }));
  const before = fs.statSync(path.join(root, 'keys/key.pem')).ino;
  write(root, change({ ca: '2' }, { keep: ['keys/key.pem', 'never-there'] }));
  assert.equal(fs.statSync(path.join(root, 'keys/key.pem')).ino, before);
  assert.equal(read(root, 'ca'), '2');
});

test('files with the same content are one file, for each mode and owner, and can be changed apart', (t) => {
  const root = temporaryDirectory(t);
  const content = wholeContent(Buffer.from('anchors'));
  const paths = ['a', 'b', 'x/y/c', 'x/d'];
  const files = paths.map((name) => ({ path: name, content, mode: name === 'x/d' ? 0o640 : 0o644 }));
  assert.equal(
    write(
      root,
      change(
        { other: 'anchors' },
        { files: [...files, { path: 'e', content: wholeContent(Buffer.from('e')), mode: 0o644 }] },
      ),
    ),
    'written',
  );
  const inodes = paths.map((name) => fs.statSync(path.join(root, name)).ino);
  assert.deepEqual(inodes.slice(0, 3), [inodes[0], inodes[0], inodes[0]]);
  assert.notEqual(inodes[3], inodes[0]);
  assert.equal(fs.statSync(path.join(root, 'a')).nlink, 3);
  assert.equal(hidden(path.join(root, '..data')).length, 0);
  assert.equal(write(root, change({}, { files, keep: ['e'] })), 'unchanged');
  assert.equal(write(root, change({ b: 'others' }, { keep: ['a', 'x/y/c', 'x/d', 'e'] })), 'written');
  assert.deepEqual(
    ['a', 'b', 'x/y/c', 'x/d', 'e'].map((name) => read(root, name)),
    ['anchors', 'others', 'anchors', 'anchors', 'e'],
  );
});

test('a visible link that is missing or wrong is put right', (t) => {
  const root = temporaryDirectory(t);
  const set = change({ a: '1', b: '2' });
  write(root, set);
  assert.equal(isComplete(root, ['a', 'b']), true, 'the set is not complete');
  fs.unlinkSync(path.join(root, 'a'));
  fs.unlinkSync(path.join(root, 'b'));
  fs.symlinkSync('/etc/passwd', path.join(root, 'b'));
  assert.equal(isComplete(root, ['a']), false, 'the set is complete');
  assert.equal(isComplete(root, ['b']), false, 'the set is complete');
  assert.equal(write(root, set), 'written');
  assert.equal(isComplete(root, ['a', 'b']), true, 'the set is not complete');
  assert.equal(isComplete(root, ['a', 'c']), false, 'the set is complete');
});

test('leftovers of an interrupted write are cleared, foreign files are not', (t) => {
  const root = temporaryDirectory(t);
  write(root, change({ a: '1' }));
  const leftover = path.join(root, '..2026_11_21_09_00_00.000000001', 'deep');
  fs.mkdirSync(leftover, { recursive: true });
  fs.writeFileSync(path.join(leftover, 'key'), 'x');
  fs.symlinkSync('..2026_11_21_09_00_00.000000001', path.join(root, '..data_tmp'));
  fs.symlinkSync('..data/zzz', path.join(root, '..visible_tmp'));
  fs.writeFileSync(path.join(root, '..other'), '');
  atOnce(repair(root));
  assert.deepEqual(hidden(root).toSorted(), ['..other', fs.readlinkSync(path.join(root, '..data'))].toSorted());
  assert.equal(read(root, 'a'), '1');
});

test('nothing is ever written or linked through a symlink that somebody planted', (t) => {
  const root = path.join(temporaryDirectory(t), 'volume');
  const victim = path.join(root, '..', 'victim');
  fs.mkdirSync(root);
  fs.mkdirSync(victim);
  fs.writeFileSync(path.join(victim, 'a'), 'untouched');

  fs.symlinkSync('../victim', path.join(root, '..data'));
  assert.equal(isComplete(root, ['a']), false, 'the set is complete');
  write(root, change({ a: '1' }, { keep: ['b'] }));
  assert.equal(read(root, 'a'), '1');

  const current = path.join(root, fs.readlinkSync(path.join(root, '..data')));
  fs.rmSync(path.join(current, 'a'));
  fs.symlinkSync('../../victim/a', path.join(current, 'a'));
  fs.symlinkSync('../../victim', path.join(current, 'dir'));
  assert.equal(isComplete(root, ['a']), false, 'the set is complete');
  assert.equal(write(root, change({ c: '3' }, { keep: ['a', 'dir/a'] })), 'written');
  assert.deepEqual(visibleTree(root), { c: '..data/c' });

  fs.rmSync(path.join(root, 'c'));
  fs.mkdirSync(path.join(root, 'c'));
  fs.symlinkSync('../../victim', path.join(root, 'c', 'link'));
  assert.equal(write(root, change({ c: '3' })), 'written');
  fs.rmSync(path.join(root, '..data'));
  fs.mkdirSync(path.join(root, '..data'));
  assert.equal(write(root, change({ c: '4' })), 'written');
  assert.equal(read(root, 'c'), '4');
  assert.deepEqual(fs.readdirSync(victim), ['a']);
  assert.equal(fs.readFileSync(path.join(victim, 'a'), 'utf8'), 'untouched');
});

test('files and directories get the owner they are asked to have', { skip: rootSkip }, (t) => {
  const root = temporaryDirectory(t);
  const owned = { mode: 0o640, uid: 1234, gid: 5678 };
  const files = [{ path: 'x/a', content: wholeContent(Buffer.from('1')), ...owned }];
  const directory = { mode: 0o750, uid: 1234, gid: 5678 };
  assert.equal(write(root, change({}, { files, directory })), 'written');
  for (const file of ['x/a', 'x', '..data']) {
    const { uid, gid } = fs.statSync(path.join(root, file));
    assert.deepEqual([uid, gid], [1234, 5678], file);
  }
  assert.equal(write(root, change({}, { files, directory })), 'unchanged');
  const moved = files.map((file) => ({ ...file, gid: 1 }));
  assert.equal(write(root, change({}, { files: moved, directory })), 'written');
  assert.equal(fs.statSync(path.join(root, 'x/a')).gid, 1);
});

test('a full tmpfs leaves the old files as they were', { skip: mountSkip }, async (t) => {
  const root = path.join(temporaryDirectory(t), 'full');
  fs.mkdirSync(root);
  const { createMounts } = await import('../../../volumes/mounts/mounts.ts');
  await createMounts('full-test').mount(root, 64 * 1024);
  write(root, change({ a: '1', 'x/b': '2' }));
  const before = fs.readdirSync(root).toSorted();
  const large = change({ a: 'x'.repeat(48 * 1024), c: 'y'.repeat(48 * 1024) }, { keep: ['x/b'] });
  assert.throws(() => write(root, large), { code: 'NoSpace' });
  assert.deepEqual(fs.readdirSync(root).toSorted(), before);
  assert.deepEqual([read(root, 'a'), read(root, 'x/b')], ['1', '2']);
  assert.equal(write(root, change({ a: '3' }, { keep: ['x/b'] })), 'written');
  assert.equal(mountPointsBelow(path.dirname(root)).length, 1);
});

test('a path that cannot be created fails the write and changes nothing', (t) => {
  const root = temporaryDirectory(t);
  write(root, change({ a: '1' }));
  const before = fs.readdirSync(root).toSorted();
  assert.throws(() => write(root, change({ a: '2', [`${'x'.repeat(300)}`]: '' })), {
    name: 'VolumeError',
    code: 'FileSystem',
  });
  assert.deepEqual(fs.readdirSync(root).toSorted(), before);
  assert.equal(read(root, 'a'), '1');
  assert.throws(() => atOnce(repair(path.join(root, 'absent'))), { code: 'FileSystem' });
});

test('a mode that denies the owner itself can be written again and again', (t) => {
  const root = temporaryDirectory(t);
  const closed = (text: string) =>
    change({}, { files: [{ path: 'a', content: wholeContent(Buffer.from(text)), mode: 0 }] });
  assert.equal(write(root, closed('1')), 'written');
  assert.equal(write(root, closed('1')), process.geteuid?.() === 0 ? 'unchanged' : 'written');
  assert.equal(write(root, closed('2')), 'written');
});

test('a first write that fails leaves nothing visible', (t) => {
  const root = temporaryDirectory(t);
  assert.throws(() => write(root, change({ a: '1', ['x'.repeat(300)]: '' })), { code: 'FileSystem' });
  assert.deepEqual(fs.readdirSync(root), []);
});

test('a directory that is swapped for a link while a set is written receives no file', (t) => {
  const root = path.join(temporaryDirectory(t), 'volume');
  const victim = path.join(root, '..', 'victim');
  for (const directory of [root, victim]) {
    fs.mkdirSync(directory);
  }
  const { mkdirSync } = fs;
  for (const swapped of ['..2026', 'parts', 'deep']) {
    const swap = t.mock.method(fs, 'mkdirSync', (directory: string, options: { mode: number }) => {
      mkdirSync(directory, options);
      // What stands for the swap happens one step later: the new directory is opened in between to set its mode.
      const name = path.basename(directory);
      if (name.startsWith(swapped) || name === swapped) {
        pendingSwap = directory;
      }
    });
    let pendingSwap: string | undefined;
    const { closeSync } = fs;
    const close = t.mock.method(fs, 'closeSync', (descriptor: number) => {
      const directory = pendingSwap;
      pendingSwap = undefined;
      if (directory !== undefined) {
        fs.renameSync(directory, path.join(root, '..away'));
        fs.symlinkSync(victim, directory);
      }
      closeSync(descriptor);
    });
    assert.throws(() => write(root, change({ 'parts/deep/key': 'secret', top: '1' })), { code: 'Tampered' });
    swap.mock.restore();
    close.mock.restore();
    assert.deepEqual(fs.readdirSync(victim), [], swapped);
    fs.rmSync(path.join(root, '..away'), { recursive: true });
  }
  assert.equal(write(root, change({ 'parts/deep/key': '1' })), 'written');
});
