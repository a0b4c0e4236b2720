/**
 * Go's standard library as a second opinion: it is what the API server and most verifiers in a cluster are built with.
 * The programs are beside this file, in `go/`: each reads JSON from standard input and answers in JSON.
 */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { makeDirectory } from './directory.ts';

const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/local/go/bin'];
const go = folders.map((folder) => join(folder, 'go')).find((path) => existsSync(path));

/** Why tests that need Go are skipped; false when it is here. */
export const goIsMissing: string | false = go === undefined ? 'there is no Go toolchain to compare with' : false;

export interface GoProgram {
  /** @throws when the program fails, with its own words */
  ask(question: unknown): unknown;
}

/** Builds a program, without a module and so without the network. @param name its folder in `go/` */
export function buildGoProgram(name: string): GoProgram {
  if (go === undefined) {
    throw new Error('there is no Go toolchain');
  }
  const directory = makeDirectory();
  const program = join(directory, name);
  const source = join(import.meta.dirname, 'go', name, 'main.go');
  execFileSync(go, ['build', '-o', program, source], { env: { ...process.env, GO111MODULE: 'off' } });
  return {
    ask: (question) =>
      JSON.parse(
        execFileSync(program, { input: JSON.stringify(question), encoding: 'utf8', maxBuffer: 256 * 1024 * 1024 }),
      ),
  };
}
