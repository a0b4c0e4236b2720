/**
 * Makes samples of gauges from what the agent holds: credentials by signer and state, the nearest expiry and refresh of
 * each signer, the watches, the calls to the API server.
 */
import type { CredentialSnapshot, CredentialStateName } from './notices.ts';
import type { Served } from './uptake.ts';

/** One value of a gauge. */
export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** A list and watch as it stands. */
export interface WatchSnapshot {
  /** What is watched, distinct from every other watch: the resource and what it is narrowed to. */
  readonly name: string;
  /** How often it had to be started again, since it was created. */
  readonly restarts: number;
  /** When it last heard from the API server, milliseconds since the epoch; undefined: never yet. */
  readonly lastEventAt: number | undefined;
}

/** Calls to the API server as they stand. */
export interface ApiLoad {
  /** Calls that wait for their turn. */
  readonly waiting: number;
  /** Calls under way. */
  readonly active: number;
  /** What is left of a pause that the server asked for. */
  readonly pausedForMs: number;
}

/** Labels of a series, with values that are already bounded. */
type BoundLabels = Readonly<Record<string, string>>;

const states: readonly CredentialStateName[] = [
  'not_yet_issued',
  'fresh',
  'overdue_for_refresh',
  'expired',
  'denied',
  'failed',
  'ended',
];

interface SignerTotals {
  readonly labels: BoundLabels;
  readonly counts: Map<CredentialStateName, number>;
  mismatches: number;
  waitingSince: number;
  expiry: number;
  refresh: number;
}

/**
 * Counts credentials by signer and state; every state of a signer has a sample, so that a rate or an alert on it starts
 * from 0. Nearest times are of certificates that the volumes hold.
 * @param label the labels of a signer; signers with the same label count as one
 */
export function sampleCredentials(
  credentials: readonly CredentialSnapshot[],
  label: (signerName: string) => BoundLabels,
): {
  readonly states: readonly Sample[];
  readonly trustMismatches: readonly Sample[];
  readonly oldestWait: readonly Sample[];
  readonly nearestExpiry: readonly Sample[];
  readonly nearestRefresh: readonly Sample[];
} {
  const signers = new Map<string, SignerTotals>();
  for (const credential of credentials) {
    const totals = totalsOf(signers, label(credential.signerName));
    totals.counts.set(credential.state, (totals.counts.get(credential.state) ?? 0) + 1);
    totals.mismatches += credential.trustMismatchSince === undefined ? 0 : 1;
    if (credential.state === 'not_yet_issued') {
      totals.waitingSince = Math.min(totals.waitingSince, credential.waitingSince ?? Number.POSITIVE_INFINITY);
    }
    totals.expiry = Math.min(totals.expiry, credential.notAfter ?? Number.POSITIVE_INFINITY);
    totals.refresh = Math.min(totals.refresh, credential.refreshAt ?? Number.POSITIVE_INFINITY);
  }
  const all = [...signers.values()];
  return {
    states: all.flatMap(({ labels, counts }) =>
      states.map((state) => ({ labels: { ...labels, state }, value: counts.get(state) ?? 0 })),
    ),
    trustMismatches: all.map(({ labels, mismatches }) => ({ labels, value: mismatches })),
    oldestWait: all.flatMap(({ labels, waitingSince }) => sampleTime(labels, waitingSince)),
    nearestExpiry: all.flatMap(({ labels, expiry }) => sampleTime(labels, expiry)),
    nearestRefresh: all.flatMap(({ labels, refresh }) => sampleTime(labels, refresh)),
  };
}

/** Counts the credentials whose last request was refused, by how. @param label of what is alike; bounds what signers write */
export function sampleRefusals(
  credentials: readonly CredentialSnapshot[],
  label: (signerName: string, outcome: string, reason: string) => BoundLabels,
): readonly Sample[] {
  const counts = new Map<string, { readonly labels: BoundLabels; readonly value: number }>();
  for (const { signerName, refusal } of credentials) {
    if (refusal !== undefined) {
      const labels = label(signerName, refusal.outcome, refusal.reason);
      const key = JSON.stringify(labels);
      counts.set(key, { labels, value: (counts.get(key)?.value ?? 0) + 1 });
    }
  }
  return [...counts.values()];
}

/** Most credentials that have a series of their own. */
const maxSeriesOfPods = 1_000;

/** The expiry of each certificate that a volume holds, by pod and volume; of many the first thousand. */
export function sampleExpiries(credentials: readonly CredentialSnapshot[]): readonly Sample[] {
  return credentials.slice(0, maxSeriesOfPods).flatMap(({ volume, source, signerName, notAfter }) => {
    const { namespace, name: pod } = volume.pod;
    const labels = { namespace, pod, volume: volume.volumeName, source: String(source), signer_name: signerName };
    return sampleTime(labels, notAfter ?? Number.POSITIVE_INFINITY);
  });
}

/** The values of the gauges about calls to the API server, by their key in the metric table. */
export function sampleLoad(load: ApiLoad): Readonly<Record<'apiQueue' | 'apiActive' | 'apiPause', number>> {
  return { apiQueue: load.waiting, apiActive: load.active, apiPause: load.pausedForMs / 1_000 };
}

const servedStates: readonly Served['state'][] = ['looking', 'current', 'other', 'unknown'];

/** Counts volumes by what their programs were seen to serve; every state has a sample. */
export function sampleServed(served: readonly Served['state'][]): readonly Sample[] {
  return servedStates.map((state) => ({ labels: { state }, value: served.filter((each) => each === state).length }));
}

function totalsOf(signers: Map<string, SignerTotals>, labels: BoundLabels): SignerTotals {
  const key = JSON.stringify(labels);
  const known = signers.get(key);
  if (known !== undefined) {
    return known;
  }
  const fresh = {
    labels,
    counts: new Map<CredentialStateName, number>(),
    mismatches: 0,
    waitingSince: Number.POSITIVE_INFINITY,
    expiry: Number.POSITIVE_INFINITY,
    refresh: Number.POSITIVE_INFINITY,
  };
  signers.set(key, fresh);
  return fresh;
}

function sampleTime(labels: BoundLabels, timeMs: number): readonly Sample[] {
  return Number.isFinite(timeMs) ? [{ labels, value: timeMs / 1_000 }] : [];
}

/**
 * Watches come and go with the volumes that need them, counters may only grow: a watch's restarts are added as they
 * happen, and stay counted when it is gone.
 * @returns restarts since the call before, and the time of the last event; of watches with the same label the oldest
 */
export function createWatchCounter(): (
  watches: readonly WatchSnapshot[],
  label: (name: string) => BoundLabels,
) => { readonly restarts: readonly Sample[]; readonly lastEvents: readonly Sample[] } {
  let counted = new Map<string, number>();
  return (watches, label) => {
    const before = counted;
    counted = new Map(watches.map(({ name, restarts }) => [name, restarts]));
    const restarts = watches.map(({ name, restarts: now }) => {
      const known = before.get(name) ?? 0;
      // Fewer than before: another watch of the same name has taken its place.
      return { labels: label(name), value: now >= known ? now - known : now };
    });
    const oldest = new Map<string, { readonly labels: BoundLabels; readonly time: number }>();
    for (const { name, lastEventAt } of watches) {
      if (lastEventAt === undefined) {
        continue;
      }
      const labels = label(name);
      const key = JSON.stringify(labels);
      oldest.set(key, { labels, time: Math.min(lastEventAt, oldest.get(key)?.time ?? lastEventAt) });
    }
    return { restarts, lastEvents: [...oldest.values()].flatMap(({ labels, time }) => sampleTime(labels, time)) };
  };
}
