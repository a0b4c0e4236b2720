/** Removing trees that somebody else changes meanwhile: never through a link, never in another file system. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { atOnce } from '../../../volumes/base/steps.ts';
import { removeContents, removeTree, removeTreeInSteps } from '../../../volumes/files/remove.ts';
import { mountSkip, temporaryDirectory } from '../support.ts';

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
});
