/**
 * Changes the program in one small place after the other and looks whether a test notices: `npm run test:mutation [-- FILE…]`. A change that
 * no test notices is a promise that nobody holds, unless it makes no difference; then explained.ts says why. Every other one fails the run.
 *
 * Stryker makes the changes and runs the tests, fetched for the run in a fixed version: with all it needs it is larger than what the rest of
 * the tree is developed with, and nothing else uses it. https://stryker-mutator.io/docs/stryker-js/tap-runner/
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeDirectory } from '../support/directory.ts';
import { type Explanation, explained } from './explained.ts';
import { parts } from './parts.ts';

const version = '9.6.1';
const root = join(import.meta.dirname, '../..');

interface Place {
  readonly line: number;
  readonly column: number;
}

interface Mutant {
  readonly status: string;
  readonly mutatorName: string;
  readonly replacement?: string;
  readonly location: { readonly start: Place; readonly end: Place };
}

interface Report {
  readonly files: Readonly<Record<string, { readonly source: string; readonly mutants: readonly Mutant[] }>>;
}

/** A change that no test noticed, as the table of explanations names it. */
interface Survivor extends Omit<Explanation, 'why'> {
  readonly line: number;
}

const wanted = process.argv.slice(2);
const chosen = parts.filter(({ file }) => wanted.length === 0 || wanted.includes(file));
assert.ok(chosen.length > 0, `name files of test/mutation/parts.ts: ${parts.map(({ file }) => file).join(', ')}`);
const directory = makeDirectory();
process.exitCode = tell(run());

function run(): Report {
  const report = join(directory, 'report.json');
  const configuration = join(directory, 'stryker.json');
  const options = {
    mutate: chosen.map(({ file }) => file),
    testRunner: 'tap',
    tap: {
      testFiles: [...new Set(chosen.flatMap(({ tests }) => tests))],
      nodeArgs: ['--test-reporter=tap', '-r', '{{hookFile}}', '{{testFile}}'],
    },
    coverageAnalysis: 'perTest',
    concurrency: 1,
    timeoutMS: 30_000,
    tempDirName: join(directory, 'tree'),
    // There is nothing to translate, and the version of TypeScript here has no interface that Stryker knows.
    tsconfigFile: 'none.json',
    reporters: ['json', 'progress-append-only'],
    jsonReporter: { fileName: report },
  };
  writeFileSync(configuration, JSON.stringify(options));
  const packages = ['core', 'tap-runner'].flatMap((name) => ['--package', `@stryker-mutator/${name}@${version}`]);
  const { status } = spawnSync('npx', ['--yes', ...packages, 'stryker', 'run', configuration], {
    cwd: root,
    stdio: 'inherit',
  });
  assert.equal(status, 0, 'the run ended without a report');
  return JSON.parse(readFileSync(report, 'utf8')) as Report;
}

/** @returns the exit code */
function tell(report: Report): number {
  const all = Object.values(report.files).flatMap(({ mutants }) => mutants);
  const survivors = Object.entries(report.files).flatMap(([file, { source, mutants }]) =>
    mutants.filter(({ status }) => status === 'Survived' || status === 'NoCoverage').map(survivorOf(file, source)),
  );
  const unexplained = survivors.filter((one) => !explained.some((reason) => isSame(reason, one)));
  const files = Object.keys(report.files);
  const stale = explained.filter(
    (reason) => files.includes(reason.file) && !survivors.some((one) => isSame(reason, one)),
  );
  for (const { file, line, text, instead } of unexplained) {
    say(`${file}:${line} nobody notices: ${text}\n  instead: ${instead}`);
  }
  for (const { file, text, instead } of stale) {
    say(`${file}: explained, and noticed all the same: ${text} → ${instead}`);
  }
  say(`${all.length} changes, ${survivors.length} not noticed, ${unexplained.length} of these not explained`);
  return unexplained.length + stale.length === 0 ? 0 : 1;
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

function survivorOf(file: string, source: string): (mutant: Mutant) => Survivor {
  const lines = source.split('\n');
  return ({ location: { start, end }, replacement = '' }) => {
    const within = lines.slice(start.line - 1, end.line);
    const last = (within.at(-1) ?? '').slice(0, end.column - 1);
    const whole = start.line === end.line ? [last] : [...within.slice(0, -1), last];
    const text = [(whole[0] ?? '').slice(start.column - 1), ...whole.slice(1)].join('\n');
    return { file, line: start.line, text: inOneLine(text), instead: inOneLine(replacement) };
  };
}

function inOneLine(text: string): string {
  return text.replace(/\s+/g, ' ').trim();
}

function isSame(one: Omit<Explanation, 'why'>, other: Survivor): boolean {
  return one.file === other.file && one.text === other.text && one.instead === other.instead;
}
