#!/usr/bin/env node
/**
 * From the command line to a running agent: configuration, signals, exit codes.
 *
 * Exit codes: 0 after an orderly stop, `--help` or `--version`; 1 when the agent cannot run (a socket is in use, a
 * directory cannot be written); 2 when the command line or the configuration file has faults.
 */
import { readFileSync } from 'node:fs';
// Imported, not read: the bundle has it inside.
import packageJson from '../package.json' with { type: 'json' };
import type { Agent } from './agent.ts';
import { keepMemoryOutOfCoreDumps } from './base/core-dumps.ts';
import { unreachable } from './base/unreachable.ts';
import { isCommand } from './cli/names.ts';
import {
  type AgentConfiguration,
  type ParsedConfiguration,
  parseConfiguration,
} from './configuration/configuration.ts';
import { createLogger, type Logger } from './observe/log/log.ts';

const { version } = packageJson;

/** The parts of the process that the program uses; tests hand it their own. */
interface Surroundings {
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdout: {
    write(text: string): unknown;
    readonly isTTY?: boolean;
    readonly rows?: number;
    readonly columns?: number;
  };
  readonly stderr: { write(text: string): unknown };
  /** Fires when the program is asked to stop. */
  readonly stopping: AbortSignal;
}

/** Runs until it is asked to stop. @returns the exit code */
export async function main({ argv, env, stdout, stderr, stopping }: Surroundings): Promise<number> {
  const [first = '', ...rest] = argv;
  if (isCommand(first)) {
    // `inspect` reads keys.
    keepMemoryOutOfCoreDumps(() =>
      stderr.write('A core dump of this program would hold what it reads; limit core dumps to size 0.\n'),
    );
    const { runCommand } = await import('./cli/commands.ts');
    return runCommand(first, rest, { stdout, stderr, stopping });
  }
  const parse = (): ParsedConfiguration => parseConfiguration(argv, env, (path) => readFileSync(path, 'utf8'));
  const parsed = parse();
  switch (parsed.type) {
    case 'help':
      stdout.write(parsed.text);
      return 0;
    case 'version':
      stdout.write(`${version}\n`);
      return 0;
    case 'invalid':
      for (const fault of parsed.faults) {
        stderr.write(`${fault}\n`);
      }
      stderr.write('Nothing was started; --help explains every option.\n');
      return 2;
    case 'run': {
      const { logLevel: level, logFormat: format } = parsed.configuration;
      const log = createLogger({ level, format, destination: stdout });
      return await run(parsed.configuration, parse, log, stopping);
    }
    default:
      return unreachable(parsed);
  }
}

async function run(
  configuration: AgentConfiguration,
  parse: () => ParsedConfiguration,
  log: Logger,
  stopping: AbortSignal,
): Promise<number> {
  const { nodeName: node, driverName: driver } = configuration;
  log.info('the agent starts', { version, node, driver });
  keepMemoryOutOfCoreDumps((error) =>
    log.warn('a core dump of the agent would hold its memory; limit core dumps to size 0', { error }),
  );
  let agent: Agent;
  try {
    // Loaded here, so that `--help` and a faulty command line answer at once.
    const { startAgent } = await import('./agent.ts');
    agent = await startAgent({ configuration, parse, log, version });
  } catch (error) {
    log.error('the agent cannot start', { error });
    return 1;
  }
  log.info('the agent runs');
  if (!stopping.aborted) {
    await new Promise((resolve) => stopping.addEventListener('abort', resolve, { once: true }));
  }
  log.info('the agent stops; volumes stay as they are');
  await agent.stop();
  return 0;
}

/** Nobody reads the output any more: whoever took the log has gone, or `head` has seen enough. What runs goes on without. */
function heedLostReader(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE') {
    throw error;
  }
}

if (import.meta.main) {
  const stopping = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => stopping.abort());
  }
  const { env, stdout, stderr } = process;
  for (const output of [stdout, stderr]) {
    output.on('error', heedLostReader);
  }
  const code = await main({ argv: process.argv.slice(2), env, stdout, stderr, stopping: stopping.signal });
  process.exitCode = code;
}
