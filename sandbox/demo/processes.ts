/**
 * Child processes of the demonstration: starts them, reads what they print line by line, and makes sure that they end.
 */
import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

export interface ProcessOptions {
  /** TypeScript file to run, relative to the repository. */
  readonly script: string;
  readonly args: readonly string[];
  /** `inherit`: the terminal's; a number: a file's descriptor; `lines`: standard output line by line. */
  readonly output: 'inherit' | 'lines' | number;
  readonly onLine?: (line: string) => void;
  /** The process ended without having been told to; called with how. */
  readonly onUnexpectedExit: (how: string) => void;
}

export interface RunningProcess {
  readonly pid: number | undefined;
  /** Asks the process to end, and forces it after `graceMs`. Resolves when it has ended. Idempotent. */
  stop(): Promise<void>;
}

const graceMs = 8_000;
const lifeline = new URL('lifeline.ts', import.meta.url).href;

export function startProcess(options: ProcessOptions): RunningProcess {
  const { script, args, output, onLine, onUnexpectedExit } = options;
  const path = fileURLToPath(new URL(`../../${script}`, import.meta.url));
  const child = spawn(process.execPath, ['--import', lifeline, path, ...args], { stdio: stdio(output) });
  let stopping = false;
  // However this process ends, the child does not outlive it; a killed one leaves that to the pipe between them.
  const kill = () => child.kill('SIGKILL');
  process.once('exit', kill);
  const ended = new Promise<void>((resolve) => {
    child.once('error', (error) => {
      if (!stopping) {
        onUnexpectedExit(error.message);
      }
      process.off('exit', kill);
      resolve();
    });
    child.once('exit', (code, signal) => {
      process.off('exit', kill);
      if (!stopping) {
        onUnexpectedExit(signal === null ? `exit code ${code}` : `signal ${signal}`);
      }
      resolve();
    });
  });
  if (child.stdout !== null) {
    createInterface({ input: child.stdout }).on('line', (line) => onLine?.(line));
  }
  return {
    pid: child.pid,
    stop: async () => {
      if (!stopping) {
        stopping = true;
        end(child);
      }
      await ended;
    },
  };
}

function end(child: ChildProcess): void {
  if (child.exitCode !== null || child.signalCode !== null) {
    return;
  }
  child.kill('SIGTERM');
  const force = setTimeout(() => child.kill('SIGKILL'), graceMs);
  child.once('exit', () => clearTimeout(force));
}

function stdio(output: ProcessOptions['output']): StdioOptions {
  if (output === 'inherit') {
    return ['pipe', 'inherit', 'inherit'];
  }
  if (output === 'lines') {
    return ['pipe', 'pipe', 'inherit'];
  }
  return ['pipe', output, output];
}
