/**
 * Measures the calls to the API server: how long each took, how long it waited for the agent's own rate limit, and what
 * the server's clock said.
 */
import type { FinishedCall } from '../../base/call.ts';
import type { SkewMeter } from './clock-skew.ts';
import type { Metrics } from './metrics.ts';

/** @returns takes each finished call; never throws. */
export function createCallObserver(metrics: Metrics, skew: SkewMeter): (call: FinishedCall) => void {
  return ({ verb, resource, status, tookMs, waitedMs, serverTime }) => {
    if (serverTime !== undefined) {
      skew.observe(serverTime, tookMs);
    }
    const code = status === 0 ? 'error' : String(status);
    metrics.observe('apiRequestDuration', { verb, resource, code }, tookMs / 1_000);
    metrics.observe('apiThrottleDuration', {}, waitedMs / 1_000);
  };
}
