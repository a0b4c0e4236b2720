/** What a set of files holds, compared with what it should: by bytes, mode and owner, and without leaving its file system or going too deep. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { atOnce } from '../../../volumes/base/steps.ts';
import { wholeContent } from '../../../volumes/files/content.ts';
import type { ProjectedFile } from '../../../volumes/files/layout.ts';
import { mostEntriesSurveyed, mostStaying } from '../../../volumes/files/limits.ts';
import { deepest } from '../../../volumes/files/remove.ts';
import { surveySet } from '../../../volumes/files/stored-set.ts';
import { makeDirectory } from '../../support/directory.ts';
import { mountSkip, openFiles, rootSkip, temporaryDirectory } from '../support.ts';
import { bytesNotKept, plantLong, whileMeasured } from './kept-memory.ts';

const wanted = (name: string, text: string, more: Partial<ProjectedFile> = {}): ProjectedFile => ({
  path: name,
  content: wholeContent(Buffer.from(text)),
  mode: 0o600,
  ...more,
});

/** A directory with these files, and what is found in it. */
function setUp(t: TestContext, files: Readonly<Record<string, string>>) {
  const directory = temporaryDirectory(t);
  for (const [name, text] of Object.entries(files)) {
    fs.mkdirSync(path.dirname(path.join(directory, name)), { recursive: true });
    fs.writeFileSync(path.join(directory, name), text, { mode: 0o600 });
  }
  const survey = (...compared: readonly ProjectedFile[]) => {
    const { count, staying, same } = atOnce(surveySet(directory, fs.statSync(directory).dev, compared, () => true));
    return { count, staying: staying.toSorted(), same: [...same].toSorted() };
  };
  return { directory, at: (name: string) => path.join(directory, name), survey };
}

test('every file is found by its path, and is the same by its bytes, length, mode and owner only', {
  skip: rootSkip,
}, (t) => {
  const { directory, at, survey } = setUp(t, { a: 'text', 'x/y/b': 'text', c: 'text', d: 'text', e: 'texts' });
  fs.symlinkSync('a', at('link'));
  fs.chmodSync(at('c'), 0o640);
  const owner = { uid: 1234, gid: 5678 };
  fs.chownSync(at('d'), owner.uid, owner.gid);
  const before = openFiles();
  const { count, staying, same } = survey(
    wanted('a', 'text'),
    wanted('x/y/b', 'test'),
    wanted('c', 'text'),
    wanted('d', 'text', owner),
    wanted('e', 'text'),
    wanted('link', 'text'),
    wanted('absent', 'text'),
  );
  assert.equal(openFiles(), before);
  assert.equal(count, 6, 'five files and a link');
  assert.deepEqual(staying, ['a', 'c', 'd', 'e', 'x/y/b']);
  assert.deepEqual(same, ['a', 'd']);
  assert.deepEqual(survey(wanted('d', 'text')).same, ['d'], 'where no owner is told, any is right');
  for (const other of [{ uid: 1 }, { gid: 1 }]) {
    assert.deepEqual(survey(wanted('d', 'text', { ...owner, ...other })).same, []);
  }
  assert.deepEqual(fs.readdirSync(directory).length, 6);
});

test('a file that has several names is read once, and again where another content is wanted', (t) => {
  const { at, survey } = setUp(t, { a: 'text' });
  for (const name of ['b', 'c', 'd']) {
    fs.linkSync(at('a'), at(name));
  }
  const content = wholeContent(Buffer.from('text'));
  const read = t.mock.method(fs, 'readSync');
  const { same } = survey(...['a', 'b', 'c'].map((name) => wanted(name, '', { content })), wanted('d', 'test'));
  assert.deepEqual(same, ['a', 'b', 'c']);
  assert.ok(read.mock.callCount() <= 3, `it was read ${read.mock.callCount()} times`);
  const another = wholeContent(Buffer.from('test'));
  assert.deepEqual(survey(...['a', 'b'].map((name) => wanted(name, '', { content: another }))).same, []);
});

test('of all files those stay that may, and more of them than a volume has are refused', (t) => {
  const { directory } = setUp(t, {});
  const add = (name: string): void => fs.writeFileSync(path.join(directory, name), '');
  for (let count = 0; count < mostStaying; count += 1) {
    add(`${count}.pem`);
  }
  add('other');
  fs.symlinkSync('other', path.join(directory, 'link.pem'));
  const survey = (mayStay: (file: string) => boolean) =>
    atOnce(surveySet(directory, fs.statSync(directory).dev, [], mayStay));
  const isPem = (file: string): boolean => file.endsWith('.pem');
  assert.deepEqual(
    [survey(isPem).staying.length, survey((file) => file === 'other').staying],
    [mostStaying, ['other']],
  );
  add('one.pem');
  assert.throws(() => survey(isPem), {
    code: 'OverShare',
    message: `${directory} holds more than 4096 files named as the volume's own are: the pod's author has to see what in the pod makes them`,
  });
  assert.equal(survey(() => false).count, mostStaying + 3);
});

test('a set with more in it than any volume has is not looked at to its end', (t) => {
  const directory = makeDirectory(t, '/dev/shm');
  fs.mkdirSync(path.join(directory, 'inner'));
  for (let count = 1; count < mostEntriesSurveyed; count += 1) {
    fs.writeFileSync(path.join(directory, 'inner', String(count)), '');
  }
  const survey = () => atOnce(surveySet(directory, fs.statSync(directory).dev, [], () => false));
  assert.equal(survey().count, mostEntriesSurveyed - 1);
  fs.mkdirSync(path.join(directory, 'another'));
  assert.throws(survey, {
    code: 'OverShare',
    message: `${directory} holds more than 32768 files and directories: the pod's author has to see what in the pod makes them`,
  });
});

test('what somebody put into a set costs time and no memory', (t) => {
  const directory = makeDirectory(t, '/dev/shm');
  const planted = 8_192;
  plantLong(directory, planted);
  const survey = surveySet(directory, fs.statSync(directory).dev, [wanted('a', 'text')], (file) => file === 'b');
  const { result, grownBy } = whileMeasured(survey);
  assert.equal(result.count, planted);
  assert.ok(grownBy < planted * bytesNotKept, `${planted} names were counted, and ${grownBy} bytes kept`);
});

test('what is mounted in a set is neither entered nor taken for a file of it', { skip: mountSkip }, (t) => {
  const { at, survey } = setUp(t, { 'x/a': 'text', b: 'text', c: 'text' });
  execFileSync('mount', ['-t', 'tmpfs', 'other', at('x')]);
  fs.writeFileSync(at('x/a'), 'text', { mode: 0o600 });
  execFileSync('mount', ['--bind', at('x/a'), at('b')]);
  assert.deepEqual(survey(wanted('x/a', 'text'), wanted('b', 'text'), wanted('c', 'text')), {
    count: 3,
    staying: ['c'],
    same: ['c'],
  });
});

test('a tree that is deeper than anything the agent makes is looked at down to there', (t) => {
  const { directory, survey } = setUp(t, {});
  const deep = (levels: number) => [...Array(levels).fill('d'), 'a'].join('/');
  fs.mkdirSync(path.dirname(path.join(directory, deep(deepest + 1))), { recursive: true });
  for (const levels of [deepest, deepest + 1]) {
    fs.writeFileSync(path.join(directory, deep(levels)), 'text');
  }
  const { count, staying } = survey();
  assert.deepEqual(staying, [deep(deepest)]);
  assert.equal(count, 2, 'what is deeper counts as something else');
});

test('a file that its owner may not read counts as another, without root’s rights', { skip: rootSkip }, (t) => {
  const { directory, at, survey } = setUp(t, { a: 'text', b: 'text' });
  fs.chmodSync(at('a'), 0);
  const owner = 65_534;
  for (const file of [directory, at('a'), at('b')]) {
    fs.chownSync(file, owner, owner);
  }
  const files = [wanted('a', 'text', { mode: 0 }), wanted('b', 'text')];
  assert.deepEqual(survey(...files).same, ['a', 'b']);
  process.seteuid?.(owner);
  try {
    assert.deepEqual(survey(...files).same, ['b']);
  } finally {
    process.seteuid?.(0);
  }
});

test('a file in whose place something else is put after a look at it counts as another, and one that is gone is an error', (t) => {
  const { at, survey } = setUp(t, { a: 'text' });
  const { openSync } = fs;
  let before = (): void => {};
  t.mock.method(fs, 'openSync', (name: string, ...rest: [number, number]) => {
    if (path.basename(name) === 'a') {
      before();
    }
    return openSync(name, ...rest);
  });
  before = () => {
    fs.rmSync(at('a'));
    fs.mkdirSync(at('a'));
  };
  assert.deepEqual(survey(wanted('a', 'text')), { count: 1, staying: ['a'], same: [] });
  before = () => undefined;
  fs.rmdirSync(at('a'));
  fs.writeFileSync(at('a'), 'text', { mode: 0o600 });
  before = () => fs.rmSync(at('a'));
  assert.throws(() => survey(wanted('a', 'text')), { code: 'ENOENT' });
});
