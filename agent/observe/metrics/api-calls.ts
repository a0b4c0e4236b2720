/**
 * Measures the calls to the API server: how long each took, how long it waited for the agent's own rate limit, and what
 * the server's clock said.
 */
import type { FinishedCall } from '../../base/call.ts';
import type { ServerClock } from '../../time/server-clock.ts';
import type { Metrics } from './metrics.ts';

/** @returns takes each finished call; never throws. */
export function createCallObserver(metrics: Metrics, serverClock: ServerClock): (call: FinishedCall) => void {
  return ({ verb, resource, status, tookMs, waitedMs, serverTime }) => {
    if (serverTime !== undefined) {
      serverClock.observe(serverTime, tookMs);
    }
    const code = status === 0 ? 'error' : String(status);
    metrics.observe('apiRequestDuration', { verb, resource, code }, tookMs / 1_000);
    metrics.observe('apiThrottleDuration', {}, waitedMs / 1_000);
  };
}
