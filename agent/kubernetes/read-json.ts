/**
 * Reads the body of a reply as JSON while it comes: what is kept of it is decided by its decoder, and reading takes a few
 * milliseconds in each turn of the event loop, however much comes over however many connections.
 */
import type { TurnBudget } from '../base/turn-budget.ts';
import type { Clock } from '../time/clock.ts';
import { createSieve, type Shape } from './json-sieve.ts';
import { brokenError, isBroken, type Reply, TimeLimitError } from './transport.ts';

export interface ReadingOptions {
  readonly shape: Shape;
  /** Longest text that is kept of the reply, or of one item of a list. */
  readonly maxBytes: number;
  readonly budget: TurnBudget;
  readonly clock: Clock;
  readonly limitMs: number;
  /** Takes the items of a list, one by one. What it throws ends the reading and is thrown on. */
  readonly onItem: (item: unknown) => void;
}

/**
 * @returns the value, its list of items left empty
 * @throws RangeError beyond maxBytes, TimeLimitError after limitMs, SyntaxError, or what broke the connection
 */
export function readJson(reply: Reply, options: ReadingOptions): Promise<unknown> {
  const { shape, maxBytes, budget, clock, limitMs, onItem } = options;
  return new Promise((resolve, reject) => {
    if (isBroken(reply)) {
      reject(brokenError());
      return;
    }
    const values: unknown[] = [];
    const sieve = createSieve({ shape, maxBytes, onItem, onValue: (value) => void values.push(value) });
    const cancelLimit = clock.at(clock.now() + limitMs, () => {
      reply.destroy(new TimeLimitError(`the reply was not complete within ${limitMs} ms`));
    });
    const guarded = (work: () => void): void => {
      try {
        work();
      } catch (fault) {
        reject(fault);
        reply.message.removeAllListeners('data');
        reply.destroy(new Error('the reply was given up'));
      }
    };
    takeInTurns(reply, budget, (chunk) => {
      guarded(() => sieve.take(chunk));
      return undefined;
    });
    const end = (): void => {
      sieve.end();
      if (values.length !== 1) {
        throw new SyntaxError(`the reply is ${values.length} values`);
      }
      resolve(values[0]);
    };
    // In its turn: the last chunk may still wait for its own.
    reply.message.on('end', () => budget(() => guarded(end)));
    reply.message.on('error', reject);
    reply.message.on('close', () => {
      cancelLimit();
      if (!reply.message.readableEnded) {
        reject(brokenError());
      }
    });
  });
}

/**
 * Hands chunks over as they come. No more is read from the connection while one waits for its turn, nor before what `take` returns
 * is settled.
 */
export function takeInTurns(
  { message }: Reply,
  budget: TurnBudget,
  take: (chunk: Buffer) => Promise<void> | undefined,
): void {
  message.on('data', (chunk: Buffer) => {
    let isTaken = false;
    budget(() => {
      isTaken = true;
      const goOn = (): void => void message.resume();
      const pause = take(chunk);
      if (pause === undefined) {
        goOn();
      } else {
        message.pause();
        pause.then(goOn, goOn);
      }
    });
    if (!isTaken) {
      message.pause();
    }
  });
}
