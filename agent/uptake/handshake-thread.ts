/**
 * Has TLS spoken to programs of pods in a thread that lives while there is something to do in it. OpenSSL checks every signature of the chain
 * that it is shown, whether or not anybody wants that checked: a hundred certificates of P-521 take a quarter of a second, in which no other
 * pod would be served. A thread that does not answer in time is ended.
 */
import { Worker } from 'node:worker_threads';
import { nameOf, type Question } from './ask.ts';
import type { Sight, Target } from './handshake.ts';
import type { CallOff, Order, Work } from './handshake-program.ts';
import { maxThreadGraceMs, maxThreadMiB } from './limits.ts';
import type { Attempt } from './teller.ts';

export interface HandshakeThread {
  /** Looks at the certificate that a program serves. @returns what was seen; never rejects */
  look(target: Target, signal: AbortSignal): Promise<Sight>;
  /** Makes a request over TLS. Never rejects. */
  ask(question: Question, signal: AbortSignal): Promise<Attempt>;
}

export interface HandshakeThreadOptions {
  /** How long a look or a request may take. */
  readonly timeoutMs: number;
}

interface Waiting {
  /** Takes what the thread has answered, of the type that belongs to what it was asked for. */
  readonly answered: (outcome: never) => void;
  readonly excused: (how: Excuse) => void;
}

type Excuse = 'broken off' | 'called off';

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

export function createHandshakeThread({ timeoutMs }: HandshakeThreadOptions): HandshakeThread {
  const waiting = new Map<number, Waiting>();
  let worker: Worker | undefined;
  let nextId = 0;

  const take = (id: number): Waiting | undefined => {
    const taken = waiting.get(id);
    waiting.delete(id);
    if (waiting.size === 0) {
      end();
    }
    return taken;
  };

  const end = (): void => {
    const ended = worker;
    worker = undefined;
    void ended?.terminate();
    const left = [...waiting.values()];
    waiting.clear();
    for (const { excused } of left) {
      excused('broken off');
    }
  };

  const start = (): Worker => {
    const started = new Worker(program, { resourceLimits: memory, env: {}, stdin: false });
    const isOver = (): void => {
      if (worker === started) {
        end();
      }
    };
    started.on('message', ({ id, outcome }: { id: number; outcome: never }) => take(id)?.answered(outcome));
    started.on('error', isOver);
    started.on('exit', isOver);
    started.unref();
    return started;
  };

  const have = <Outcome>(work: Work, excuse: (how: Excuse) => Outcome, signal: AbortSignal): Promise<Outcome> =>
    new Promise((resolve) => {
      nextId += 1;
      const id = nextId;
      worker ??= start();
      const abort = (): void => {
        const callOff: CallOff = { type: 'callOff', id };
        worker?.postMessage(callOff);
        take(id)?.excused('called off');
      };
      const timer = setTimeout(end, timeoutMs + maxThreadGraceMs);
      const answered = (outcome: Outcome): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', abort);
        resolve(outcome);
      };
      waiting.set(id, { answered, excused: (how) => answered(excuse(how)) });
      signal.addEventListener('abort', abort, { once: true });
      const order: Order = { type: 'order', id, work, timeoutMs };
      worker.postMessage(order);
      if (signal.aborted) {
        abort();
      }
    });

  return {
    look: (target, signal) =>
      have<Sight>({ type: 'look', target }, (how) => ({ type: 'nothing', why: `the look was ${how}` }), signal),
    ask: (question, signal) =>
      have<Attempt>(
        { type: 'ask', question },
        (how) => ({ type: 'failed', detail: `${nameOf(question.reload)} was ${how}` }),
        signal,
      ),
  };
}
