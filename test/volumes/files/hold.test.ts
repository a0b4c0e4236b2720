/** Work in directories that are held: in the one that was meant and in no other, with each let go of however the work ends. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { VolumeError } from '../../../volumes/base/errors.ts';
import { atOnce } from '../../../volumes/base/steps.ts';
import {
  holdDirectory,
  holdInSteps,
  holdOn,
  holdParent,
  holdVolume,
  holdVolumeFor,
  holdVolumeInSteps,
  isSame,
  lstat,
  unlessTampered,
} from '../../../volumes/files/hold.ts';
import { openFiles, temporaryDirectory } from '../support.ts';

/** A directory with a file below another, and a link to it. */
function setUp(t: TestContext) {
  const top = temporaryDirectory(t);
  const directory = path.join(top, 'own');
  fs.mkdirSync(path.join(directory, 'inner'), { recursive: true });
  fs.writeFileSync(path.join(directory, 'inner', 'file'), 'own');
  const link = path.join(top, 'link');
  fs.symlinkSync('own', link);
  return { top, directory, link, stats: fs.lstatSync(directory) };
}

const failing = (file: string): never => {
  throw new Error(`${file}/inner and ${file}`);
};

test('a directory is the same one by its device and its number, and nothing is the same as nothing', () => {
  const one = { dev: 1, ino: 2 };
  assert.equal(isSame(one, { dev: 1, ino: 2 }), true);
  for (const [first, second] of [
    [one, { dev: 1, ino: 3 }],
    [one, { dev: 3, ino: 2 }],
    [one, undefined],
    [undefined, one],
    [undefined, undefined],
  ] as const) {
    assert.equal(isSame(first, second), false);
  }
});

test('a look at a path sees what lies there and follows no link, and sees nothing where nothing lies', (t) => {
  const { top, directory, link } = setUp(t);
  assert.equal(lstat(directory)?.isDirectory(), true);
  assert.equal(lstat(link)?.isSymbolicLink(), true);
  assert.equal(lstat(path.join(top, 'absent')), undefined);
});

test('each way of holding a directory works in it, says its name in errors, and lets go of it', async (t) => {
  const { directory, stats } = setUp(t);
  const ways: readonly ((work: (held: string) => string) => unknown)[] = [
    (work) => holdDirectory(directory, work),
    (work) => holdOn(directory, stats.dev, work),
    (work) => holdVolume(directory, stats, work),
    (work) =>
      atOnce(
        holdInSteps(directory, stats.dev, function* (held) {
          yield;
          return work(held);
        }),
      ),
    (work) =>
      atOnce(
        holdVolumeInSteps(directory, stats, function* (held) {
          yield;
          return work(held);
        }),
      ),
  ];
  let before = openFiles();
  for (const hold of ways) {
    assert.equal(
      hold((held) => fs.readFileSync(`${held}/inner/file`, 'utf8')),
      'own',
    );
    const named = new RegExp(`^Error: ${directory}/inner and /proc/self/fd/\\d+$`);
    assert.throws(() => hold(failing), named);
  }
  assert.equal(openFiles(), before);
  const read = async (held: string) => fs.readFileSync(`${held}/inner/file`, 'utf8');
  assert.equal(await holdVolumeFor(directory, stats, read), 'own');
  let seen = '';
  const noting = async (held: string): Promise<never> => {
    seen = held;
    assert.equal(fs.readlinkSync(held), directory);
    return failing(held);
  };
  await assert.rejects(holdVolumeFor(directory, stats, noting), /inner and/);
  assert.ok(lstat(seen) === undefined || fs.readlinkSync(seen) !== directory, 'it is let go of');
  before = openFiles();
  const paused = holdInSteps(directory, stats.dev, function* () {
    yield;
  });
  paused.next();
  assert.equal(openFiles(), before + 1, 'it is held while the work pauses');
  paused.return();
  assert.equal(openFiles(), before);
});

test('what is no directory, lies elsewhere or was replaced is not worked in', async (t) => {
  const { top, directory, link, stats } = setUp(t);
  const file = path.join(directory, 'inner', 'file');
  const never = (): never => assert.fail('the work was begun');
  const before = openFiles();
  for (const other of [link, file]) {
    const message = `${other} is not a directory; something was put in its place`;
    assert.throws(() => holdDirectory(other, never), { code: 'Tampered', message });
  }
  fs.symlinkSync('endless', path.join(top, 'endless'));
  assert.throws(() => holdDirectory(path.join(top, 'endless', 'inner'), never), { code: 'Tampered' });
  assert.throws(() => holdDirectory(path.join(top, 'absent'), never), { code: 'ENOENT' });
  const elsewhere = `${directory} is not part of its volume; something is mounted there`;
  assert.throws(() => holdOn(directory, stats.dev + 1, never), { code: 'Tampered', message: elsewhere });
  assert.throws(() => atOnce(holdInSteps(directory, stats.dev + 1, never)), { code: 'Tampered', message: elsewhere });
  const replaced = { dev: stats.dev, ino: stats.ino + 1 };
  const gone = { code: 'Gone', message: `the volume at ${directory} was unmounted or replaced` };
  assert.throws(() => holdVolume(directory, replaced, never), gone);
  assert.throws(() => atOnce(holdVolumeInSteps(directory, replaced, never)), gone);
  assert.equal(openFiles(), before);
  await assert.rejects(holdVolumeFor(directory, replaced, never), gone);
});

test('on the way to a file each directory is entered as it is, and no link is followed', (t) => {
  const { directory, stats } = setUp(t);
  fs.mkdirSync(path.join(directory, 'inner', 'deep'));
  fs.symlinkSync('inner', path.join(directory, 'by-link'));
  const write = (relative: string) =>
    holdParent(directory, relative, stats.dev, (file) => fs.writeFileSync(file, relative));
  for (const relative of ['top', 'inner/second', 'inner/deep/third']) {
    write(relative);
    assert.equal(fs.readFileSync(path.join(directory, relative), 'utf8'), relative);
  }
  assert.throws(() => write('by-link/fourth'), { code: 'Tampered' });
  assert.throws(() => write('inner/file/fifth'), { code: 'Tampered' });
  assert.throws(() => holdParent(directory, 'inner/x', stats.dev + 1, () => undefined), { code: 'Tampered' });
});

test('what is absent, closed or not the own is nothing, and any other error stays one', () => {
  const system = (code: string) => Object.assign(new Error(code), { code });
  const told = (error: Error) =>
    unlessTampered(() => {
      throw error;
    });
  assert.equal(
    unlessTampered(() => 1),
    1,
  );
  for (const error of [new VolumeError('Tampered', 'x'), system('ENOENT'), system('EACCES')]) {
    assert.equal(told(error), undefined);
  }
  for (const error of [new VolumeError('Gone', 'x'), system('EIO'), system('Tampered'), new Error('x')]) {
    assert.throws(() => told(error), error);
  }
});
