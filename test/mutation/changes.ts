/**
 * The changes to a file, made by Stryker's instrumenter: one text that holds all of them, each behind a switch, so that trying the next one
 * is a matter of a number and not of another text. https://stryker-mutator.io/docs/stryker-js/mutant-schemata/
 *
 * It is fetched for the run in a fixed version: with all it needs it is larger than what the rest of the tree is developed with, and nothing
 * else uses it. The tests are run by what lies beside this file, since Stryker's own runners need seconds for each change.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeDirectory } from '../support/directory.ts';

const version = '9.6.1';

/** Both counted from 0. */
interface Place {
  readonly line: number;
  readonly column: number;
}

interface Mutant {
  readonly id: string;
  readonly mutatorName: string;
  readonly replacement: string;
  readonly location: { readonly start: Place; readonly end: Place };
}

/** What is used of the instrumenter's interface. */
interface Instrumenter {
  instrument(
    files: readonly { readonly name: string; readonly mutate: boolean; readonly content: string }[],
    options: Readonly<Record<string, unknown>>,
  ): Promise<{ readonly files: readonly { readonly content: string }[]; readonly mutants: readonly Mutant[] }>;
}

export interface Change {
  /** What switches it on. */
  readonly id: string;
  readonly kind: string;
  /** The first line of it, counted from 1, and what that line says. */
  readonly line: number;
  readonly on: string;
  /** What stands there, in one line, and what it is changed to. */
  readonly text: string;
  readonly instead: string;
}

export interface Changed {
  /** TypeScript that holds all changes, none of them switched on. */
  readonly source: string;
  readonly changes: readonly Change[];
}

/** @returns what changes a file, given by its path */
export async function fetchChanger(): Promise<(path: string) => Promise<Changed>> {
  const directory = makeDirectory();
  const { status, stderr } = spawnSync(
    'npm',
    [
      'install',
      '--prefix',
      directory,
      '--ignore-scripts',
      '--no-audit',
      '--no-fund',
      '--no-save',
      '--prefer-offline',
    ].concat(`@stryker-mutator/instrumenter@${version}`),
    { encoding: 'utf8', timeout: 300_000 },
  );
  assert.equal(status, 0, `the instrumenter could not be fetched: ${stderr}`);
  const entry = join(directory, 'node_modules/@stryker-mutator/instrumenter/dist/src/index.js');
  const { Instrumenter: Made } = (await import(entry)) as { Instrumenter: new (logger: object) => Instrumenter };
  const nothing = (): boolean => false;
  const instrumenter = new Made({ debug: nothing, info: nothing, isDebugEnabled: nothing });
  return async (path) => {
    const content = readFileSync(path, 'utf8');
    const { files, mutants } = await instrumenter.instrument([{ name: path, mutate: true, content }], {
      plugins: null,
      excludedMutations: [],
      ignorers: [],
      noHeader: false,
    });
    return { source: files[0]?.content ?? '', changes: mutants.map(changeIn(content.split('\n'))) };
  };
}

function changeIn(lines: readonly string[]): (mutant: Mutant) => Change {
  return ({ id, mutatorName, replacement, location: { start, end } }) => {
    const within = lines.slice(start.line, end.line + 1);
    const last = (within.at(-1) ?? '').slice(0, end.column);
    const whole = [...within.slice(0, -1), last];
    const text = [(whole[0] ?? '').slice(start.column), ...whole.slice(1)].join('\n');
    return {
      id,
      kind: mutatorName,
      line: start.line + 1,
      on: inOneLine(lines[start.line] ?? ''),
      text: inOneLine(text),
      instead: inOneLine(replacement),
    };
  };
}

function inOneLine(text: string): string {
  return text.replace(/\s+/g, ' ').trim();
}
