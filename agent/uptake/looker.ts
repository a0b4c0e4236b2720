/**
 * Looks at the certificates that programs of pods serve, in a thread that lives while somebody looks. OpenSSL checks every signature of the
 * chain that it is shown, whether or not anybody wants that checked: a hundred certificates of P-521 take a quarter of a second, in which no
 * other pod would be served. A thread that does not answer in time is ended.
 */
import { Worker } from 'node:worker_threads';
import type { Sight, Target } from './handshake.ts';
import type { Look, Looked, LookNoMore } from './handshake-program.ts';
import { maxThreadGraceMs, maxThreadMiB } from './limits.ts';

/** @returns what was seen; never rejects */
export type Looker = (target: Target, signal: AbortSignal) => Promise<Sight>;

export interface LookerOptions {
  /** How long a handshake may take. */
  readonly timeoutMs: number;
}

const memory = {
  maxOldGenerationSizeMb: maxThreadMiB,
  maxYoungGenerationSizeMb: 2,
  codeRangeSizeMb: 4,
  stackSizeMb: 1,
};

/** In the bundle a file of its own beside the agent's. */
const program = new URL(
  import.meta.url.endsWith('.ts') ? './handshake-program.ts' : './handshake.mjs',
  import.meta.url,
);

export function createLooker({ timeoutMs }: LookerOptions): Looker {
  const waiting = new Map<number, (sight: Sight) => void>();
  let worker: Worker | undefined;
  let nextId = 0;

  const answer = (id: number, sight: Sight): void => {
    const resolve = waiting.get(id);
    waiting.delete(id);
    resolve?.(sight);
    if (waiting.size === 0) {
      end('nobody looks any more');
    }
  };

  const end = (why: string): void => {
    const ended = worker;
    worker = undefined;
    void ended?.terminate();
    const left = [...waiting.values()];
    waiting.clear();
    for (const resolve of left) {
      resolve({ type: 'nothing', why });
    }
  };

  const start = (): Worker => {
    const started = new Worker(program, { resourceLimits: memory, env: {}, stdin: false });
    const isOver = (): void => {
      if (worker === started) {
        end('the look was broken off');
      }
    };
    started.on('message', ({ id, sight }: Looked) => answer(id, sight));
    started.on('error', isOver);
    started.on('exit', isOver);
    started.unref();
    return started;
  };

  return (target, signal) =>
    new Promise((resolve) => {
      nextId += 1;
      const id = nextId;
      worker ??= start();
      const abort = (): void => {
        const noMore: LookNoMore = { type: 'lookNoMore', id };
        worker?.postMessage(noMore);
        answer(id, { type: 'nothing', why: 'it was called off' });
      };
      const timer = setTimeout(() => end('the look was broken off'), timeoutMs + maxThreadGraceMs);
      waiting.set(id, (sight) => {
        clearTimeout(timer);
        signal.removeEventListener('abort', abort);
        resolve(sight);
      });
      signal.addEventListener('abort', abort, { once: true });
      const look: Look = { type: 'look', id, target, timeoutMs };
      worker.postMessage(look);
      if (signal.aborted) {
        abort();
      }
    });
}
