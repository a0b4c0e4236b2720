/**
 * Measures the calls to the API server: how long each took, and how long it waited for the agent's own rate limit.
 */
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
}

/** @returns takes each finished call; never throws. */
export function createCallObserver(metrics: Metrics): (call: FinishedCall) => void {
  return ({ verb, resource, status, tookMs, waitedMs }) => {
    const code = status === 0 ? 'error' : String(status);
    metrics.observe('apiRequestDuration', { verb, resource, code }, tookMs / 1_000);
    metrics.observe('apiThrottleDuration', {}, waitedMs / 1_000);
  };
}
