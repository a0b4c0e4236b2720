/**
 * A sample workload as a process of its own: options from the command line, an end on SIGTERM or SIGINT.
 */

import { messageOf } from '../../base/errors.ts';
import { parseWorkloadOptions, type WorkloadOptions } from './options.ts';
import { type Say, sayJson } from './report.ts';

/** Runs the workload; an error ends the process with code 1 and one line on standard error. */
export function runAsProcess(run: (options: WorkloadOptions, say: Say, signal: AbortSignal) => void): void {
  const stopping = new AbortController();
  for (const name of ['SIGTERM', 'SIGINT'] as const) {
    process.once(name, () => stopping.abort());
  }
  try {
    run(parseWorkloadOptions(process.argv.slice(2)), sayJson, stopping.signal);
  } catch (error) {
    process.stderr.write(`${messageOf(error)}\n`);
    process.exitCode = 1;
  }
}
