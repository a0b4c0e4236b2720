/** Removing trees that somebody else changes meanwhile: never through a link, never in another file system. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { atOnce } from '../../../volumes/base/steps.ts';
import {
  deepest,
  removeContents,
  removeInSteps,
  removeTree,
  removeTreeInSteps,
} from '../../../volumes/files/remove.ts';
import { mountPointsBelow, mountSkip, temporaryDirectory } from '../support.ts';

/** A volume with a tree in it, and a directory of somebody else beside the volume. */
function setUp(t: TestContext) {
  const top = temporaryDirectory(t);
  const volume = path.join(top, 'volume');
  const victim = path.join(top, 'victim');
  for (const directory of [path.join(volume, 'outer', 'inner'), path.join(victim, 'inner')]) {
    fs.mkdirSync(directory, { recursive: true });
  }
  fs.writeFileSync(path.join(volume, 'outer', 'inner', 'key'), 'own');
  fs.writeFileSync(path.join(victim, 'key'), 'precious');
  fs.writeFileSync(path.join(victim, 'inner', 'key'), 'precious');
  return { volume, victim, outer: path.join(volume, 'outer') };
}

const filesOf = (directory: string) => fs.readdirSync(directory, { recursive: true }).map(String).toSorted();
const untouched = ['inner', 'inner/key', 'key'];

test('a directory that is swapped for a link at any step of its removal loses nothing that the link leads to', (t) => {
  const { lstatSync, opendirSync } = fs;
  // The swap happens right after the n-th look at the tree, which is when the agent believes what it saw.
  for (let step = 1; step <= 12; step += 1) {
    const { volume, victim, outer } = setUp(t);
    let looks = 0;
    const swap = () => {
      looks += 1;
      if (looks === step && lstatSync(outer, { throwIfNoEntry: false })?.isDirectory()) {
        fs.renameSync(outer, `${volume}-away`);
        fs.symlinkSync(victim, outer);
      }
    };
    const after =
      <Arguments extends unknown[], Result>(call: (...values: Arguments) => Result) =>
      (...values: Arguments): Result => {
        const result = call(...values);
        swap();
        return result;
      };
    const looking = t.mock.method(fs, 'lstatSync', after(lstatSync as (file: string) => fs.Stats | undefined));
    const listing = t.mock.method(fs, 'opendirSync', after(opendirSync));
    try {
      removeTree(outer);
    } catch (error) {
      assert(error instanceof Error, 'what is thrown is an error');
    } finally {
      looking.mock.restore();
      listing.mock.restore();
    }
    assert.deepEqual(filesOf(victim), untouched, `swapped after look ${step}`);
  }
});

test('another volume that is mounted in a tree, or in its place, loses nothing when the tree is removed', {
  skip: mountSkip,
}, (t) => {
  const { volume, victim, outer } = setUp(t);
  execFileSync('mount', ['-t', 'tmpfs', 'victim', victim]);
  fs.writeFileSync(path.join(victim, 'key'), 'precious');
  const inner = path.join(outer, 'inner');
  execFileSync('mount', ['--bind', victim, inner]);
  assert.throws(() => removeTree(outer), { code: 'ENOTEMPTY' });
  assert.deepEqual(filesOf(victim), ['key']);
  assert.throws(() => removeTree(inner), { code: 'Tampered', message: /something mounted on it/ });
  assert.throws(() => atOnce(removeContents(inner, fs.lstatSync(volume).dev)), { code: 'Tampered' });
  assert.deepEqual(filesOf(victim), ['key']);
  execFileSync('umount', [inner]);
  removeTree(outer);
  assert(!fs.existsSync(outer), 'without the mount the tree goes');
});

test('a tree that is deeper than anything the agent makes costs a bounded number of open directories', (t) => {
  const { volume } = setUp(t);
  let directory = volume;
  for (let depth = 0; depth < 200; depth += 1) {
    directory = path.join(directory, 'd');
    fs.mkdirSync(directory);
  }
  const { openSync, closeSync } = fs;
  let open = 0;
  let most = 0;
  t.mock.method(fs, 'openSync', (file: string, flags: number) => {
    open += 1;
    most = Math.max(most, open);
    return openSync(file, flags);
  });
  t.mock.method(fs, 'closeSync', (descriptor: number) => {
    open -= 1;
    closeSync(descriptor);
  });
  assert.throws(() => removeTree(path.join(volume, 'd')), { code: 'ENOTEMPTY' });
  assert.equal(open, 0);
  assert(most > 16 && most <= 70, `${most} open at once`);
});

/** A directory with so many files in it. */
function crowd(t: TestContext, count: number): string {
  const directory = path.join(temporaryDirectory(t), 'crowd');
  fs.mkdirSync(directory);
  for (let index = 0; index < count; index += 1) {
    fs.writeFileSync(path.join(directory, String(index)), '');
  }
  return directory;
}

test('the entries of a directory are read a few at a time, and removed one a step', (t) => {
  const directory = crowd(t, 300);
  t.mock.method(fs, 'readdirSync', () => assert.fail('all names are read in one call'));
  const steps = removeTreeInSteps(directory);
  let taken = 0;
  while (steps.next().done !== true) {
    taken += 1;
  }
  assert.ok(taken >= 300, `${taken} steps`);
  assert.equal(fs.existsSync(directory), false, 'it is gone');
});

test('of a tree so many entries are removed in one go, and not one more', (t) => {
  const directory = crowd(t, 32);
  const { dev } = fs.lstatSync(directory);
  const count = () => fs.readdirSync(directory).length;
  atOnce(removeContents(directory, dev, 31));
  assert.equal(count(), 1);
  fs.writeFileSync(path.join(directory, 'another'), '');
  atOnce(removeContents(directory, dev, 2));
  assert.equal(count(), 0);
  fs.writeFileSync(path.join(directory, 'first'), '');
  fs.writeFileSync(path.join(directory, 'second'), '');
  atOnce(removeInSteps(directory, dev, 2));
  assert.equal(count(), 1, 'the directory itself counts');
});

test('a tree goes down to the depth of what the agent makes and one level more, and from there on it stays', (t) => {
  const { volume, outer } = setUp(t);
  const { dev } = fs.lstatSync(volume);
  const levels = (count: number) => path.join(outer, ...Array(count).fill('d'));
  for (const [count, left] of [
    [deepest, []],
    [deepest + 1, ['outer']],
  ] as const) {
    fs.mkdirSync(levels(count), { recursive: true });
    atOnce(removeContents(volume, dev));
    assert.deepEqual(fs.readdirSync(volume), left, `${count} levels`);
  }
});

test('a tree that two remove at once, a step each in turn, is gone, and neither fails', (t) => {
  const { volume, outer } = setUp(t);
  for (const name of ['a/b/c', 'a/d', 'e']) {
    fs.mkdirSync(path.join(outer, name), { recursive: true });
    fs.writeFileSync(path.join(outer, name, 'file'), '');
  }
  const { dev } = fs.lstatSync(volume);
  const removals = [removeInSteps(outer, dev), removeInSteps(outer, dev)];
  for (let steps = 0, left = removals.length; left > 0; steps += 1) {
    left = removals.filter((removal) => removal.next().done !== true).length;
    assert.ok(steps < 100, 'they do not end');
  }
  assert.deepEqual(fs.readdirSync(volume), []);
});

test('a file or a link is removed itself, and what is absent, with its directory or without, is no fault', (t) => {
  const { volume, victim } = setUp(t);
  const { dev } = fs.lstatSync(volume);
  const remove = (file: string) => atOnce(removeInSteps(file, dev));
  for (const way of [removeTree, remove]) {
    const [file, link] = [path.join(volume, 'file'), path.join(volume, 'link')];
    fs.writeFileSync(file, '');
    fs.symlinkSync(victim, link);
    way(file);
    way(link);
    assert.deepEqual(fs.readdirSync(volume), ['outer']);
    assert.deepEqual(filesOf(victim), untouched);
    way(path.join(volume, 'absent'));
    way(path.join(volume, 'absent', 'deep'));
  }
  remove(path.join(volume, 'outer'));
  assert.deepEqual(fs.readdirSync(volume), []);
});

test('what somebody else removes before or after a look at it is no fault', (t) => {
  const { lstatSync } = fs;
  for (const name of ['outer', 'key']) {
    for (const isBefore of [true, false]) {
      const { volume, outer } = setUp(t);
      const remove = () => fs.rmSync(name === 'outer' ? outer : path.join(outer, 'inner', 'key'), { recursive: true });
      let isGone = false;
      const look = t.mock.method(fs, 'lstatSync', (file: string, options: { throwIfNoEntry: false }) => {
        const isMeant = !isGone && path.basename(file) === name;
        isGone ||= isMeant;
        if (isMeant && isBefore) {
          remove();
        }
        const stats = lstatSync(file, options);
        if (isMeant && !isBefore) {
          remove();
        }
        return stats;
      });
      removeTree(outer);
      look.mock.restore();
      assert.deepEqual(fs.readdirSync(volume), [], `${name}, ${isBefore ? 'before' : 'after'} the look`);
    }
  }
});

test('a mount in a part of a volume keeps its mount point and no more, and is itself left as it is', {
  skip: mountSkip,
}, (t) => {
  const { volume, victim, outer } = setUp(t);
  const { dev } = fs.lstatSync(volume);
  execFileSync('mount', ['-t', 'tmpfs', 'victim', victim]);
  fs.writeFileSync(path.join(victim, 'key'), 'precious');
  const [deep, same] = [path.join(outer, 'inner', 'deep'), path.join(outer, 'same')];
  for (const directory of [deep, same, path.join(volume, 'other')]) {
    fs.mkdirSync(directory);
  }
  execFileSync('mount', ['--bind', victim, deep]);
  execFileSync('mount', ['--bind', path.join(volume, 'other'), same]);
  atOnce(removeInSteps(deep, dev));
  atOnce(removeInSteps(outer, dev));
  assert.deepEqual(filesOf(outer), ['inner', 'inner/deep', 'inner/deep/key', 'same']);
  assert.equal(mountPointsBelow(outer).length, 2);
});

test('a directory that cannot be removed is an error', (t) => {
  const { volume, outer } = setUp(t);
  const { rmdirSync } = fs;
  t.mock.method(fs, 'rmdirSync', (directory: string) => {
    fs.renameSync(directory, path.join(volume, 'away'));
    fs.symlinkSync('away', directory);
    rmdirSync(directory);
  });
  assert.throws(() => atOnce(removeInSteps(outer, fs.lstatSync(volume).dev)), { code: 'ENOTDIR' });
});
