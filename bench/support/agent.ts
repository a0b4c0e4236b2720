/**
 * The agent as the image runs it: the bundle, with the image's flags and environment, in a process of its own.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { nodeName } from './api-server-calls.ts';
import type { Places } from './places.ts';
import { processorMs } from './processes.ts';

const root = join(import.meta.dirname, '../..');

export interface AgentUnderBench {
  readonly pid: number;
  /** When its process was started, by `performance.now`. */
  readonly startedAt: number;
  /** From the start of the process until it said that it was ready, milliseconds. */
  readonly readyAfterMs: number;
  /** Its answer to a GET at its endpoint. */
  get(path: string): Promise<string>;
  /** Processor time until now, that of processes which it has started included, milliseconds. */
  processorMs(): number;
  /** Ends it in order, or at once. */
  end(signal?: NodeJS.Signals): Promise<void>;
}

export interface AgentOptions {
  readonly places: Places;
  /** More of its flags; what the bench itself sets is in `flagsFor`. */
  readonly flags?: readonly string[];
  /** The program and the arguments of Node.js before it. Default: the bundle with the image's arguments. */
  readonly program?: readonly string[];
}

export const bundle = join(root, 'dist/agent.mjs');

/** The arguments of Node.js in the image, and its environment: one truth, the Dockerfile. */
export function imageSettings(): { readonly flags: readonly string[]; readonly environment: NodeJS.ProcessEnv } {
  const text = readFileSync(join(root, 'Dockerfile'), 'utf8');
  const agentStage = text.slice(text.indexOf('FROM base AS agent'));
  const entry: unknown = JSON.parse(/^ENTRYPOINT (\[.*\])$/m.exec(agentStage)?.[1] ?? '[]');
  const flags = Array.isArray(entry) ? entry.map(String).filter((word) => word.startsWith('--')) : [];
  const settings = [...agentStage.matchAll(/^ENV (.*)$/gm)].flatMap(([, line = '']) => line.split(' '));
  const environment = Object.fromEntries(settings.map((setting) => setting.split(/=(.*)/s).slice(0, 2)));
  return { flags, environment: { NODE_ENV: 'production', ...environment } };
}

/** Its calls are not held back, so that it is the agent that is measured and not its budget. */
const unlimited = ['--requests-per-second', '1000', '--burst', '10000'];

function flagsFor({ places, flags = [] }: AgentOptions): readonly string[] {
  return [
    ...['--kubeconfig', places.kubeconfig, '--node-name', nodeName, '--impersonate-node'],
    ...['--kubelet-root', places.kubeletRoot, '--csi-socket', places.csiSocket, '--no-registration'],
    ...['--volume-mode', places.volumeMode, '--metrics-address', '127.0.0.1:0', '--log-format', 'json'],
    ...unlimited,
    ...flags,
  ];
}

/** Starts it and waits until it is ready. */
export async function startAgent(options: AgentOptions): Promise<AgentUnderBench> {
  const image = imageSettings();
  const [program = '', ...before] = options.program ?? [process.execPath, ...image.flags, bundle];
  if (options.program === undefined && !existsSync(bundle)) {
    throw new Error('dist/agent.mjs is missing: npm run bundle');
  }
  const startedAt = performance.now();
  const child = spawn(program, [...before, ...flagsFor(options)], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { PATH: process.env['PATH'], ...image.environment },
  });
  const kill = (): boolean => child.kill('SIGKILL');
  // Before the directory goes that it works in.
  process.prependOnceListener('exit', kill);
  const ended = once(child, 'exit').finally(() => process.off('exit', kill));
  const address = await addressOf(child);
  const get = async (path: string): Promise<string> => (await fetch(`http://${address}${path}`)).text();
  await untilReady(address);
  const { pid = 0 } = child;
  return {
    pid,
    startedAt,
    readyAfterMs: performance.now() - startedAt,
    get,
    processorMs: () => processorMs(pid),
    async end(signal = 'SIGTERM') {
      child.kill(signal);
      await ended;
    },
  };
}

/** Where it serves metrics; its log is read and thrown away after that, as on a node. */
async function addressOf(child: ChildProcess): Promise<string> {
  const found = Promise.withResolvers<string>();
  const last: string[] = [];
  child.once('exit', () => found.reject(new Error(`the agent has ended:\n${last.join('\n')}`)));
  if (child.stdout !== null) {
    const lines = createInterface({ input: child.stdout });
    lines.on('line', (text) => {
      last.push(text);
      const line: { message?: string; address?: string } = JSON.parse(text);
      if (line.message === 'serving metrics and health') {
        lines.close();
        child.stdout?.resume();
        found.resolve(line.address ?? '');
      }
    });
  }
  return await found.promise;
}

const readyWithinMs = 60_000;

async function untilReady(address: string): Promise<void> {
  const until = performance.now() + readyWithinMs;
  for (;;) {
    const response = await fetch(`http://${address}/readyz`);
    const text = await response.text();
    if (response.ok) {
      return;
    }
    if (performance.now() > until) {
      throw new Error(`the agent was not ready within ${readyWithinMs} ms: ${text}`);
    }
    await sleep(5);
  }
}
