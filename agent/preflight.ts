/**
 * What the agent cannot do without: the Node object it runs on and the certificate API. Each is asked for after the start
 * until it is there, and again whenever something gives reason to doubt it; nothing is polled. Each answer is a readiness
 * check, and each failure is said in the log when it changes.
 */
import type { AgentError } from './base/errors.ts';
import type { HealthCheck } from './observe/health.ts';
import { toleratedFailureMs } from './readiness.ts';
import type { Clock } from './time/clock.ts';

/** Shortest pause between two attempts. */
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
  /** A requirement is met that was not when it was last asked for, said or not: the API server answers again. */
  readonly onRecovered: () => void;
}

export interface Preflight {
  checks(): readonly HealthCheck[];
  /** Something failed: asks again for what was there, unless that has just been done. */
  doubt(): void;
  stop(): void;
}

interface Watched {
  readonly requirement: Requirement;
  /** What is missing; undefined while the requirement is met, or not met for a moment only. */
  problem: string | undefined;
  hasBeenMet: boolean;
  failingSince: number | undefined;
  /** Undefined before the first attempt. */
  askedAt: number | undefined;
  /** An attempt is under way, or planned. */
  busy: boolean;
  cancel: () => void;
}

export function startPreflight({ requirements, clock, onMissing, onMet, onRecovered }: PreflightOptions): Preflight {
  const stopping = new AbortController();
  const all = requirements.map((requirement): Watched => {
    const unknown = { failingSince: undefined, askedAt: undefined, hasBeenMet: false };
    return { requirement, problem: 'not checked yet', busy: false, cancel: () => {}, ...unknown };
  });
  const said = new Map<string, string>();

  async function attempt(watched: Watched): Promise<void> {
    const { name, check } = watched.requirement;
    Object.assign(watched, { busy: true, askedAt: clock.now() });
    try {
      await check(stopping.signal);
      const wasFailing = watched.failingSince !== undefined;
      Object.assign(watched, { problem: undefined, failingSince: undefined, hasBeenMet: true, busy: false });
      if (said.delete(name)) {
        onMet(name);
      }
      if (wasFailing) {
        onRecovered();
      }
    } catch (cause) {
      if (stopping.signal.aborted) {
        return;
      }
      missed(watched, cause instanceof Error ? cause : new Error(String(cause)));
      plan(watched);
    }
  }

  /** One failure of what was there a moment ago says little; one that lasts is told. */
  function missed(watched: Watched, error: Error): void {
    const { name } = watched.requirement;
    watched.failingSince ??= clock.now();
    if (watched.hasBeenMet && clock.now() - watched.failingSince < toleratedFailureMs) {
      return;
    }
    watched.problem = error.message;
    if (said.get(name) === error.message) {
      return;
    }
    said.set(name, error.message);
    onMissing(name, error);
  }

  function plan(watched: Watched): void {
    watched.busy = true;
    watched.cancel = clock.at((watched.askedAt ?? clock.now()) + retryMs, () => void attempt(watched));
  }

  for (const watched of all) {
    void attempt(watched);
  }

  return {
    checks: () =>
      all.map(({ requirement: { name }, problem }) =>
        problem === undefined ? { name, ok: true } : { name, ok: false, message: problem },
      ),
    doubt() {
      for (const watched of all) {
        if (!watched.busy && !stopping.signal.aborted) {
          plan(watched);
        }
      }
    },
    stop() {
      stopping.abort();
      for (const { cancel } of all) {
        cancel();
      }
    },
  };
}
