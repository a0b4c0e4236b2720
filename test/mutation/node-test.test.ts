import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as replaced from './node-test.ts';

/** Loads tests that note what is run, and runs those that are wanted. */
async function notesOf(wanted: (number: number) => boolean): Promise<readonly string[]> {
  const notes: string[] = [];
  const note = (what: string) => () => void notes.push(what);
  const suite = await replaced.suiteOf(async () => {
    replaced.before(note('before all'));
    replaced.after(note('after all'));
    replaced.test('first', note('first'));
    replaced.describe('a suite', () => {
      replaced.before(note('before the suite'));
      replaced.beforeEach(note('before each'));
      replaced.afterEach(note('after each'));
      replaced.after(note('after the suite'));
      replaced.test('second', {}, (t) => {
        t.after(note('after the second'));
        note('second')();
      });
      replaced.test('not here', { skip: 'for a reason' }, note('skipped'));
    });
    replaced.it('third', async (t) => {
      await t.test('a part of it', note('a part of the third'));
      note('third')();
    });
  });
  await replaced.runSuite(suite, wanted, (_number, _name, run) => run());
  return notes;
}

test('what stands in for node:test runs tests and hooks in its order, and skips what is skipped', async () => {
  assert.deepEqual(await notesOf(() => true), [
    'before all',
    'first',
    'before the suite',
    'before each',
    'second',
    'after the second',
    'after each',
    'after the suite',
    'a part of the third',
    'third',
    'after all',
  ]);
});

test('of tests that are not wanted nothing is run, nor of a suite that has none', async () => {
  assert.deepEqual(await notesOf((number) => number === 2), [
    'before all',
    'a part of the third',
    'third',
    'after all',
  ]);
});

test('a failing test fails with what it said, after what it registered for its end', async () => {
  const notes: string[] = [];
  const suite = await replaced.suiteOf(async () =>
    replaced.test('fails', (t) => {
      t.after(() => void notes.push('ended'));
      throw new Error('said');
    }),
  );
  await assert.rejects(
    replaced.runSuite(
      suite,
      () => true,
      (_number, _name, run) => run(),
    ),
    /^Error: said$/,
  );
  assert.deepEqual(notes, ['ended']);
});
