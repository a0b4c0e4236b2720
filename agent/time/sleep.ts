/** A pause that ends early when the signal fires. */
import type { Clock } from './clock.ts';

export function sleep(durationMs: number, clock: Clock, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const wake = (): void => {
      cancel();
      signal.removeEventListener('abort', wake);
      resolve();
    };
    const cancel = clock.at(clock.now() + durationMs, wake);
    signal.addEventListener('abort', wake, { once: true });
    if (signal.aborted) {
      wake();
    }
  });
}
