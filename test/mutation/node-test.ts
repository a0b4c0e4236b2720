/**
 * What a test file gets for `node:test` while changes are tried: the same names, so that one process can run the tests that a change reaches,
 * and no others, again and again. What node:test calls a failure is one here too. Neither reports nor time limits: who runs it has a bound.
 */
import { mock } from 'node:test';

type Work = (context: Context) => unknown;
type Hook = () => unknown;
/** A test or suite is given as node:test takes it: options, if any, and then a function. */
type Rest = readonly [Work] | readonly [object, Work];

/** What the tests use of node:test's context. */
interface Context {
  readonly name: string;
  readonly signal: AbortSignal;
  readonly mock: typeof mock;
  after(hook: Hook): void;
  diagnostic(): void;
  skip(): void;
  test(name: string, ...rest: Rest): Promise<void>;
}

interface Hooks {
  readonly before: Hook[];
  readonly after: Hook[];
  readonly beforeEach: Hook[];
  readonly afterEach: Hook[];
}

interface Test {
  readonly name: string;
  readonly work: Work;
}

export interface Suite extends Hooks {
  readonly items: (Test | Suite)[];
}

/** Around each test that is run: its number in the file, and what runs it. A test that is not wanted is not run. */
export type Around = (number: number, name: string, run: () => Promise<void>) => Promise<void>;

let open: Suite = emptySuite();

function emptySuite(): Suite {
  return { items: [], before: [], after: [], beforeEach: [], afterEach: [] };
}

/** @returns what a file describes while it is loaded */
export async function suiteOf(load: () => Promise<unknown>): Promise<Suite> {
  const suite = emptySuite();
  open = suite;
  await load();
  return suite;
}

/** @param wanted whether the test of that number is run; the hooks of a suite are run when one of its tests is */
export async function runSuite(suite: Suite, wanted: (number: number) => boolean, around: Around): Promise<void> {
  await runFrom(suite, 0, [], wanted, around);
}

/** @returns the number of the first test after this suite */
async function runFrom(
  suite: Suite,
  first: number,
  outer: readonly Hooks[],
  wanted: (number: number) => boolean,
  around: Around,
): Promise<number> {
  const end = first + countOf(suite);
  if (!Array.from({ length: end - first }, (_, index) => first + index).some(wanted)) {
    return end;
  }
  const all = [...outer, suite];
  await each(suite.before);
  try {
    let number = first;
    for (const item of suite.items) {
      if ('items' in item) {
        number = await runFrom(item, number, all, wanted, around);
        continue;
      }
      if (wanted(number)) {
        await around(number, item.name, () => runTest(item, all));
      }
      number += 1;
    }
  } finally {
    await each(suite.after);
  }
  return end;
}

function countOf(suite: Suite): number {
  return suite.items.reduce((count, item) => count + ('items' in item ? countOf(item) : 1), 0);
}

async function runTest({ name, work }: Test, within: readonly Hooks[]): Promise<void> {
  const ends: Hook[] = [];
  const controller = new AbortController();
  await each(within.flatMap(({ beforeEach }) => beforeEach));
  try {
    await work({
      name,
      signal: controller.signal,
      mock,
      after: (hook) => ends.push(hook),
      diagnostic: () => undefined,
      skip: () => undefined,
      test: async (inner, ...rest) => {
        const innerWork = workOf(rest);
        if (innerWork !== undefined) {
          await runTest({ name: inner, work: innerWork }, []);
        }
      },
    });
  } finally {
    controller.abort();
    await each(ends);
    await each(within.toReversed().flatMap(({ afterEach }) => afterEach));
    mock.restoreAll();
  }
}

async function each(hooks: readonly Hook[]): Promise<void> {
  for (const hook of hooks) {
    await hook();
  }
}

/** @returns what is to be run, unless it is skipped */
function workOf([first, second]: Rest): Work | undefined {
  if (second === undefined) {
    return first as Work;
  }
  const isSkipped = 'skip' in first && first.skip !== false && first.skip !== undefined;
  return isSkipped ? undefined : second;
}

export function test(name: string, ...rest: Rest): void {
  const work = workOf(rest);
  if (work !== undefined) {
    open.items.push({ name, work });
  }
}

export function describe(_name: string, ...rest: Rest): void {
  const work = workOf(rest);
  if (work === undefined) {
    return;
  }
  const parent = open;
  const suite = emptySuite();
  parent.items.push(suite);
  open = suite;
  try {
    (work as () => unknown)();
  } finally {
    open = parent;
  }
}

export function before(hook: Hook): void {
  open.before.push(hook);
}

export function after(hook: Hook): void {
  open.after.push(hook);
}

export function beforeEach(hook: Hook): void {
  open.beforeEach.push(hook);
}

export function afterEach(hook: Hook): void {
  open.afterEach.push(hook);
}

export { mock, test as it };
