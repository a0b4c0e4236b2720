/**
 * Everything that takes bytes from outside is given thousands of inputs that nobody thought of: none may end in an error of another
 * kind than its reader's, be read in two ways, never end, or take far more work than others of its length.
 *
 * The inputs in `fuzzing/corpus/` are where it begins. With FAULTS_KEEP=1 the inputs that led to new code are added to them, in the
 * long form.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { boundMs } from '../support/bounded.ts';
import { chosenSeed } from './chance.ts';
import { isLongForm } from './form.ts';
import { targets } from './fuzzing/targets.ts';
import type { FuzzOrder, FuzzReport } from './fuzzing/thread.ts';

/** Longest input that can be told of one that never ends. */
const sharedBytes = 64 * 1024;
const mutants = isLongForm ? 10_000 : 200;
/** The long form tries other inputs each time. */
const seed = chosenSeed();

for (const name of Object.keys(targets)) {
  test(`${name}: no input ends in another error than its reader's, in two ways, or never`, async (t) => {
    const { findings, kept, blocks, mostWorkPerByte } = await fuzzInThread(t, name);
    t.diagnostic(
      `seed ${seed}: ${blocks} blocks seen, ${kept.length} inputs kept, ${Math.round(mostWorkPerByte)} a byte`,
    );
    const told = findings.map(({ why, input }) => `${why}\n  base64 ${Buffer.from(input).toString('base64')}`);
    assert.deepEqual(told, [], told.join('\n'));
    if (process.env['FAULTS_KEEP'] === '1') {
      keep(name, kept);
    }
  });
}

/** @throws with the input that is being tried when it is tried for longer than the bound */
async function fuzzInThread(t: TestContext, target: string): Promise<FuzzReport> {
  const shared = new SharedArrayBuffer(8 + sharedBytes);
  const order: FuzzOrder = { target, seed, mutants, shared };
  const worker = new Worker(new URL('./fuzzing/thread.ts', import.meta.url), { workerData: order });
  t.after(() => worker.terminate());
  const ended = Promise.withResolvers<FuzzReport>();
  worker.once('message', ended.resolve);
  worker.once('error', ended.reject);
  const head = new Int32Array(shared, 0, 2);
  const tried = (): number => Atomics.load(head, 0);
  for (let before = -1; before !== tried(); ) {
    before = tried();
    const waiting = new AbortController();
    const late = delay(boundMs, undefined, { signal: waiting.signal }).catch(() => undefined);
    const report = await Promise.race([ended.promise, late]).finally(() => waiting.abort());
    if (report !== undefined) {
      return report;
    }
  }
  const input = Buffer.from(new Uint8Array(shared, 8, Math.min(head[1] ?? 0, sharedBytes)));
  return assert.fail(`${target} does not come to an end with base64 ${input.toString('base64')}`);
}

/** The shortest of them: a corpus is to stay small. */
function keep(name: string, inputs: readonly Uint8Array[]): void {
  for (const input of inputs.toSorted((one, other) => one.length - other.length).slice(0, 32)) {
    const file = createHash('sha256').update(input).digest('hex').slice(0, 12);
    writeFileSync(join(import.meta.dirname, 'fuzzing/corpus', name, file), input);
  }
}
