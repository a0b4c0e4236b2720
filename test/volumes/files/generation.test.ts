/** The file that names the set in place: rewritten where it is the agent's own as it was made, and made anew wherever it is anything else. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { atOnce } from '../../../volumes/base/steps.ts';
import { currentSet } from '../../../volumes/files/atomic-writer.ts';
import type { Access } from '../../../volumes/files/files.ts';
import { touch } from '../../../volumes/files/generation.ts';
import { modeOf, mountSkip, openFiles, rootSkip, temporaryDirectory } from '../support.ts';
import { change, write } from './sets.ts';

const access: Access = { mode: 0o644 };
/** As long as what the file says, and something else. */
const sameLength = 'x'.repeat('2026_11_21_10_00_00.123456789\n'.length);

/** A volume with a set of files, and the file. */
function setUp(t: TestContext, fileAccess = access) {
  const root = temporaryDirectory(t);
  const file = path.join(root, 'generation');
  const next = (text: string) => {
    write(root, change({ a: text }));
    atOnce(touch(root, 'generation', fileAccess));
  };
  const assertRight = (message: string) => {
    assert.equal(`..${fs.readFileSync(file, 'utf8')}`, `${currentSet(root)}\n`, message);
    assert.ok(fs.lstatSync(file).isFile(), message);
  };
  next('1');
  assertRight('after the first set');
  return { root, file, next, assertRight, inode: () => fs.statSync(file).ino };
}

test('without a set there is no file', (t) => {
  const root = temporaryDirectory(t);
  atOnce(touch(root, 'generation', access));
  assert.deepEqual(fs.readdirSync(root), []);
});

test('the file is the same one from set to set, and nothing is held open after it', (t) => {
  const { next, assertRight, inode } = setUp(t);
  const [before, open] = [inode(), openFiles()];
  next('2');
  assertRight('after the second set');
  assert.equal(inode(), before);
  assert.equal(openFiles(), open);
});

test('a file that has another name too, another length or another mode is replaced, and what it was is left as it is', (t) => {
  const { root, file, next, assertRight } = setUp(t);
  const other = path.join(root, 'other');
  const plants: Readonly<Record<string, () => void>> = {
    'another name': () => fs.writeFileSync(other, sameLength, { mode: 0o644 }),
    'another length': () => fs.writeFileSync(other, `${sameLength}more`, { mode: 0o644 }),
    'another mode': () => fs.writeFileSync(other, sameLength, { mode: 0o600 }),
  };
  for (const [name, plant] of Object.entries(plants)) {
    plant();
    const planted = fs.readFileSync(other, 'utf8');
    fs.rmSync(file);
    fs.linkSync(other, file);
    if (name !== 'another name') {
      fs.rmSync(other);
    }
    const held = fs.openSync(file, 'r');
    t.after(() => fs.closeSync(held));
    next(name);
    assertRight(name);
    assert.equal(modeOf(file), '644', name);
    assert.equal(fs.readFileSync(held, 'utf8'), planted, name);
    fs.rmSync(other, { force: true });
  }
});

test('a file that belongs to somebody else is given to whom it should belong', { skip: rootSkip }, (t) => {
  const { file, next, assertRight, inode } = setUp(t, { mode: 0o640, uid: 1234, gid: 5678 });
  const before = inode();
  next('2');
  assert.equal(inode(), before, 'with its owner it is left where it is');
  for (const [uid, gid] of [
    [1, 5678],
    [1234, 1],
  ] as const) {
    fs.chownSync(file, uid, gid);
    next(`${uid}:${gid}`);
    assertRight(`${uid}:${gid}`);
    const stats = fs.statSync(file);
    assert.deepEqual([stats.uid, stats.gid], [1234, 5678]);
  }
});

test('a file that is put in its place after a look at it is not written', (t) => {
  const { root, file, next, assertRight } = setUp(t);
  const other = path.join(root, 'other');
  fs.writeFileSync(other, sameLength, { mode: 0o644 });
  const { openSync } = fs;
  let isSwapped = false;
  t.mock.method(fs, 'openSync', (name: string, ...rest: [number, number]) => {
    if (name === file && !isSwapped) {
      isSwapped = true;
      fs.rmSync(file);
      fs.linkSync(other, file);
    }
    return openSync(name, ...rest);
  });
  next('2');
  assert.equal(fs.readFileSync(other, 'utf8'), sameLength);
  assertRight('after the swap');
});

test('a file of another volume that is mounted at its place is not written, and is left there', {
  skip: mountSkip,
}, (t) => {
  const { root, file, next } = setUp(t);
  const other = path.join(temporaryDirectory(t), 'other');
  fs.mkdirSync(other);
  execFileSync('mount', ['-t', 'tmpfs', 'other', other]);
  const victim = path.join(other, 'victim');
  fs.writeFileSync(victim, sameLength, { mode: 0o644 });
  execFileSync('mount', ['--bind', victim, file]);
  assert.throws(() => next('2'), { code: 'Tampered', message: /generation has something mounted on it/ });
  assert.equal(fs.readFileSync(victim, 'utf8'), sameLength);
  assert.ok(currentSet(root) !== undefined, 'the set is in place all the same');
});

test('a file that takes a part of what it should say is an error that names it', (t) => {
  const { file, next } = setUp(t);
  const { writeSync } = fs;
  // What stands for a file system that is full in the middle of the file.
  t.mock.method(
    fs,
    'writeSync',
    (descriptor: number, bytes: Uint8Array, offset: number, length: number, position?: number) =>
      position === undefined
        ? writeSync(descriptor, bytes, offset)
        : writeSync(descriptor, bytes, offset, length - 1, position),
  );
  assert.throws(() => next('2'), { code: 'NoSpace', message: `${file} could not be written whole` });
});
