/**
 * Puts the trial signer together: who leads, what the leader does, and what is to be seen of both.
 */
import { randomUUID } from 'node:crypto';
import { createClosers } from '../agent/base/closers.ts';
import { type ApiClient, createApiClient } from '../agent/kubernetes/client.ts';
import { createDiscovery } from '../agent/kubernetes/discovery.ts';
import { createIdentity } from '../agent/kubernetes/identity.ts';
import type { Logger } from '../agent/observe/log/log.ts';
import { warnOnce } from '../agent/observe/log/repetition.ts';
import { createMonotonicClock } from '../agent/time/monotonic-clock.ts';
import { startElection } from './api/election.ts';
import { createLookup } from './api/lookup.ts';
import { openEndpoint, type Reply } from './endpoint.ts';
import { type Leading, startLeading } from './leading.ts';
import { createMetrics } from './metrics.ts';
import type { SignerSettings } from './settings.ts';

export interface TrialSigner {
  /** Where health and metrics are served. */
  readonly address: { readonly host: string; readonly port: number } | undefined;
  isLeading(): boolean;
  /** Stops answering, gives the Lease back, and releases the rest. Idempotent. */
  stop(): Promise<void>;
}

/** A replica that has not been able to read the Lease for so long is not ready. */
const longestSilenceMs = 30_000;
/** Calls to the API server that take longer are given up: a Lease lasts 15 seconds. */
const leaseCallMs = 5_000;

/** @throws the error of `listen` when the port cannot be had */
export async function startSigner(settings: SignerSettings, log: Logger, version: string): Promise<TrialSigner> {
  const clock = createMonotonicClock();
  const closers = createClosers((error) => log.error('a part of the signer could not be stopped', { error }));
  const metrics = createMetrics();
  const onUnreadable = warnOnce(log, 'the credentials cannot be read again; the earlier ones stay');
  const known = createIdentity(settings.identity, { clock, onError: onUnreadable });
  // For messages: whose rights are missing.
  const identity = settings.identity.kind === 'inCluster' ? { ...known, name: "the signer's service account" } : known;
  const shared = { identity, clock, userAgent: `pod-certificate-trial-signer/${version}` };
  const { requestsPerSecond } = settings;
  const open = (options: { requestsPerSecond: number; burst: number; timeoutMs?: number }): ApiClient => {
    const client = createApiClient({ ...shared, ...options, concurrency: 16, queueLimit: 20_000 });
    closers.add(() => client.close());
    return client;
  };
  const client = open({ requestsPerSecond, burst: 2 * requestsPerSecond });
  const leaseClient = open({ requestsPerSecond: 10, burst: 10, timeoutMs: leaseCallMs });
  const discovery = createDiscovery({ client, clock });
  const lookup = createLookup(client, clock);
  const parts = { settings, client, discovery, lookup, log, metrics, clock, now: Date.now };
  let leading: Leading | undefined;
  const election = startElection({
    client: leaseClient,
    clock,
    namespace: settings.namespace,
    name: settings.name,
    identity: `${settings.replica}_${randomUUID()}`,
    times: settings.lease,
    async lead(signal) {
      log.info('this replica answers requests', { signerName: settings.policy.signerName });
      leading = startLeading(parts, signal);
      await leading.done;
      leading = undefined;
      log.info('this replica answers requests no more');
    },
    onError: warnOnce(log, 'the Lease cannot be read or renewed'),
  });
  closers.add(() => election.stop());
  metrics.observe({
    isLeading: election.isLeading,
    waiting: () => leading?.waiting() ?? 0,
    authorityEnd: () => leading?.authorityEnd(),
  });
  const ready = (): Reply => {
    if (election.silentForMs() > longestSilenceMs) {
      return { status: 503, text: 'the Lease cannot be read: is the API server there?' };
    }
    const isIdle = election.isLeading() && leading?.authorityEnd() === undefined;
    return isIdle
      ? { status: 503, text: 'there is no CA to sign with; the log says why' }
      : { status: 200, text: 'ok' };
  };
  try {
    const endpoint =
      settings.listenAddress &&
      (await openEndpoint(settings.listenAddress, {
        '/livez': () => ({ status: 200, text: 'ok' }),
        '/healthz': ready,
        '/readyz': ready,
        '/metrics': async () => ({ status: 200, ...(await metrics.text()) }),
      }));
    closers.add(async () => endpoint?.close());
    return { address: endpoint?.address, isLeading: election.isLeading, stop: closers.close };
  } catch (error) {
    await closers.close();
    throw error;
  }
}
