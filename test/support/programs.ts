/**
 * Programs that are not ours and read the files of a volume: where they are on this machine, and one of them while it runs. They are
 * Debian packages, or lie on PATH; a test whose program is missing says so.
 */
import { type SpawnOptions, spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createServer } from 'node:net';
import { delimiter, join } from 'node:path';
import { boundMs, eventOf, withinBound } from './bounded.ts';

/** Where Debian has programs that are not on everybody's PATH. */
const folders = [
  ...(process.env['PATH'] ?? '').split(delimiter),
  ...['/usr/sbin', '/usr/local/go/bin', '/usr/lib/postgresql/15/bin', '/usr/lib/postgresql/16/bin'],
];

/** @returns the program's path, or undefined where this machine does not have it */
export function findProgram(name: string): string | undefined {
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path));
}

/** Why a test that needs these programs is skipped; false when they are here. */
export function missingPrograms(...names: readonly string[]): string | false {
  const missing = names.filter((name) => findProgram(name) === undefined);
  return missing.length > 0 && `not on this machine: ${missing.join(', ')}`;
}

/** @throws when the program is missing: tests ask `missingPrograms` first */
export function programPath(name: string): string {
  const path = findProgram(name);
  if (path === undefined) {
    throw new Error(`${name} is not on this machine`);
  }
  return path;
}

/** How a process ended. */
export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface RunningProgram {
  readonly pid: number;
  readonly exit: Promise<Exit>;
  /** All that it wrote. */
  output(): string;
  /** Resolves when its output, from the offset on, has what the pattern asks for. @throws when it ends before that */
  said(pattern: RegExp, from?: number): Promise<RegExpExecArray>;
  /** Sends a signal, and waits for the end. */
  end(signal: NodeJS.Signals, ms?: number): Promise<Exit>;
}

/** Who ends what was started: a test's context, or a part of a test. */
export interface Owner {
  after(close: () => Promise<void>): void;
}

/** Starts a program; it, and what it started, is ended with its owner at the latest. */
export function runProgram(
  owner: Owner,
  command: readonly string[],
  options: Pick<SpawnOptions, 'env' | 'cwd' | 'uid' | 'gid'> = {},
): RunningProgram {
  const [program = '', ...values] = command;
  // With what it starts itself it is a group of processes, and ended as one.
  const child = spawn(program, values, { ...options, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  let ended: Exit | undefined;
  const waiting = new Set<() => void>();
  const look = (): void => {
    for (const listener of [...waiting]) {
      listener();
    }
  };
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      look();
    });
  }
  const kill = (): void => {
    try {
      process.kill(-(child.pid ?? 0), 'SIGKILL');
    } catch {
      // There is nobody left.
    }
  };
  process.once('exit', kill);
  // Not 'close': what a program leaves running may keep its output open.
  const exit = once(child, 'exit').then(
    ([code, signal]): Exit => ({ code, signal }),
    (error: Error): Exit => {
      output += error.message;
      return { code: null, signal: null };
    },
  );
  void exit.then((how) => {
    process.off('exit', kill);
    ended = how;
    look();
  });
  const running: RunningProgram = {
    pid: child.pid ?? 0,
    exit,
    output: () => output,
    said(pattern, from = 0) {
      const { promise, resolve, reject } = Promise.withResolvers<RegExpExecArray>();
      const listener = (): void => {
        const found = pattern.exec(output.slice(from));
        if (found !== null) {
          resolve(found);
        } else if (ended !== undefined) {
          reject(new Error(`${program} ended before it said ${pattern}:\n${output}`));
        }
      };
      waiting.add(listener);
      listener();
      return withinBound(promise, () => `${program} to say ${pattern}; it said\n${output}`).finally(() =>
        waiting.delete(listener),
      );
    },
    end(signal, ms = boundMs) {
      if (ended === undefined) {
        child.kill(signal);
      }
      return withinBound(exit, () => `${program} to end after ${signal}; it said\n${output}`, ms);
    },
  };
  owner.after(async () => {
    kill();
    await running.end('SIGKILL');
  });
  return running;
}

/**
 * A port that nobody listens on: below those that the system gives to whoever names none, so that nobody comes first who does not
 * look for one here.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(10_000, 32_000);
    const server = createServer();
    const taken = once(server, 'error').then(() => true);
    server.listen(port, '127.0.0.1');
    if (!(await withinBound(Promise.race([taken, once(server, 'listening').then(() => false)]), 'a port'))) {
      server.close();
      await eventOf(server, 'close', 'the port to be free again');
      return port;
    }
  }
}
