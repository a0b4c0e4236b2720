/**
 * Finds out whether the cluster serves the certificate APIs that are needed. The operator's rules say which those are;
 * where they name none, PodCertificateRequests or cert-manager's will do. An API that a pod needed and did not find is
 * looked for until it is there, since it may be installed or switched on at any time.
 */
import { AgentError } from './base/errors.ts';
import type { CertificateApi } from './issuance/issuer-rules.ts';
import type { Clock } from './time/clock.ts';

export interface CertificateApisOptions {
  /** Resolves when the cluster serves the API. @throws AgentError ApiMissing, or why that cannot be found out */
  readonly served: (api: CertificateApi) => Promise<void>;
  /** The APIs that the rules in force name. */
  readonly named: () => readonly CertificateApi[];
  /** Must not go back. */
  readonly clock: Clock;
  /** An API that a pod has missed is served now. */
  readonly onAppeared: (api: CertificateApi) => void;
}

export interface CertificateApis {
  /** Resolves with the APIs to be used when all that are needed are served. @throws AgentError */
  check(): Promise<readonly CertificateApi[]>;
  /** A pod has missed this API: it is looked for from now on, for as long as pods may wait for it. */
  missed(api: CertificateApi): void;
  stop(): void;
}

const lookAgainMs = 15_000;
/** Longer than any pause between two attempts of a pod. */
const lookForMs = 600_000;

/** Without rules a signer is asked by PodCertificateRequest, or by its name through cert-manager. */
const unnamed: readonly CertificateApi[] = ['podCertificateRequest', 'certManager'];

export function createCertificateApis({ served, named, clock, onAppeared }: CertificateApisOptions): CertificateApis {
  const lookouts = new Map<CertificateApi, { until: number; cancel: () => void }>();
  let isStopped = false;

  async function any(apis: readonly CertificateApi[]): Promise<readonly CertificateApi[]> {
    const results = await Promise.allSettled(apis.map(served));
    const found = apis.filter((_, index) => results[index]?.status === 'fulfilled');
    const [first] = results;
    if (found.length === 0 && first?.status === 'rejected') {
      throw first.reason;
    }
    return found;
  }

  async function all(apis: readonly CertificateApi[]): Promise<readonly CertificateApi[]> {
    await Promise.all(apis.map(served));
    return apis;
  }

  function plan(api: CertificateApi, until: number): void {
    const cancel = clock.at(clock.now() + lookAgainMs, () => void look(api));
    lookouts.set(api, { until, cancel });
  }

  async function look(api: CertificateApi): Promise<void> {
    const isThere = await served(api).then(
      () => true,
      (error: unknown) => !(error instanceof AgentError),
    );
    const until = lookouts.get(api)?.until ?? 0;
    lookouts.delete(api);
    if (isStopped) {
      return;
    }
    if (isThere) {
      onAppeared(api);
    } else if (clock.now() < until) {
      plan(api, until);
    }
  }

  return {
    check: () => (named().length > 0 ? all(named()) : any(unnamed)),
    missed(api) {
      const until = clock.now() + lookForMs;
      const lookout = lookouts.get(api);
      if (lookout !== undefined) {
        lookout.until = until;
      } else if (!isStopped) {
        plan(api, until);
      }
    },
    stop() {
      isStopped = true;
      for (const { cancel } of lookouts.values()) {
        cancel();
      }
    },
  };
}
