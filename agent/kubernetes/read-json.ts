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
  /** Longest time in which neither the reply ends nor an item of a list comes; `longestList` times that for all of it. */
  readonly limitMs: number;
  /** Takes the items of a list, one by one. What it throws ends the reading and is thrown on. */
  readonly onItem: (item: unknown) => void;
}

/** A busy machine takes minutes to read hundreds of large objects; a list without an end must not fill the memory for ever. */
const longestList = 10;

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
    const beganAt = clock.now();
    let wentOnAt = beganAt;
    const sieve = createSieve({
      shape,
      maxBytes,
      onItem(item) {
        wentOnAt = clock.now();
        onItem(item);
      },
      onValue: (value) => void values.push(value),
    });
    const lastLimit = beganAt + longestList * limitMs;
    const limitNow = (): number => Math.min(wentOnAt + limitMs, lastLimit);
    let cancelLimit: () => void;
    const setLimit = (limit: number): void => {
      cancelLimit = clock.at(limit, () => {
        if (limitNow() > limit) {
          setLimit(limitNow());
        } else {
          reply.destroy(new TimeLimitError(`the reply was not complete within ${Math.round(limit - beganAt)} ms`));
        }
      });
    };
    setLimit(limitNow());
    const guarded = (work: () => void): void => {
      try {
        work();
      } catch (fault) {
        reject(fault);
        reply.message.removeAllListeners('data');
        reply.destroy(new Error('the reply was given up'));
      }
    };
    takeInTurns(reply, budget, (chunk, from) => {
      let end = chunk.length;
      guarded(() => {
        end = sieve.take(chunk, from);
      });
      return { end };
    });
    const end = (): void => {
      sieve.end();
      if (values.length !== 1) {
        throw new SyntaxError(`the reply is ${values.length} values`);
      }
      resolve(values[0]);
    };
    // In its turn: the last chunk may still wait for its own.
    reply.message.on('end', () =>
      budget(() => {
        guarded(end);
        return false;
      }),
    );
    reply.message.on('error', reject);
    reply.message.on('close', () => {
      cancelLimit();
      if (!reply.message.readableEnded) {
        reject(brokenError());
      }
    });
  });
}

/** How far a chunk was taken, and what has to be settled before it is gone on with. */
export interface Taken {
  readonly end: number;
  readonly pause?: Promise<void> | undefined;
}

/**
 * Hands chunks over as they come, piece by piece. No more is read from the connection while a piece waits for its turn, nor before
 * what `take` is to wait for is settled.
 */
export function takeInTurns(
  { message }: Reply,
  budget: TurnBudget,
  take: (chunk: Buffer, from: number) => Taken,
): void {
  message.on('data', (chunk: Buffer) => {
    let from = 0;
    let isTaken = false;
    const takeOn = (): boolean => {
      if (from === chunk.length) {
        isTaken = true;
        message.resume();
        return false;
      }
      const { end, pause } = take(chunk, from);
      from = end;
      pause?.then(goOn, goOn);
      return pause === undefined;
    };
    const goOn = (): void => budget(takeOn);
    goOn();
    if (!isTaken) {
      message.pause();
    }
  });
}
