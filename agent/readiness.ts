/**
 * What makes the agent ready, that is able to serve a new volume now: it hears from the API server, has what it cannot
 * do without, and is registered with the kubelet. Silence counts only once it has lasted, so that readiness does not
 * flap when a watch is resumed at once; a clear answer, such as missing rights, counts at once. Liveness is another
 * question: a restart does not mend the API server.
 */
import type { AgentError } from './base/errors.ts';
import type { HealthCheck } from './observe/health.ts';

/** What was well counts as well until it has failed for this long. */
export const toleratedFailureMs = 30_000;

/** The state of the watch of certificate requests. */
export interface WatchState {
  readonly synced: boolean;
  readonly lastError: AgentError | undefined;
  readonly failingForMs: number;
}

/** True once the watch has a complete list, unless somebody must act before it brings anything more. */
export function isSynced({ synced, lastError }: Pick<WatchState, 'synced' | 'lastError'>): boolean {
  return synced && lastError?.actor !== 'cluster operator';
}

/** The watch has a complete list, and the API server has been heard since, or is not heard for a moment only. */
export function watchCheck(state: WatchState): HealthCheck {
  const name = 'certificate-request-watch';
  if (isSynced(state) && state.failingForMs < toleratedFailureMs) {
    return { name, ok: true };
  }
  const reason = state.lastError?.message ?? 'the first list is under way';
  const seconds = Math.floor(state.failingForMs / 1_000);
  return { name, ok: false, message: seconds === 0 ? reason : `${reason} (for ${seconds} s)` };
}

/** True when the outcome of a call is a reason to ask again for what the agent cannot do without. */
export function raisesDoubt({ resource, status }: { readonly resource: string; readonly status: number }): boolean {
  return status === 0 || status === 401 || status === 403 || status >= 500 || (status === 404 && resource === 'nodes');
}
