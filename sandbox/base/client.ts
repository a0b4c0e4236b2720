/**
 * Clients of the sandbox's own parts (signers, kubelet, tests, the demonstration) for an API server: the agent's client,
 * without the limits that spare a real cluster.
 */
import { type ApiClient, createApiClient } from '../../agent/kubernetes/client.ts';
import { apiFailureOf } from '../../agent/kubernetes/failure.ts';
import { createIdentity } from '../../agent/kubernetes/identity.ts';
import { createMonotonicClock } from '../../agent/time/monotonic-clock.ts';

/** A client for the server and user of a kubeconfig file. */
export function createSandboxClient(kubeconfigPath: string, userAgent: string): ApiClient {
  const clock = createMonotonicClock();
  return createApiClient({
    identity: createIdentity({ kind: 'kubeconfig', path: kubeconfigPath }, { clock }),
    clock,
    userAgent,
    requestsPerSecond: 1000,
    burst: 1000,
    concurrency: 50,
    queueLimit: 20_000,
  });
}

/** The HTTP status behind an error of a client; undefined when there was no reply. */
export function httpStatusOf(error: unknown): number | undefined {
  return apiFailureOf(error)?.httpStatus;
}

/** Undefined for "not found", for the `catch` of a promise; any other error is thrown on. */
export function whenFound(error: unknown): undefined {
  if (httpStatusOf(error) === 404) {
    return undefined;
  }
  throw error;
}

/** Takes an object as the sandbox's own parts sent it. */
export function asSent<T>(value: unknown): T {
  return value as T;
}
