/**
 * Reads the body of a watch: one JSON value a line, for as long as the server keeps it open. Notices when nothing comes
 * over the connection any more.
 *
 * https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
 */
import type { TurnBudget } from '../base/turn-budget.ts';
import type { Clock } from '../time/clock.ts';
import { createSieve, type Shape } from './json-sieve.ts';
import { takeInTurns } from './read-json.ts';
import { brokenError, isBroken, type Reply, TimeLimitError } from './transport.ts';

export interface FramesOptions {
  /** What is kept of each frame. */
  readonly shape: Shape;
  /** Longest text kept of a frame. */
  readonly maxBytes: number;
  readonly budget: TurnBudget;
  readonly clock: Clock;
  /** Longest silence. */
  readonly idleTimeoutMs: number;
  /** Longest time for all of it. Default: no limit. */
  readonly longestMs?: number;
}

/**
 * Reads frames until the server ends the stream in order.
 * @param onFrame gets each frame as it comes; what it throws ends the reading and is thrown on. No more is read from the
 * connection before what it returns is settled.
 * @throws TimeLimitError after a silence, RangeError or Error for a frame that is too long or is not JSON, or what broke
 * the connection.
 */
export function readFrames(
  reply: Reply,
  onFrame: (frame: unknown) => Promise<void> | undefined,
  { shape, maxBytes, budget, clock, idleTimeoutMs, longestMs = Number.POSITIVE_INFINITY }: FramesOptions,
): Promise<void> {
  return new Promise((resolve, reject) => {
    if (isBroken(reply)) {
      reject(brokenError());
      return;
    }
    let busy: Promise<void> | undefined;
    const onValue = (frame: unknown): void => {
      busy = onFrame(frame) ?? busy;
    };
    const sieve = createSieve({ shape, maxBytes, onValue });
    let lastByteAt = clock.now();
    const rest = (): Promise<void> | undefined => {
      const goOn = (): void => {
        busy = undefined;
        lastByteAt = clock.now();
      };
      return busy?.then(goOn, goOn);
    };
    const endsAt = clock.now() + longestMs;
    let cancelIdle = (): void => {};
    // One timer per silence, not per chunk: when it rings it looks how long the silence has lasted.
    const watchIdle = (): void => {
      cancelIdle = clock.at(Math.min(lastByteAt + idleTimeoutMs, endsAt), () => {
        if (clock.now() >= endsAt) {
          reply.destroy(new TimeLimitError(`the watch did not end within ${longestMs} ms`));
          return;
        }
        if (busy !== undefined) {
          lastByteAt = clock.now();
        }
        if (clock.now() < lastByteAt + idleTimeoutMs) {
          watchIdle();
        } else {
          reply.destroy(new TimeLimitError(`the watch was silent for ${idleTimeoutMs} ms`));
        }
      });
    };
    watchIdle();
    takeInTurns(reply, budget, (chunk, from) => {
      lastByteAt = clock.now();
      try {
        const end = sieve.take(chunk, from);
        return { end, pause: rest() };
      } catch (fault) {
        // The parser's own message would quote the frame.
        reject(fault instanceof SyntaxError ? new Error('a frame of the watch is not JSON') : fault);
        reply.message.removeAllListeners('data');
        reply.destroy(new Error('the watch was given up'));
        return { end: chunk.length };
      }
    });
    // In its turn: the last chunk may still wait for its own.
    reply.message.on('end', () =>
      budget(() => {
        resolve();
        return false;
      }),
    );
    reply.message.on('error', reject);
    reply.message.on('close', () => {
      cancelIdle();
      if (!reply.message.readableEnded) {
        reject(brokenError());
      }
    });
  });
}
