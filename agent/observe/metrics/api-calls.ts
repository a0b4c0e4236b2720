/**
 * Measures the calls to the API server: how long each took, how long it waited for the agent's own rate limit, and what
 * the server's clock said.
 */
import type { SkewMeter } from './clock-skew.ts';
import type { Metrics } from './metrics.ts';

/** One finished call. */
export interface FinishedCall {
  /** Kubernetes' word for what was done: get, list, watch, create, patch … */
  readonly verb: string;
  /** Resource and group, without names. */
  readonly resource: string;
  /** HTTP status, or 0 when there was no reply. */
  readonly status: number;
  /** From sending to the end of the reply, milliseconds. */
  readonly tookMs: number;
  /** Waiting for its turn, milliseconds. */
  readonly waitedMs: number;
  /** The server's clock by its Date header, milliseconds since the epoch; absent: it did not say. */
  readonly serverTime?: number;
}

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
