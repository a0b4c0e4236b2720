/**
 * Answers to probes in the manner of Kubernetes' own components.
 *
 * https://kubernetes.io/docs/reference/using-api/health-checks/
 */
import { type Reply, textReply } from './reply.ts';

/** One thing that must be well. */
export interface HealthCheck {
  /** In lower case with dashes, as in `?verbose` output. */
  readonly name: string;
  readonly ok: boolean;
  /** What is wrong, in one line; not shown when all is well. */
  readonly message?: string;
}

/** What the probes ask, answered from memory, at once. */
export interface Health {
  /** Checks that only a restart of the agent can mend. */
  live(): readonly HealthCheck[];
  /** Checks that must hold before the agent can serve volumes. */
  ready(): readonly HealthCheck[];
}

/**
 * Short when all is well and nothing else is asked; else every check on its line. 503 when one of them fails.
 * @param name of the probe: `readyz`
 * @param verbose true when every check is asked for although all is well
 * @param told false when whoever asks may know no more than whether all is well
 */
export function healthReply(name: string, checks: readonly HealthCheck[], verbose: boolean, told: boolean): Reply {
  const failed = checks.some((check) => !check.ok);
  if (!failed && !(verbose && told)) {
    return textReply(200, 'ok');
  }
  const verdict = `${name} check ${failed ? 'failed' : 'passed'}`;
  const lines = checks.map((check) =>
    check.ok ? `[+]${check.name} ok` : `[-]${check.name} failed: ${check.message ?? 'no reason given'}`,
  );
  return textReply(failed ? 503 : 200, told ? [...lines, verdict].join('\n') : verdict);
}
