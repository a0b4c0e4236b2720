/**
 * Reads the body of a watch: one JSON value a line, for as long as the server keeps it open. Notices when nothing comes
 * over the connection any more.
 *
 * https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
 */
import type { Clock } from '../time/clock.ts';
import { createLineSplitter } from './lines.ts';
import { brokenError, isBroken, type Reply, TimeLimitError } from './transport.ts';

/**
 * Reads frames until the server ends the stream in order.
 * @param onFrame gets each frame as it comes; what it throws ends the reading and is thrown on. No more is read from the
 * connection before what it returns is settled.
 * @param idleTimeoutMs longest silence.
 * @throws TimeLimitError after a silence, RangeError or Error for a frame that is too long or is not JSON, or what broke
 * the connection.
 */
export function readFrames(
  reply: Reply,
  onFrame: (frame: unknown) => Promise<void> | undefined,
  maxFrameBytes: number,
  clock: Clock,
  idleTimeoutMs: number,
): Promise<void> {
  return new Promise((resolve, reject) => {
    if (isBroken(reply)) {
      reject(brokenError());
      return;
    }
    let busy: Promise<void> | undefined;
    const split = createLineSplitter((line) => {
      busy = onFrame(parseFrame(line)) ?? busy;
    }, maxFrameBytes);
    let lastByteAt = clock.now();
    const rest = (): void => {
      const pause = busy;
      if (pause === undefined) {
        return;
      }
      reply.message.pause();
      const goOn = (): void => {
        // Of several that were returned meanwhile the last one counts.
        if (busy === pause) {
          busy = undefined;
          lastByteAt = clock.now();
          reply.message.resume();
        }
      };
      pause.then(goOn, goOn);
    };
    let cancelIdle = (): void => {};
    // One timer per silence, not per chunk: when it rings it looks how long the silence has lasted.
    const watchIdle = (): void => {
      cancelIdle = clock.at(lastByteAt + idleTimeoutMs, () => {
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
    reply.message.on('data', (chunk: Buffer) => {
      lastByteAt = clock.now();
      try {
        split(chunk);
        rest();
      } catch (fault) {
        reject(fault);
        reply.message.removeAllListeners('data');
        reply.destroy(new Error('the watch was given up'));
      }
    });
    reply.message.on('end', resolve);
    reply.message.on('error', reject);
    reply.message.on('close', () => {
      cancelIdle();
      reject(brokenError());
    });
  });
}

function parseFrame(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    // The parser's own message would quote the line.
    throw new Error('a frame of the watch is not JSON');
  }
}
