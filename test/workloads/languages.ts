/** Programs that are written: the listings of docs/workloads.md, which serve or ask as they are told. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { makeDirectory } from '../support/directory.ts';
import { freePort, programPath, runProgram } from '../support/programs.ts';
import { filesOf, writeFiles } from './recipes.ts';
import type { Ground, Workload } from './workload.ts';

/** @param prepare what is done once in the directory of its files, and gives the command that runs it there */
function listing(title: string, needs: readonly string[], prepare: (directory: string) => readonly string[]): Workload {
  let prepared: readonly string[] | undefined;
  const command = (): readonly string[] => {
    if (prepared === undefined) {
      const directory = makeDirectory();
      writeFiles(filesOf(title), directory, {});
      prepared = prepare(directory);
    }
    return prepared;
  };
  const environment = ({ volume }: Ground) => ({ env: { ...process.env, VOLUME: volume } });
  return {
    title,
    needs,
    async serve(owner, ground) {
      const port = await freePort();
      const program = runProgram(owner, [...command(), 'serve', String(port)], environment(ground));
      return { program, port };
    },
    async ask(owner, ground) {
      const words = ['ask', '127.0.0.1', String(ground.peerPort)];
      const program = runProgram(owner, [...command(), ...words], environment(ground));
      const { code } = await program.exit;
      if (code !== 0 || !program.output().includes('hello')) {
        throw new Error(program.output());
      }
    },
  };
}

const createGo = (): Workload =>
  listing('Go', ['go'], (directory) => {
    const program = join(directory, 'mtls');
    execFileSync(programPath('go'), ['build', '-o', program, join(directory, 'main.go')], {
      env: { ...process.env, GO111MODULE: 'off' },
    });
    return [program];
  });

const createJava = (): Workload =>
  listing('Java', ['java', 'javac'], (directory) => {
    execFileSync(programPath('javac'), ['-d', directory, join(directory, 'Mtls.java')]);
    // Less to do before the first line of a program that lives for a second.
    return [programPath('java'), '-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC', '-cp', directory, 'Mtls'];
  });

const createPython = (): Workload =>
  listing('Python', ['python3'], (directory) => [programPath('python3'), join(directory, 'mtls.py')]);

const createNode = (): Workload =>
  listing('Node.js', [], (directory) => [process.execPath, join(directory, 'mtls.mjs')]);

export const createListings = (): readonly Workload[] => [createGo(), createJava(), createPython(), createNode()];
