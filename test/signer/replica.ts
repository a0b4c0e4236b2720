/** Replicas of the trial signer for tests: the whole program but its command line, in this process, against the sandbox. */
import { createLogger } from '../../agent/observe/log/log.ts';
import type { Cluster } from '../../sandbox/cluster/cluster.ts';
import { usualLeaseTimes } from '../../signer/api/election.ts';
import { type Policy, realTiming } from '../../signer/decision/policy.ts';
import type { SignerSettings } from '../../signer/settings.ts';
import { startSigner, type TrialSigner } from '../../signer/signer.ts';
import { keyTypes } from '../../volumes/declaration/key-types.ts';
import { type Closing, type Line, lastOf } from '../end-to-end/node.ts';
import { until, withinBound } from '../support/bounded.ts';

export const signerName = 'example.com/mesh';
export const namespace = 'kube-system';
export const secretName = 'trial-signer-ca';
export const bundleName = 'example.com:mesh:trial-signer';

/** What time is in a cluster that runs so much faster than real. */
export function hastened(timeScale: number): Policy['timing'] {
  const { shortestLeafMs, backdateMs, refreshMarginMs } = realTiming;
  return {
    shortestLeafMs: shortestLeafMs / timeScale,
    // A second at least: certificates keep whole ones.
    backdateMs: Math.max(1_000, backdateMs / timeScale),
    refreshMarginMs: refreshMarginMs / timeScale,
  };
}

export type Settings = Partial<Omit<SignerSettings, 'policy'>> & { readonly policy?: Partial<Policy> };

export interface Replica extends TrialSigner {
  readonly lines: readonly Line[];
  logged(accept: (line: Line) => boolean): Promise<Line>;
}

/** @param kubeconfig as whom it calls */
export async function startReplica(
  t: Closing,
  kubeconfig: string,
  { policy, ...more }: Settings = {},
): Promise<Replica> {
  const lines: Line[] = [];
  const listeners = new Set<() => void>();
  const write = (text: string): void => {
    lines.push(JSON.parse(text));
    for (const listener of [...listeners]) {
      listener();
    }
  };
  const log = createLogger({ level: 'debug', format: 'json', destination: { write } });
  const settings: SignerSettings = {
    policy: {
      signerName,
      trustDomain: 'cluster.local',
      dnsNames: 'service-account',
      clusterDomain: 'cluster.local',
      keyTypes,
      leafMs: 86_400_000,
      timing: realTiming,
      ...policy,
    },
    identity: { kind: 'kubeconfig', path: kubeconfig },
    namespace,
    name: 'trial-signer',
    replica: 'replica',
    authorityMs: 8760 * 3_600_000,
    signingRequests: 'none',
    agentAccount: undefined,
    listenAddress: { host: '127.0.0.1', port: 0 },
    requestsPerSecond: 500,
    lease: usualLeaseTimes,
    tendEveryMs: 30_000,
    ...more,
  };
  const signer = await startSigner(settings, log, '0.0.0-test');
  t.after(() => signer.stop());
  return {
    ...signer,
    lines,
    logged(accept) {
      const { promise, resolve } = Promise.withResolvers<Line>();
      const look = (): void => {
        const found = lines.find(accept);
        if (found !== undefined) {
          resolve(found);
        }
      };
      listeners.add(look);
      look();
      const what = (): string => `a log line that ${accept} accepts; the last lines are\n${lastOf(lines)}`;
      return withinBound(promise, what).finally(() => listeners.delete(look));
    },
  };
}

/** What is stored of a resource, by its name; `spec`, `data` and `status` as plain JSON. */
export function stored(cluster: Cluster, resource: string, name: string, within = '') {
  return cluster.apiServer.store.get(resource, within, name);
}

export function anchorsIn(cluster: Cluster): string {
  const bundle = stored(cluster, 'clustertrustbundles.certificates.k8s.io', bundleName);
  return String(bundle?.spec?.['trustBundle'] ?? '');
}

/** Body and status of a GET at a replica. */
export async function ask(replica: TrialSigner, path: string): Promise<{ status: number; text: string }> {
  const { host, port } = replica.address ?? { host: '', port: 0 };
  const response = await fetch(`http://${host}:${port}${path}`);
  return { status: response.status, text: await response.text() };
}

export async function untilReady(replica: Replica): Promise<void> {
  await until(
    async () => replica.isLeading() && (await ask(replica, '/readyz')).status === 200,
    () => `the replica leads and is ready; its last lines are\n${lastOf(replica.lines)}`,
    () => new Promise((resolve) => setTimeout(resolve, 20)),
  );
}
