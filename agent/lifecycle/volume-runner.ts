/**
 * Runs one volume: its credentials, its trust anchors, and the projection that makes files of them.
 *
 * Before the first projection every source is waited for, since a container must not start without its files. From then
 * on each source goes its own way: what changes is projected at once, and what cannot be renewed stays as it is.
 */

import { messageOf, VolumeError } from '../../volumes/base/errors.ts';
import type { OpenVolume, VolumeRecord } from '../../volumes/base/volume.ts';
import { wantsAnchors } from '../../volumes/declaration/pod-certificate.ts';
import type { ClusterTrustBundleSource } from '../../volumes/declaration/types.ts';
import { AgentError } from '../base/errors.ts';
import type { OneATurn } from '../base/one-a-turn.ts';
import { type CredentialDependencies, type CredentialRunner, runCredential } from './credential-runner.ts';
import type { CredentialSnapshot, EndReason, FederationChange, Notice, Reporter } from './notices.ts';
import type { Anchors, LeadsToAnchor, TrustAnchors } from './ports.ts';
import { createProjection, type Staged } from './projection.ts';
import { isAsking, isHelpedLater, type Relief, relievedAt } from './relief.ts';
import { createTrustCheck } from './trust-check.ts';
import {
  type AnchorContent,
  certificatesIn,
  changeOf,
  createTrustDomainMemory,
  trustDomainsIn,
} from './trust-domains.ts';
import type { Served, Uptake } from './uptake.ts';
import { credentialSnapshot, type Unready, type VolumeStatus, volumeStatus } from './volume-status.ts';

export interface VolumeDependencies extends CredentialDependencies {
  readonly trust: TrustAnchors;
  readonly leadsToAnchor: LeadsToAnchor;
  /** What comes after a change of files; absent: nothing. */
  readonly uptake?: Uptake;
  /** Takes an error that nothing depends on, such as a file that could not be removed. */
  readonly onFault: (error: unknown, what: string) => void;
}

export interface VolumeRunner {
  readonly record: VolumeRecord;
  status(): VolumeStatus;
  /** Calls back when the status may have changed. @returns ends that. */
  onChange(listener: () => void): () => void;
  /** False when the volume, or files that were written, are there no more. */
  isIntact(): boolean;
  snapshot(): readonly CredentialSnapshot[];
  /** By source: how many of the anchors that it selects have expired, where any has. */
  expiredAnchors(): ReadonlyMap<number, number>;
  /** By source that keeps trust domains apart: those in its files. */
  trustDomains(): ReadonlyMap<number, readonly string[]>;
  /** How the certificate that the pod's program serves stands to the files; undefined: nobody looks, or nothing has changed yet. */
  served(): Served | undefined;
  /** Since when nothing but trust anchors is missing; undefined: it is not so. */
  waitsForAnchorsSince(): number | undefined;
  /** Something has changed for the better: credentials that it may help try again. @returns those, as they stand now */
  relieve(relief: Relief): readonly CredentialSnapshot[];
  /** Lets go of the volume and leaves everything in it as it is: for its removal, or for the agent's next run. */
  stop(isRemoved?: boolean): void;
}

/** @param oneATurn runs what is not urgent, for all volumes of the node */
export function runVolume(volume: OpenVolume, dependencies: VolumeDependencies, oneATurn: OneATurn): VolumeRunner {
  const { clock, random, report, trust, leadsToAnchor, onFault } = dependencies;
  const { record } = volume;
  const { sources } = record.declaration;
  const credentials = new Map<number, CredentialRunner>();
  const missing = new Map<number, string>();
  /** By source: how many of the anchors that it selects have expired. */
  const expired = new Map<number, number>();
  /** By source that keeps trust domains apart: those in the files. */
  const trustDomains = new Map<number, readonly string[]>();
  const apart = createTrustDomainMemory();
  const subscriptions: (() => void)[] = [];
  const listeners = new Set<() => void>();
  /** By source: when a relief will end the credential's pause, and what calls that off. */
  const reliefs = new Map<
    number,
    { readonly at: number; readonly retryAt: number | undefined; readonly cancel: () => void }
  >();
  /** By source: what came while an attempt was under way, which may yet fail for what is mended by now. */
  const early = new Map<number, Map<Relief['type'], Relief>>();

  let anchorsAwaitedSince: number | undefined;

  const noteWaiting = (): void => {
    anchorsAwaitedSince = needsAnchorsOnly(unready()) ? (anchorsAwaitedSince ?? clock.now()) : undefined;
  };

  const changed = (): void => {
    takeUpEarly();
    noteWaiting();
    for (const listener of [...listeners]) {
      listener();
    }
  };

  const unready = () =>
    sources
      .filter(({ index }) => !projection.has(index))
      .map((source) => ({
        source,
        credential: credentials.get(source.index),
        isStaged: projection.awaitsWriting(source.index),
        missing: missing.get(source.index),
      }));

  const onLeftover = (index: number, cause: unknown): void =>
    onFault(cause, `the request of sources[${index}] could not be removed from ${record.targetPath}`);

  const fault = (index: number, error: unknown): void =>
    onFault(error, `a fault while looking after sources[${index}] of ${record.targetPath}`);

  const trustCheck = createTrustCheck(volume, {
    clock,
    leadsToAnchor,
    oneATurn,
    onVerdict: (index, verdict, anchors) => credentials.get(index)?.judged(verdict, anchors),
    onFault: fault,
  });

  const uptake = dependencies.uptake?.(volume, (notice) => report({ volume: record, ...notice }));
  const settle = (): void => {
    if (uptake !== undefined && sources.every(({ index }) => projection.has(index))) {
      uptake.settled();
    }
  };

  const projection = createProjection(volume, {
    clock,
    random,
    onWritten(index, content, { first, changed: rewritten }) {
      if (content.kind === 'credential') {
        credentials.get(index)?.written();
        trustCheck.chainWritten(index);
      } else {
        onAnchorsWritten(index, content, first || rewritten, first);
      }
      settle();
      changed();
    },
    onKept: (index, requestName) => credentials.get(index)?.kept(requestName),
    onNotWritten: (index, content, cause, retryAt) =>
      reportNotWritten(report, record, credentials.get(index), index, content, cause, retryAt),
    belongs: dependencies.keys.belongs,
    onUnfit: (index, why) => credentials.get(index)?.keyUnfit(why),
    onLeftover,
  });

  const onAnchorsWritten = (index: number, content: AnchorContent, isNew: boolean, first: boolean): void => {
    const { certificates, byTrustDomain } = content;
    const names = trustDomainsIn(content);
    const federation = changeOf(trustDomains.get(index), names);
    if (names !== undefined) {
      trustDomains.set(index, names);
    }
    // With trust domains apart, none means that those of the pod's own stay as they were.
    if (byTrustDomain === undefined || certificates.length > 0) {
      trustCheck.anchorsWritten(index, certificates);
    }
    if (isNew) {
      report(anchorsProjected(record, index, first, certificatesIn(content), names, federation));
    }
  };

  const stopTrust = (): void => {
    for (const unsubscribe of subscriptions.splice(0)) {
      unsubscribe();
    }
  };

  const startTrust = (): void => {
    for (const source of sources) {
      if (source.kind !== 'clusterTrustBundle') {
        continue;
      }
      subscriptions.push(trust.subscribe(source, (anchors) => onAnchors(source, anchors)));
    }
  };

  const podEnded = (why: EndReason): void => {
    stopTrust();
    uptake?.stop();
    for (const credential of credentials.values()) {
      credential.end(why);
    }
  };

  const podLives = (): void => {
    stopTrust();
    startTrust();
    for (const credential of credentials.values()) {
      credential.revive();
    }
    settle();
  };

  const relieve = (relief: Relief): readonly CredentialSnapshot[] => {
    const helped: CredentialRunner[] = [];
    for (const [index, credential] of credentials) {
      if (relieveOne(index, credential, relief)) {
        helped.push(credential);
      } else if (isHelpedLater(relief, credential.state())) {
        early.set(index, (early.get(index) ?? new Map()).set(relief.type, relief));
      }
    }
    return helped.map((credential) => credentialSnapshot(record, credential, clock.now()));
  };

  /** @returns whether the relief helps it */
  const relieveOne = (index: number, credential: CredentialRunner, relief: Relief): boolean => {
    const now = clock.now();
    const at = relievedAt(relief, credential.source, credential.state(), { now, random: random() });
    if (at === undefined) {
      return false;
    }
    const retryAt = credential.retryAt();
    const planned = reliefs.get(index);
    // One that is said again and again moves nothing: the time that was drawn first stays.
    if (planned?.retryAt === retryAt && planned !== undefined && planned.at <= at) {
      return true;
    }
    planned?.cancel();
    // Unless another attempt has been made by then.
    const wake = (): void => void (credential.retryAt() === retryAt && credential.wake());
    if (at <= now) {
      credential.wake();
    } else {
      reliefs.set(index, { at, retryAt, cancel: clock.at(at, wake) });
    }
    return true;
  };

  /** An attempt that was under way when a relief came has ended. */
  const takeUpEarly = (): void => {
    for (const [index, came] of early) {
      const credential = credentials.get(index);
      if (credential !== undefined && !isAsking(credential.state())) {
        early.delete(index);
        for (const relief of came.values()) {
          relieveOne(index, credential, relief);
        }
      }
    }
  };

  const stop = (isRemoved = false): void => {
    stopTrust();
    for (const { cancel } of reliefs.values()) {
      cancel();
    }
    trustCheck.stop();
    uptake?.stop();
    projection.stop();
    for (const credential of credentials.values()) {
      credential.stop(isRemoved);
    }
    listeners.clear();
  };

  const host = {
    project: (index: number, content: Omit<Staged & { kind: 'credential' }, 'kind'>): void =>
      projection.stage(index, { kind: 'credential', ...content }),
    discard(index: number): void {
      projection.unstage(index);
      try {
        volume.discardPending(index);
      } catch (error) {
        onLeftover(index, error);
      }
    },
    podEnded,
    podLives,
    fault,
    changed,
  };

  const noteExpired = (source: ClusterTrustBundleSource, anchors: Anchors): void => {
    const count = anchors.type === 'refused' ? 0 : (anchors.expired ?? 0);
    const known = expired.get(source.index) ?? 0;
    if (count > 0) {
      expired.set(source.index, count);
    } else {
      expired.delete(source.index);
    }
    if (count > known) {
      const dropped = source.expired === 'drop';
      report({ type: 'anchorsExpired', volume: record, source: source.index, expired: count, dropped });
    }
  };

  const onAnchors = (source: ClusterTrustBundleSource, anchors: Anchors): void => {
    const areInFiles = projection.has(source.index);
    const content = apart.contentFor(source, anchors, areInFiles);
    const leftOut = apart.newlyLeftOut(source.index, anchors);
    if (leftOut !== undefined) {
      report({ type: 'anchorsRefused', volume: record, source: source.index, message: `left out: ${leftOut}` });
    }
    if (content !== undefined) {
      noteExpired(source, anchors);
      projection.stage(source.index, content);
    }
    const mayGoWithout = source.optional || source.trustDomains?.needsOwn === false;
    if (anchors.type === 'found' || (anchors.type === 'missing' && mayGoWithout)) {
      const wasMissing = missing.delete(source.index);
      // Whoever has just published its anchors may have just begun to sign, too.
      const { select } = source;
      if (wasMissing) {
        relieve({ type: 'bundleArrived', signerName: select.by === 'signer' ? select.signerName : undefined });
      }
      return;
    }
    missing.set(source.index, anchors.message);
    // A pod does not start with anchors that were withdrawn while it waited for its other sources.
    if (!areInFiles) {
      projection.unstage(source.index);
    }
    report(anchorsAbsent(record, source, anchors, areInFiles));
    changed();
  };

  try {
    for (const source of sources) {
      if (source.kind !== 'podCertificate') {
        continue;
      }
      credentials.set(source.index, runCredential(volume, source, host, dependencies));
      // What came with a certificate of an earlier run is known already; bundles are told of.
      if (wantsAnchors(source) && projection.has(source.index)) {
        trustCheck.chainWritten(source.index);
      }
    }
    startTrust();
    projection.start();
    settle();
  } catch (error) {
    // What has begun must not go on without an owner.
    stop();
    throw error;
  }

  return {
    record,
    status: () => volumeStatus(record, unready()),
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    isIntact() {
      const projected = volume.projected();
      return volume.isInPlace() && sources.every(({ index }) => !projection.has(index) || projected.has(index));
    },
    expiredAnchors: () => expired,
    trustDomains: () => trustDomains,
    served: () => uptake?.served(),
    snapshot: () => [...credentials.values()].map((credential) => credentialSnapshot(record, credential, clock.now())),
    waitsForAnchorsSince() {
      noteWaiting();
      return anchorsAwaitedSince;
    },
    relieve,
    stop,
  };
}

/** True when certificates are there, or none is asked for, and trust anchors are not. */
function needsAnchorsOnly(unready: readonly Unready[]): boolean {
  const isWritable = ({ source, credential }: Unready): boolean =>
    source.kind === 'clusterTrustBundle' || credential?.state().name === 'projecting';
  return unready.some(({ missing }) => missing !== undefined) && unready.every(isWritable);
}

function anchorsAbsent(
  volume: VolumeRecord,
  { index: source }: ClusterTrustBundleSource,
  anchors: Exclude<Anchors, { readonly type: 'found' }>,
  areInFiles: boolean,
): Notice {
  const { message } = anchors;
  if (anchors.type === 'refused') {
    return { volume, source, type: 'anchorsRefused', message };
  }
  const isOperators = anchors.isOperators === true ? { isOperators: anchors.isOperators } : {};
  const kept = anchors.byTrustDomain === undefined ? true : 'own';
  return { volume, source, type: 'anchorsMissing', message, ...isOperators, ...(areInFiles ? { kept } : {}) };
}

function anchorsProjected(
  volume: VolumeRecord,
  source: number,
  first: boolean,
  certificates: number,
  trustDomains: readonly string[] | undefined,
  federation: FederationChange | undefined,
): Notice {
  const apart = { ...(trustDomains && { trustDomains }), ...(federation && { federation }) };
  return { type: 'anchorsProjected', volume, source, first, certificates, ...apart };
}

function reportNotWritten(
  report: Reporter,
  volume: VolumeRecord,
  credential: CredentialRunner | undefined,
  source: number,
  content: Staged,
  cause: unknown,
  retryAt: number,
): void {
  const reason = messageOf(cause);
  const message = `the files of ${volume.targetPath} could not be written: ${reason}`;
  const actor = cause instanceof VolumeError && cause.code === 'OverShare' ? 'pod author' : 'cluster operator';
  const error = new AgentError('Internal', message, { actor, cause });
  if (content.kind === 'trustAnchors' || credential === undefined) {
    report({ type: 'anchorsNotWritten', volume, source, error, retryAt });
    return;
  }
  const { signerName } = credential.source;
  const { keyType } = content.certificate;
  report({ type: 'attemptFailed', volume, source, signerName, keyType, phase: 'write', error, retryAt });
}
