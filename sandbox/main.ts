#!/usr/bin/env node
/**
 * `npm start`: the agent and a cluster in one process, for people and for `npm test`; or, with `--kubeconfig` or
 * `--in-cluster`, the agent alone against a real cluster.
 *
 * Exit codes: 0 after Ctrl-C, or with `--once` after both rotations; 1 when something failed; 2 for a wrong option.
 */
import { main as runAgent } from '../agent/main.ts';
import { runDemo } from './demo/demo.ts';
import { helpText, parseDemoOptions } from './demo/options.ts';
import { mayReadTerminal } from './demo/switches.ts';

async function main(argv: readonly string[], stopping: AbortSignal): Promise<number> {
  const { env, stdout, stderr } = process;
  const command = parseDemoOptions(argv);
  switch (command.type) {
    case 'help':
      stdout.write(helpText);
      return 0;
    case 'invalid':
      for (const fault of command.faults) {
        stderr.write(`${fault}\n`);
      }
      stderr.write('Nothing was started; --help explains every option.\n');
      return 2;
    case 'agent':
      return await runAgent({ argv: command.argv, env, stdout, stderr, stopping });
    case 'demo':
      return await runDemo(command.options, stdout, stopping, command.options.once ? undefined : typedInput());
    default:
      return command satisfies never;
  }
}

/** What is typed or piped in; undefined where reading would stop this process. */
function typedInput(): NodeJS.ReadableStream | undefined {
  return process.stdin.isTTY && !mayReadTerminal() ? undefined : process.stdin;
}

const stopping = new AbortController();
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
  process.on(signal, () => stopping.abort());
}
// A terminal that was closed, or a pipe: there is nobody left to tell, and everything is to be put away.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', () => stopping.abort());
}
process.exitCode = await main(process.argv.slice(2), stopping.signal);
