#!/usr/bin/env node
/** The trial signer as a program: from the command line to a running signer, until it is told to stop. */

import { keepMemoryOutOfCoreDumps } from '../agent/base/core-dumps.ts';
import { createLogger } from '../agent/observe/log/log.ts';
import packageJson from '../package.json' with { type: 'json' };
import { parseOptions } from './command-line.ts';

const { version } = packageJson;

/** The parts of the process that the program uses; tests hand it their own. */
interface Surroundings {
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdout: { write(text: string): unknown; readonly isTTY?: boolean };
  readonly stderr: { write(text: string): unknown };
  /** Fires when the program is asked to stop. */
  readonly stopping: AbortSignal;
}

/** Runs until it is asked to stop. @returns the exit code */
export async function main({ argv, env, stdout, stderr, stopping }: Surroundings): Promise<number> {
  const parsed = parseOptions(argv, env);
  switch (parsed.type) {
    case 'help':
      stdout.write(parsed.text);
      return 0;
    case 'version':
      stdout.write(`${version}\n`);
      return 0;
    case 'invalid':
      stderr.write(`${parsed.faults.join('\n')}\nNothing was started; --help explains every option.\n`);
      return 2;
    case 'run':
      break;
    default:
      return parsed satisfies never;
  }
  const log = createLogger({ level: parsed.logLevel, format: parsed.logFormat, destination: stdout });
  const { signerName } = parsed.settings.policy;
  log.info('the trial signer starts', { version, signerName });
  keepMemoryOutOfCoreDumps((error) =>
    log.warn("a core dump of the trial signer would hold its CA's key; limit core dumps to size 0", { error }),
  );
  try {
    const { startSigner } = await import('./signer.ts');
    const signer = await startSigner(parsed.settings, log, version);
    if (!stopping.aborted) {
      await new Promise((resolve) => stopping.addEventListener('abort', resolve, { once: true }));
    }
    log.info('the trial signer stops');
    await signer.stop();
    return 0;
  } catch (error) {
    log.error('the trial signer cannot run', { error });
    return 1;
  }
}

if (import.meta.main) {
  const stopping = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => stopping.abort());
  }
  // Its timers do not keep a process alive, and a replica that stands by has nothing else for a while.
  const alive = setInterval(() => undefined, 60_000);
  const { env, stdout, stderr } = process;
  process.exitCode = await main({ argv: process.argv.slice(2), env, stdout, stderr, stopping: stopping.signal });
  clearInterval(alive);
}
