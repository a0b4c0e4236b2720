/** All files at once or none, seen from other processes: with readers watching, with the writer killed. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { atOnce } from '../../../volumes/base/steps.ts';
import { isComplete, repair } from '../../../volumes/files/atomic-writer.ts';
import { eventOf, withinBound } from '../../support/bounded.ts';
import { temporaryDirectory } from '../support.ts';
import { change, hidden, read, write } from './sets.ts';

test('a hundred readers in another process never see a torn set', async (t) => {
  const root = temporaryDirectory(t);
  const set = (generation: number) =>
    change({ 'a.pem': `generation ${generation}`, 'd/b.pem': `generation ${generation}` });
  write(root, set(0));
  const reader = spawn(process.execPath, [path.join(import.meta.dirname, 'reader.ts'), root, 'a.pem', 'd/b.pem']);
  reader.stderr.pipe(process.stderr);
  const lines = createInterface({ input: reader.stdout })[Symbol.asyncIterator]();
  assert.equal((await withinBound(lines.next(), 'the reader to begin')).value, 'reading');
  for (let generation = 1; generation <= 400; generation += 1) {
    write(root, set(generation));
    await new Promise((resolve) => setImmediate(resolve));
  }
  reader.stdin.end();
  const result = JSON.parse((await withinBound(lines.next(), 'what the reader has seen')).value ?? '');
  await eventOf(reader, 'exit', 'the process to end');
  assert.deepEqual({ torn: result.torn, errors: result.errors }, { torn: 0, errors: [] });
  assert(result.reads > 0 && result.generations > 1, JSON.stringify(result));
});

test('a writer killed at any moment leaves a complete set, and the next write clears up', async (t) => {
  const root = temporaryDirectory(t);
  for (let round = 0; round < 5; round += 1) {
    const writer = spawn(process.execPath, [path.join(import.meta.dirname, 'writer.ts'), root]);
    writer.stderr.pipe(process.stderr);
    const lines = createInterface({ input: writer.stdout })[Symbol.asyncIterator]();
    const generation = async (): Promise<number> =>
      Number((await withinBound(lines.next(), 'the writer to have written a set')).value ?? Number.POSITIVE_INFINITY);
    while ((await generation()) < 20 * round + 7) {}
    writer.kill('SIGKILL');
    await eventOf(writer, 'exit', 'the process to end');
    assert.equal(isComplete(root, ['a.pem', 'deep/er/b.pem']), true, 'the set is not complete');
    assert.equal(read(root, 'a.pem'), read(root, 'deep/er/b.pem'));
    atOnce(repair(root));
    assert.equal(hidden(root).length, 1);
  }
});
