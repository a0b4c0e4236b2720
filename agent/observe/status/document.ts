/**
 * What `/statusz` tells, as one JSON document: the agent, its readiness, and each volume with its pod and its sources as
 * they stand. The text and the page are made from it. Nothing in it is secret: a certificate's serial number, dates and
 * names are what every peer of the pod sees in a handshake.
 *
 * Moments are RFC 3339 in UTC.
 */
import type { Steps } from '../../../volumes/base/steps.ts';
import type { ClusterTrustBundleSource, PodCertificateSource } from '../../../volumes/declaration/types.ts';
import { singleLine } from '../../base/redact.ts';
import type { CredentialSnapshot, CredentialStateName } from '../../lifecycle/notices.ts';
import type { Served } from '../../lifecycle/uptake.ts';
import type { VolumeSnapshot } from '../../lifecycle/volume-status.ts';
import { timeText } from '../../time/time-text.ts';
import type { HealthCheck } from '../health.ts';

/** What is read at each request; answered from memory, at once. */
export interface StatusSources {
  readonly version: string;
  readonly nodeName: string;
  readonly driverName: string;
  /** When the agent started, milliseconds since the epoch. */
  readonly startedAt: number;
  /** Milliseconds since the epoch. */
  now(): number;
  ready(): readonly HealthCheck[];
  volumes(): readonly VolumeSnapshot[];
}

export interface StatusDocument {
  readonly version: string;
  readonly node: string;
  readonly driver: string;
  readonly startedAt: string;
  /** When this was told. */
  readonly now: string;
  readonly ready: boolean;
  readonly checks: readonly HealthCheck[];
  /** Credentials by state; every state has an entry. */
  readonly states: Readonly<Record<CredentialStateName, number>>;
  readonly volumes: readonly VolumeEntry[];
}

export interface VolumeEntry {
  readonly namespace: string;
  readonly pod: string;
  readonly podUID: string;
  readonly volume: string;
  /** `ready`: all files are in place. `waiting` and `refused` come with a message. */
  readonly status: 'ready' | 'waiting' | 'refused';
  readonly message?: string;
  /** Since when nothing but trust anchors is missing. */
  readonly waitsForAnchorsSince?: string;
  /** What the pod's program was seen to serve, where its volume has a `probe`. */
  readonly served?: {
    readonly state: 'looking' | 'current' | 'other' | 'unknown';
    readonly since: string;
    /** Where somebody has to act. */
    readonly message?: string;
  };
  readonly credentials: readonly CredentialEntry[];
  readonly trustAnchors: readonly TrustAnchorEntry[];
}

export interface CredentialEntry {
  /** Position in the volume's `sources`. */
  readonly source: number;
  readonly signerName: string;
  readonly keyType: string;
  readonly files: readonly string[];
  readonly state: CredentialStateName;
  readonly request?: string;
  readonly serial?: string;
  readonly notBefore?: string;
  readonly notAfter?: string;
  /** When the next certificate is asked for. */
  readonly refreshAt?: string;
  readonly lastError?: string;
  /** Since when its chain is known to lead to none of its signer's trust anchors in the volume. */
  readonly trustMismatchSince?: string;
  readonly nextAttemptAt?: string;
}

export interface TrustAnchorEntry {
  readonly source: number;
  /** The bundle's or the signer's name. */
  readonly of: string;
  readonly optional: boolean;
  readonly file: string;
  /** How many of the anchors selected have expired, where any has. */
  readonly expired?: number;
  /** Set where the file goes without those. */
  readonly dropsExpired?: true;
}

/** Longest text that somebody else wrote, in characters. */
const maxTextLength = 500;

/** The document as of now, in steps: a node may have tens of thousands of credentials, each with a signer's text. */
export function* statusDocumentInSteps(sources: StatusSources): Steps<StatusDocument> {
  const checks = sources.ready();
  const volumes: VolumeEntry[] = [];
  for (const volume of sources.volumes()) {
    volumes.push(yield* volumeEntry(volume));
  }
  const states = { not_yet_issued: 0, fresh: 0, overdue_for_refresh: 0, expired: 0, denied: 0, failed: 0, ended: 0 };
  for (const { state } of volumes.flatMap(({ credentials }) => credentials)) {
    states[state] += 1;
  }
  return {
    version: sources.version,
    node: sources.nodeName,
    driver: sources.driverName,
    startedAt: timeText(sources.startedAt),
    now: timeText(sources.now()),
    ready: checks.every(({ ok }) => ok),
    checks: checks.map(({ name, ok, message }) =>
      ok || message === undefined ? { name, ok } : { name, ok, message: singleLine(message, maxTextLength) },
    ),
    states,
    volumes,
  };
}

function* volumeEntry({
  volume,
  status,
  credentials,
  expiredAnchors,
  waitsForAnchorsSince,
  served,
}: VolumeSnapshot): Steps<VolumeEntry> {
  const { pod, volumeName, declaration } = volume;
  const known = new Map(credentials.map((credential) => [credential.source, credential]));
  const entries: CredentialEntry[] = [];
  for (const source of declaration.sources) {
    if (source.kind === 'podCertificate') {
      entries.push(credentialEntry(source, known.get(source.index)));
      yield;
    }
  }
  return {
    namespace: pod.namespace,
    pod: pod.name,
    podUID: pod.uid,
    volume: volumeName,
    status: status.type,
    ...(status.type === 'ready' ? {} : { message: singleLine(status.message, maxTextLength) }),
    ...moment('waitsForAnchorsSince', waitsForAnchorsSince),
    ...(served === undefined ? {} : { served: servedEntry(served) }),
    credentials: entries,
    trustAnchors: declaration.sources
      .filter((source) => source.kind === 'clusterTrustBundle')
      .map((source) => trustAnchorEntry(source, expiredAnchors?.get(source.index))),
  };
}

function servedEntry({ state, since }: Served): NonNullable<VolumeEntry['served']> {
  const at = timeText(since);
  const message = servedTrouble[state];
  return { state, since: at, ...(message === undefined ? {} : { message: `${message}; its files changed at ${at}` }) };
}

const servedTrouble: Readonly<Record<Served['state'], string | undefined>> = {
  looking: undefined,
  current: undefined,
  other: 'the program does not serve the certificate in its files',
  unknown: 'it cannot be seen whether the program serves the certificate in its files',
};

function credentialEntry(source: PodCertificateSource, credential: CredentialSnapshot | undefined): CredentialEntry {
  const { index, signerName, keyType } = source;
  const paths = [
    source.credentialBundlePath,
    source.keyPath,
    source.certificateChainPath,
    source.leafPath,
    source.intermediatesPath,
    source.caPath,
    source.keystorePath,
    source.truststorePath,
    source.passwordPath,
  ];
  const files = paths.filter((path) => path !== undefined);
  if (credential === undefined) {
    return { source: index, signerName, keyType, files, state: 'not_yet_issued' };
  }
  const { requestName, serialNumber, lastError } = credential;
  return {
    source: index,
    signerName,
    keyType: credential.keyType,
    files,
    state: credential.state,
    ...(requestName === undefined ? {} : { request: requestName }),
    ...(serialNumber === undefined ? {} : { serial: serialNumber }),
    ...moment('notBefore', credential.notBefore),
    ...moment('notAfter', credential.notAfter),
    ...moment('refreshAt', credential.refreshAt),
    ...(lastError === undefined ? {} : { lastError: singleLine(lastError, maxTextLength) }),
    ...moment('trustMismatchSince', credential.trustMismatchSince),
    ...moment('nextAttemptAt', credential.nextAttemptAt),
  };
}

function moment<K extends string>(key: K, time: number | undefined): { readonly [P in K]?: string } {
  return (time === undefined ? {} : { [key]: timeText(time) }) as { readonly [P in K]?: string };
}

function trustAnchorEntry(
  { index, select, optional, path, expired: handling }: ClusterTrustBundleSource,
  expired: number | undefined,
): TrustAnchorEntry {
  return {
    source: index,
    of: select.by === 'name' ? select.name : select.signerName,
    optional,
    file: path,
    ...(expired === undefined ? {} : { expired }),
    ...(handling === 'drop' ? { dropsExpired: true } : {}),
  };
}
