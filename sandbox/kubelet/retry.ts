/**
 * Repeats an attempt with growing pauses until it succeeds, as a kubelet does with its operations on one volume.
 */
import { setTimeout as sleep } from 'node:timers/promises';

export interface Backoff {
  readonly firstMs: number;
  readonly longestMs: number;
  /** @throws when the signal is aborted. */
  readonly pause: (ms: number, signal: AbortSignal) => Promise<void>;
}

/** The kubelet's: half a second, doubling up to two minutes and two seconds. */
export const kubeletBackoff: Backoff = {
  firstMs: 500,
  longestMs: 122_000,
  pause: (ms, signal) => sleep(ms, undefined, { signal }),
};

/** The same with every pause multiplied. */
export function scaledBackoff(factor: number): Backoff {
  return { ...kubeletBackoff, pause: (ms, signal) => kubeletBackoff.pause(ms * factor, signal) };
}

/**
 * Repeats an attempt until it says that it is done.
 * @returns false when the signal was aborted before that; an attempt under way is waited for.
 */
export async function retry(
  attempt: () => Promise<'done' | 'again'>,
  backoff: Backoff,
  signal: AbortSignal,
): Promise<boolean> {
  for (let pauseMs = backoff.firstMs; !signal.aborted; pauseMs = Math.min(pauseMs * 2, backoff.longestMs)) {
    if ((await attempt()) === 'done') {
      return true;
    }
    // An abort ends the loop, whatever the pause makes of it.
    await backoff.pause(pauseMs, signal).catch(() => {});
  }
  return false;
}
