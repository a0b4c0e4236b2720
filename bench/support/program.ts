/**
 * Calls between a bench and a process that it has started: one side asks by name, the other answers. What is sent is cloned,
 * so it must be plain data.
 */
import { type ChildProcess, fork } from 'node:child_process';

interface CallMessage {
  readonly id: number;
  readonly name: string;
  readonly argument: unknown;
}

interface ReplyMessage {
  readonly id: number;
  readonly result?: unknown;
  readonly error?: string;
}

/** What a program says of itself when it is ready. */
interface ReadyMessage {
  readonly ready: unknown;
}

/** An interface of calls, each with one argument or none. */
type Functions<T> = { readonly [K in keyof T]: (argument: never) => unknown };

/** The program's side: answers calls until the other process is gone. @param ready what the other side gets to begin with */
export function answerCalls<T extends Functions<T>>(
  answers: { readonly [K in keyof T]: (argument: never) => unknown },
  ready: unknown = {},
): void {
  const obey = async ({ id, name, argument }: CallMessage): Promise<ReplyMessage> => {
    try {
      return { id, result: await answers[name as keyof T](argument as never) };
    } catch (error) {
      return { id, error: String(error) };
    }
  };
  process.on('message', (message: CallMessage) => void obey(message).then((reply) => process.send?.(reply)));
  process.on('disconnect', () => process.exit(0));
  process.send?.({ ready });
}

export interface Program<T extends Functions<T>, R> {
  readonly pid: number;
  /** What it said of itself. */
  readonly ready: R;
  call<K extends keyof T>(name: K, ...argument: Parameters<T[K]>): Promise<ReturnType<T[K]>>;
  close(): void;
}

/** Starts a program and waits until it is ready. */
export async function startProgram<T extends Functions<T>, R = unknown>(
  path: string,
  argv: readonly string[] = [],
): Promise<Program<T, R>> {
  const child = fork(path, argv, { serialization: 'advanced' });
  const waiting = new Map<number, PromiseWithResolvers<unknown>>();
  const ready = Promise.withResolvers<unknown>();
  let calls = 0;
  child.on('message', (message: ReplyMessage | ReadyMessage) => {
    if ('ready' in message) {
      ready.resolve(message.ready);
    } else {
      settle(waiting.get(message.id), message);
      waiting.delete(message.id);
    }
  });
  child.once('exit', (code) => {
    for (const { reject } of [ready, ...waiting.values()]) {
      reject(new Error(`${path} has ended (${code})`));
    }
  });
  return {
    // The other side sends what its type says.
    ready: (await ready.promise) as R,
    pid: pidOf(child),
    async call(name, ...[argument]) {
      calls += 1;
      const reply = Promise.withResolvers<unknown>();
      waiting.set(calls, reply);
      child.send({ id: calls, name, argument });
      return (await reply.promise) as ReturnType<T[typeof name]>;
    },
    close() {
      child.removeAllListeners('exit');
      child.kill('SIGKILL');
    },
  };
}

function settle(reply: PromiseWithResolvers<unknown> | undefined, message: ReplyMessage): void {
  if (message.error === undefined) {
    reply?.resolve(message.result);
  } else {
    reply?.reject(new Error(message.error));
  }
}

function pidOf({ pid }: ChildProcess): number {
  if (pid === undefined) {
    throw new Error('a process did not start');
  }
  return pid;
}
