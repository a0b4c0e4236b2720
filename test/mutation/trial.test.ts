import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Change } from './changes.ts';
import { tryChanges, type Verdict } from './trial.ts';

const part = { file: 'test/mutation/example/example.ts', tests: ['test/mutation/example/example-tests.ts'] };

/** The example, with a change in each line, written as Stryker's instrumenter writes it. */
const bodies = {
  'loops for ever': 'for (;;) {}',
  halves: 'return number / 2;',
  'doubles otherwise': 'return number + number;',
  'is not passed': '',
  'throws where nobody catches': 'return new Promise(() => setImmediate(() => { throw new Error("late"); }));',
  'never ends': 'return new Promise(() => undefined);',
  'takes the process with it': 'process.exit(0);',
};

const source = `
const switches = globalThis.__stryker__;
export function double(number: number): unknown {
  const hits = (switches.mutantCoverage.perTest[switches.currentTestId] ??= {});
  ${Object.entries(bodies)
    .filter(([, body]) => body !== '')
    .map(([id, body]) => `hits['${id}'] = 1; if (switches.activeMutant === '${id}') { ${body} }`)
    .join('\n  ')}
  return number * 2;
}
`;

const changes = Object.keys(bodies).map((id): Change => ({ id, kind: 'any', line: 1, on: '', text: id, instead: '' }));

async function verdicts(ids: readonly string[], spareMs?: number): Promise<Record<string, Verdict>> {
  const some = changes.filter(({ id }) => ids.includes(id));
  const results = await tryChanges(part, { source, changes: some }, () => undefined, spareMs);
  return Object.fromEntries(results.map(({ change, verdict }) => [change.id, verdict]));
}

test('a change is noticed by a test that fails, by an error that nobody caught and by a test that never ends, and by nothing else', async () => {
  assert.deepEqual(await verdicts(Object.keys(bodies).filter((id) => id !== 'loops for ever')), {
    halves: 'failed',
    'doubles otherwise': 'passed',
    'is not passed': 'unreached',
    'throws where nobody catches': 'uncaught',
    'never ends': 'stuck',
    'takes the process with it': 'gone',
  });
});

test('a change that loops for ever is given up, and the next is tried in a new process', async () => {
  assert.deepEqual(await verdicts(['loops for ever', 'halves'], 1_000), {
    'loops for ever': 'late',
    halves: 'failed',
  });
});

test('tests that fail without any change are no measure of one', async () => {
  const broken = { source: source.replace('return number * 2;', 'return 5;'), changes };
  await assert.rejects(
    tryChanges(part, broken, () => undefined),
    /without any change to test\/mutation\/example\/example\.ts: doubles: /,
  );
});
