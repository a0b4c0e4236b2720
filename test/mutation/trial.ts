/**
 * Tries the changes to one file against its tests and says what came of each. They are tried in a process of its own, kept from one change to
 * the next, which is ended and replaced when a change holds it up or leaves an error behind.
 *
 * A change is noticed when a test fails with it. What looks like more than that (an error that nobody caught, a test that never ends, a
 * process that is gone) may come of the change before, or of a busy machine: it is believed when it comes again in a fresh process.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeDirectory } from '../support/directory.ts';
import type { Change, Changed } from './changes.ts';
import type { Answer, Hits, TestName, Wish } from './messages.ts';
import type { Part } from './parts/part.ts';

/** How a change ended; `unreached` where no test comes by it, `late` and `gone` where no answer came. */
export type Verdict = Answer['ending'] | 'unreached' | 'late' | 'gone';

export interface Result {
  readonly change: Change;
  readonly verdict: Verdict;
  /** What the failing test said. */
  readonly message: string;
}

const root = join(import.meta.dirname, '../..');
const program = join(import.meta.dirname, 'trial-program.ts');
/** For tests without a change, and for a process that has still to load what is not ours. */
const longMs = 600_000;
/** What a change may take beyond a multiple of what its tests take without it. */
const usualSpareMs = 10_000;
/** A module is never unloaded: a process that has loaded ours this often is replaced. */
const mostResidentBytes = 700 * 1024 ** 2;

type Reply = Pick<Answer, 'ending' | 'message'> | { readonly ending: 'late' | 'gone'; readonly message: string };

/** @param tell is called after each change */
export async function tryChanges(
  { file, tests }: Part,
  { source, changes }: Changed,
  tell: (result: Result) => void,
  spareMs: number = usualSpareMs,
): Promise<readonly Result[]> {
  const text = join(makeDirectory(), 'changed.ts');
  writeFileSync(text, source);
  const paths = [join(root, file), text, ...tests.map((test) => join(root, test))];
  let child = begin(paths);
  try {
    const without = await ask(child, { hits: Number.POSITIVE_INFINITY }, longMs);
    assertPassed(file, without);
    const results: Result[] = [];
    for (const change of changes) {
      const wish = wishFor(change.id, without);
      const reply = wish === undefined ? undefined : await tryTwice(wish, without);
      const result: Result = { change, verdict: reply?.ending ?? 'unreached', message: reply?.message ?? '' };
      results.push(result);
      tell(result);
    }
    return results;
  } finally {
    await end(child);
  }

  async function tryTwice(wish: Wish, without: Answer): Promise<Reply> {
    const tookMs = (wish.tests ?? testsOf(without)).reduce((sum, name) => sum + (without.took[name] ?? 0), 0);
    const limitMs = spareMs + 3 * tookMs;
    const first = await tryOnce(wish, without, limitMs);
    return first.ending === 'passed' || first.ending === 'failed' ? first : await tryOnce(wish, without, limitMs);
  }

  async function tryOnce(wish: Wish, without: Answer, limitMs: number): Promise<Reply> {
    const reply = await ask(child, wish, limitMs);
    const isPlain = reply.ending === 'passed' || reply.ending === 'failed';
    if (!isPlain || ('residentBytes' in reply && reply.residentBytes > mostResidentBytes)) {
      await end(child);
      child = begin(paths);
      const firsts = [...tests.keys()].map((index): TestName => `${index}:0`).filter((name) => name in without.took);
      assertPassed(file, await ask(child, { hits: Number.POSITIVE_INFINITY, tests: firsts }, longMs));
    }
    return reply;
  }
}

function begin(paths: readonly string[]): ChildProcess {
  return fork(program, paths, { cwd: root, stdio: ['ignore', 'ignore', 'ignore', 'ipc'], execArgv: ['--no-warnings'] });
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) {
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  }
}

async function ask(child: ChildProcess, wish: Wish, limitMs: number): Promise<Answer | Exclude<Reply, Answer>> {
  const { promise, resolve } = Promise.withResolvers<Answer | Exclude<Reply, Answer>>();
  const answered = (answer: unknown): void => resolve(answer as Answer);
  const gone = (): void => resolve({ ending: 'gone', message: 'the process ended' });
  const timer = setTimeout(() => resolve({ ending: 'late', message: `no end after ${limitMs} ms` }), limitMs);
  child.once('message', answered);
  child.once('exit', gone);
  try {
    child.send(wish);
    return await promise;
  } finally {
    clearTimeout(timer);
    child.off('message', answered);
    child.off('exit', gone);
  }
}

function assertPassed(file: string, reply: Reply): asserts reply is Answer {
  assert.equal(reply.ending, 'passed', `without any change to ${file}: ${reply.message}`);
}

/** @returns the tests that come by a change, all where it is passed outside of them, nothing where none does */
function wishFor(change: string, { outside, inTests }: Answer): Wish | undefined {
  const reached = Object.entries(inTests as Readonly<Record<string, Hits>>).filter(([, hits]) => change in hits);
  const passed = reached.reduce((sum, [, hits]) => sum + (hits[change] ?? 0), outside[change] ?? 0);
  if (passed === 0) {
    return undefined;
  }
  const hits = 1000 + 10 * passed;
  return change in outside ? { change, hits } : { change, hits, tests: reached.map(([name]) => name as TestName) };
}

function testsOf({ took }: Answer): readonly TestName[] {
  return Object.keys(took) as TestName[];
}
