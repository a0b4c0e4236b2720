/** Passwords of keystores and how their files were made: kept as a key is, and read with distrust. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { atOnce } from '../../../volumes/base/steps.ts';
import { openState } from '../../../volumes/state/state.ts';
import { modeOf, temporaryDirectory } from '../support.ts';

const password = Buffer.from('correct horse battery');
const note = { madeOf: 'digest', randomness: Uint8Array.of(1, 2), mac: Uint8Array.of(3) };

function open(t: TestContext) {
  const root = temporaryDirectory(t);
  const problems: string[] = [];
  const keystores = () => openState(root, fs.lstatSync(root), (problem) => problems.push(problem)).keystores;
  const agent = path.join(root, '..agent');
  return { agent, problems, keystores, file: path.join(agent, 'keystore-0.password') };
}

test('a password is a file of its own, closed to others, that the next run reads', (t) => {
  const { agent, problems, keystores, file } = open(t);
  assert.equal(keystores().password(0), undefined);
  keystores().savePassword(0, password);
  assert.deepEqual(keystores().password(0), password);
  assert.equal(keystores().password(1), undefined);
  assert.equal(modeOf(file), '600');
  assert.deepEqual(fs.readFileSync(file), password);
  assert.deepEqual(fs.readdirSync(agent), ['keystore-0.password']);
  assert.deepEqual(problems, []);
});

test('how files were made is read back, as far as it is there, and forgotten with another password', (t) => {
  const { agent, problems, keystores } = open(t);
  assert.deepEqual(keystores().notes(0), {});
  for (const notes of [
    { keystore: note },
    { truststore: note },
    { keystore: note, truststore: { ...note, madeOf: 'x' } },
    {},
  ]) {
    keystores().saveNotes(0, notes);
    assert.deepEqual(keystores().notes(0), notes);
    assert.deepEqual(keystores().notes(1), {});
  }
  assert.equal(modeOf(path.join(agent, 'keystore-0.json')), '600');
  keystores().saveNotes(0, { keystore: note });
  keystores().saveNotes(1, { keystore: note });
  keystores().savePassword(0, password);
  assert.deepEqual(
    [0, 1].map((index) => keystores().notes(index)),
    [{}, { keystore: note }],
  );
  assert.deepEqual(problems, []);
});

test('what is no password is not used, and the problem that is told does not repeat it', (t) => {
  const { problems, keystores, file } = open(t);
  keystores().savePassword(0, password);
  for (const good of ['secret', ' ~!~! ', 'x'.repeat(128)]) {
    fs.writeFileSync(file, good);
    assert.equal(Buffer.from(keystores().password(0) ?? []).toString(), good);
  }
  assert.deepEqual(problems, []);
  for (const [bad, problem] of [
    ['short', `${file} is unusable: it is no password`],
    ['', `${file} is unusable: it is no password`],
    ['tab\tulator', `${file} is unusable: it is no password`],
    ['rubbed\u007fout', `${file} is unusable: it is no password`],
    ['pässword', `${file} is unusable: it is no password`],
    ['x'.repeat(129), `${file} is longer than 128 bytes`],
  ] as const) {
    problems.length = 0;
    fs.writeFileSync(file, bad);
    assert.equal(keystores().password(0), undefined, bad);
    assert.deepEqual(problems, [problem]);
  }
  problems.length = 0;
  fs.rmSync(file);
  fs.symlinkSync('/etc/hostname', file);
  assert.equal(keystores().password(0), undefined);
  const [problem = '', ...more] = problems;
  assert.deepEqual(more, []);
  assert.ok(problem.startsWith(`reading ${file}: `), problem);
});

test('a password that cannot be stored leaves the one that was there', (t) => {
  const { keystores } = open(t);
  keystores().savePassword(0, password);
  t.mock.method(fs, 'renameSync', () => {
    throw Object.assign(new Error('no space left'), { code: 'ENOSPC' });
  });
  assert.throws(() => keystores().savePassword(0, Buffer.from('another')), { code: 'NoSpace' });
  assert.deepEqual(keystores().password(0), password);
});

test('a directory in the place of a password gives way to one, and goes when the volume is opened again', (t) => {
  const { agent, keystores, file } = open(t);
  keystores();
  fs.mkdirSync(path.join(file, 'deep'), { recursive: true });
  assert.equal(keystores().password(0), undefined);
  keystores().savePassword(0, password);
  assert.deepEqual(keystores().password(0), password);
  const root = path.dirname(agent);
  atOnce(openState(root, fs.lstatSync(root), assert.fail).repair());
  assert.deepEqual(fs.readdirSync(agent), ['keystore-0.password']);
});

test('notes that are damaged count as none, and are told by their file and field', (t) => {
  const { agent, problems, keystores } = open(t);
  keystores().saveNotes(0, { keystore: note, truststore: note });
  const file = path.join(agent, 'keystore-0.json');
  const stored = JSON.parse(fs.readFileSync(file, 'utf8'));
  for (const kind of ['keystore', 'truststore']) {
    for (const [change, message] of [
      [7, `${kind} is not an object`],
      [{ ...stored[kind], madeOf: 7 }, 'madeOf is not a string'],
      [{ ...stored[kind], randomness: '' }, 'randomness holds something else than base64'],
      [{ ...stored[kind], mac: 7 }, 'mac holds something else than base64'],
      [{ ...stored[kind], madeOf: 'x'.repeat(65) }, 'madeOf is longer than 64 characters'],
      [{ ...stored[kind], randomness: 'A'.repeat(257) }, 'randomness is longer than 256 characters'],
      [{ ...stored[kind], mac: 'A'.repeat(257) }, 'mac is longer than 256 characters'],
    ] as const) {
      problems.length = 0;
      fs.writeFileSync(file, JSON.stringify({ ...stored, [kind]: change }));
      assert.deepEqual(keystores().notes(0), {});
      assert.deepEqual(problems, [`${file} is unusable: ${message}`]);
    }
  }
});
