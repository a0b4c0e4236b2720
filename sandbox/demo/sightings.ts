/**
 * Collects what the two workloads of the demonstration report, and waits for what they have not reported yet.
 */
import type { Identity, Report } from './workloads/report.ts';

export const workloadNames = ['server', 'client'] as const;
export type WorkloadName = (typeof workloadNames)[number];

/** One workload's view. */
export interface View {
  readonly port?: number;
  readonly own?: Identity;
  /** The other side, as its certificate said it at the last new connection. */
  readonly peer?: Identity;
  /** How many different certificates of the other side were seen. */
  readonly peerCertificates: number;
  readonly anchors: readonly string[];
  readonly requests: number;
  readonly failed: number;
  readonly failures: readonly string[];
}

export type Views = Readonly<Record<WorkloadName, View>>;

export interface Sightings {
  views(): Views;
  record(name: WorkloadName, report: Report): void;
  /** Resolves when the views are accepted. @throws the signal's reason when it is aborted. */
  until(accept: (views: Views) => boolean, signal: AbortSignal): Promise<void>;
}

const unseen: View = { peerCertificates: 0, anchors: [], requests: 0, failed: 0, failures: [] };
/** Failures that are kept for the account at the end. */
const keptFailures = 20;

export function createSightings(): Sightings {
  let views: Views = { server: unseen, client: unseen };
  const listeners = new Set<() => void>();
  return {
    views: () => views,
    record: (name, report) => {
      views = { ...views, [name]: seen(views[name], report) };
      for (const listener of [...listeners]) {
        listener();
      }
    },
    until: (accept, signal) =>
      new Promise((resolve, reject) => {
        const done = (): void => {
          listeners.delete(look);
          signal.removeEventListener('abort', abort);
        };
        const look = (): void => {
          if (!accept(views)) {
            return;
          }
          done();
          resolve();
        };
        const abort = (): void => {
          done();
          reject(signal.reason);
        };
        listeners.add(look);
        signal.addEventListener('abort', abort, { once: true });
        if (signal.aborted) {
          abort();
        } else {
          look();
        }
      }),
  };
}

/** The view after one more report. */
export function seen(view: View, report: Report): View {
  switch (report.type) {
    case 'listening':
      return { ...view, port: report.port };
    case 'own':
      return { ...view, own: report.identity };
    case 'anchors':
      return { ...view, anchors: report.subjects };
    case 'peer':
      return { ...view, peer: report.identity, peerCertificates: view.peerCertificates + 1 };
    case 'counters':
      return { ...view, requests: report.fresh + report.lasting, failed: report.failed };
    case 'failure':
      return { ...view, failures: [...view.failures, report.message].slice(0, keptFailures) };
    default:
      return report satisfies never;
  }
}

/** What is missing before both rotations count as seen; empty when nothing is. */
export function missing(views: Views, newIssuer: string | undefined): readonly string[] {
  const found: string[] = [];
  for (const name of workloadNames) {
    const other = name === 'server' ? 'client' : 'server';
    const { peer, peerCertificates, anchors, failures } = views[name];
    if (peer === undefined) {
      found.push(`the ${name} has not seen the ${other}`);
    } else if (peerCertificates < 2) {
      found.push(`the ${name} has not seen a new leaf of the ${other}`);
    }
    if (newIssuer === undefined) {
      continue;
    }
    if (peer?.issuer !== newIssuer) {
      found.push(`the ${name} has not seen a leaf of the ${other} from the new CA`);
    }
    if (anchors.length !== 1) {
      found.push(`the ${name} trusts ${anchors.length} roots, not the new one alone`);
    }
    for (const failure of failures) {
      found.push(`the ${name} reports: ${failure}`);
    }
  }
  if (newIssuer === undefined) {
    found.push('the CA was not exchanged');
  }
  if (views.client.requests === 0) {
    found.push('the client has had no answer');
  }
  if (views.client.failed > 0) {
    found.push(`${views.client.failed} requests failed`);
  }
  return found;
}
