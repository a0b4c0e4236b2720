/**
 * What the agent cannot do without, asked once after the start and again until it is there: the Node object it runs on
 * and the certificate API. Each answer is a readiness check, and each failure is said in the log when it changes.
 */
import type { AgentError } from './base/errors.ts';
import type { HealthCheck } from './observe/health.ts';
import type { Clock } from './time/clock.ts';

/** Pause between two attempts. */
const retryMs = 15_000;

export interface Requirement {
  /** In lower case with dashes, as in the readiness endpoint's output. */
  readonly name: string;
  /** Resolves when the requirement is met. @throws AgentError saying what is missing and who can provide it */
  readonly check: (signal: AbortSignal) => Promise<void>;
}

export interface PreflightOptions {
  readonly requirements: readonly Requirement[];
  readonly clock: Clock;
  /** A requirement is not met; said again only when the reason changes. */
  readonly onMissing: (name: string, error: AgentError | Error) => void;
  /** A requirement that was missing is met now. */
  readonly onMet: (name: string) => void;
}

export interface Preflight {
  checks(): readonly HealthCheck[];
  stop(): void;
}

export function startPreflight({ requirements, clock, onMissing, onMet }: PreflightOptions): Preflight {
  const stopping = new AbortController();
  const problems = new Map(requirements.map(({ name }) => [name, 'not checked yet']));
  const cancels = new Map<string, () => void>();

  const attempt = async ({ name, check }: Requirement): Promise<void> => {
    const before = problems.get(name);
    try {
      await check(stopping.signal);
      problems.delete(name);
      if (before !== 'not checked yet') onMet(name);
    } catch (cause) {
      if (stopping.signal.aborted) return;
      const error = cause instanceof Error ? cause : new Error(String(cause));
      problems.set(name, error.message);
      if (error.message !== before) onMissing(name, error);
      cancels.set(
        name,
        clock.at(clock.now() + retryMs, () => void attempt({ name, check })),
      );
    }
  };
  for (const requirement of requirements) void attempt(requirement);

  return {
    checks: () =>
      requirements.map(({ name }) => {
        const message = problems.get(name);
        return message === undefined ? { name, ok: true } : { name, ok: false, message };
      }),
    stop() {
      stopping.abort();
      for (const cancel of cancels.values()) cancel();
    },
  };
}
