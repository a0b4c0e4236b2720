/**
 * What can be said of a volume: to the pod that waits for it (through the kubelet), and to whoever watches the agent.
 */

import type { CertificateRecord, VolumeRecord } from '../../volumes/base/volume.ts';
import type { ClusterTrustBundleSource, Source } from '../../volumes/declaration/types.ts';
import { unreachable } from '../base/unreachable.ts';
import { timeText } from '../time/time-text.ts';
import { currentOf, keyTypeOf, trustOf } from './credential.ts';
import type { CredentialRunner } from './credential-runner.ts';
import type { Attempt, CredentialState, Failure } from './credential-state.ts';
import { dueTime } from './credential-trust.ts';
import type { CredentialSnapshot, CredentialStateName } from './notices.ts';
import { overdueTime } from './pace.ts';
import type { Hurdle } from './ports.ts';
import { steadyText } from './steady-text.ts';
import type { Served } from './uptake.ts';

/** How a volume stands towards the pod that waits for it. */
export type VolumeStatus =
  /** All files are in place. */
  | { readonly type: 'ready' }
  /** Files are missing, and whoever they depend on has not answered yet. */
  | { readonly type: 'waiting'; readonly message: string }
  /** Files are missing, and somebody has to act before the next attempt can succeed. */
  | {
      readonly type: 'refused';
      readonly message: string;
      /** When all that failed will have been tried again, milliseconds since the epoch. */
      readonly retryAt: number;
    };

/** One volume as it stands, for the status page. */
export interface VolumeSnapshot {
  readonly volume: VolumeRecord;
  readonly status: VolumeStatus;
  /** Its podCertificate sources; one that has not been looked at yet is missing. */
  readonly credentials: readonly CredentialSnapshot[];
  /** By clusterTrustBundle source: how many of the anchors that it selects have expired, where any has. */
  readonly expiredAnchors?: ReadonlyMap<number, number>;
  /** By clusterTrustBundle source that keeps trust domains apart: those in its files. */
  readonly trustDomains?: ReadonlyMap<number, readonly string[]>;
  /** Since when nothing but trust anchors keeps the pod from starting, milliseconds since the epoch; absent: it is not so. */
  readonly waitsForAnchorsSince?: number;
  /** How the certificate that the pod's program serves stands to the files; absent: nobody looks, or nothing has changed yet. */
  readonly served?: Served;
}

/** What is looked at of a credential. */
type Shown = Pick<CredentialRunner, 'source' | 'state'>;

/** One source that is not in the files yet: what it waits for. */
export interface Unready {
  readonly source: Source;
  readonly credential: Shown | undefined;
  /** True when what it asks for is there and waits to be written. */
  readonly isStaged: boolean;
  /** What is said of trust anchors that are not there. */
  readonly missing: string | undefined;
}

/** The status of a volume of which the given sources are not in the files. */
export function volumeStatus(record: VolumeRecord, unready: readonly Unready[]): VolumeStatus {
  if (unready.length === 0) {
    return { type: 'ready' };
  }
  const parts = unready.map((part) => ({ ...describe(record, part), field: `sources[${part.source.index}]` }));
  const message = parts.map(({ field, text }) => `${field}: ${text}`).join('; ');
  const retries = parts.flatMap(({ refusedUntil }) => refusedUntil ?? []);
  return retries.length === 0
    ? { type: 'waiting', message }
    : { type: 'refused', message, retryAt: Math.max(...retries) };
}

function describe(record: VolumeRecord, { source, credential, isStaged, missing }: Unready): Description {
  if (source.kind === 'clusterTrustBundle') {
    const staged = isStaged ? 'its trust anchors are known, and are written with the other sources' : undefined;
    return { text: staged ?? missing ?? lookingFor(source) };
  }
  return credential === undefined
    ? { text: `not asked for yet from signer ${source.signerName}` }
    : describeCredential(record, source.signerName, credential.state());
}

interface Description {
  readonly text: string;
  /** When it is tried again, where somebody has to act before that can succeed. */
  readonly refusedUntil?: number;
}

function describeCredential(record: VolumeRecord, signerName: string, state: CredentialState): Description {
  const waiting = (text: string): Description => ({ text });
  const { namespace } = record.pod;
  switch (state.name) {
    case 'generating':
      return waiting(`making a key for signer ${signerName}`);
    case 'submitting':
      return waiting(
        `creating request ${namespace}/${state.requestName} for signer ${signerName}${state.waitsFor === undefined ? '' : `; ${state.waitsFor}`}`,
      );
    case 'awaiting':
      return waiting(
        state.hurdle?.text ?? `still waiting for signer ${signerName}, request ${namespace}/${state.requestName}`,
      );
    case 'maturing':
      return waiting(`signer ${signerName} has answered; ${describeMaturing(state)}`);
    case 'projecting':
      return waiting(`signer ${signerName} has answered; the certificate is written with the other sources`);
    case 'pausing': {
      const { failure } = state;
      const refused = failure.kind !== 'lost' && (failure.kind !== 'error' || failure.error.actor !== 'nobody');
      const text = `signer ${signerName}: ${steadyText(describeFailure(failure))} (asked again without anybody's doing)`;
      return refused ? { text, refusedUntil: state.until } : { text };
    }
    case 'fresh':
      return waiting(`the certificate of signer ${signerName} is being written`);
    case 'ended':
      return waiting(describeEnd(state));
    default:
      return unreachable(state);
  }
}

/** A failure in words, for its reader's next step; in full. */
function describeFailure(failure: Failure): string {
  switch (failure.kind) {
    case 'denied':
      return `the request was denied: ${failure.reason}: ${failure.message}`;
    case 'failed':
      return `the signer failed: ${failure.reason}: ${failure.message}`;
    case 'lost':
      return describeLoss(failure.why);
    case 'error':
      return failure.error.message;
    default:
      return unreachable(failure);
  }
}

/** In full, for whoever looks at the agent; the kubelet gets the words that do not change. */
function describeHurdle({ text, detail }: Hurdle): string {
  return detail === undefined ? text : `${text}; it is said: ${detail}`;
}

function describeMaturing({ answer, until }: CredentialState & { readonly name: 'maturing' }): string {
  const [from, written] = [answer.notBefore, until].map(timeText);
  return `by this node's clock the certificate is not valid before ${from}, and is written at ${written}`;
}

function describeEnd({ why }: CredentialState & { readonly name: 'ended' }): string {
  const reason = why === 'gone' ? 'it does not exist any more' : 'its phase is Succeeded or Failed';
  return `the pod has ended: ${reason} (it is looked for again)`;
}

function describeLoss(why: 'deleted' | 'unanswered' | 'outdated'): string {
  switch (why) {
    case 'deleted':
      return 'the request was deleted before it was answered';
    case 'unanswered':
      return 'the request was not answered';
    case 'outdated':
      return 'the certificate ran out while it waited for the other sources of the volume';
    default:
      return unreachable(why);
  }
}

function lookingFor({ select }: ClusterTrustBundleSource): string {
  return select.by === 'name'
    ? `looking for ClusterTrustBundle ${select.name}`
    : `looking for ClusterTrustBundles of signer ${select.signerName}`;
}

/** A credential as metrics and the status page show it at `now` (milliseconds since the epoch). */
export function credentialSnapshot(record: VolumeRecord, credential: Shown, now: number): CredentialSnapshot {
  const state = credential.state();
  const { index, signerName } = credential.source;
  const current = currentOf(state);
  return {
    volume: record,
    source: index,
    signerName,
    keyType: keyTypeOf(state),
    state: stateName(state, current, now),
    ...(current === undefined ? {} : { ...datesOf(current), refreshAt: dueTime(current, trustOf(state)) }),
    ...requestOf(state),
    ...waitOf(state),
    ...mismatchOf(state),
    ...refusalOf(state),
    ...setbackOf(state, signerName),
  };
}

/** Since when a first certificate is waited for. */
function waitOf(state: CredentialState): { readonly waitingSince?: number } {
  switch (state.name) {
    case 'generating':
    case 'submitting':
    case 'awaiting':
    case 'maturing':
    case 'pausing':
      return state.attempt.current === undefined ? { waitingSince: state.attempt.startedAt } : {};
    default:
      return {};
  }
}

function mismatchOf(state: CredentialState): { readonly trustMismatchSince?: number } {
  const { verdict, mismatch } = trustOf(state);
  return verdict === 'mismatch' && mismatch !== undefined ? { trustMismatchSince: mismatch.since } : {};
}

function refusalOf(state: CredentialState): Pick<CredentialSnapshot, 'refusal'> {
  switch (state.name) {
    case 'generating':
    case 'submitting':
    case 'awaiting':
    case 'pausing': {
      const { lastFailure: failure } = state.attempt;
      return failure?.kind === 'denied' || failure?.kind === 'failed'
        ? { refusal: { outcome: failure.kind, reason: failure.reason } }
        : {};
    }
    default:
      return {};
  }
}

/** What keeps the certificate from its refresh, and until when; and what is wrong with the one in the files. */
function setbackOf(
  state: CredentialState,
  signerName: string,
): { readonly nextAttemptAt?: number; readonly lastError?: string } {
  const texts = [describeTrouble(state), describeMismatch(state, signerName)].filter((text) => text !== undefined);
  return {
    ...(state.name === 'pausing' ? { nextAttemptAt: state.until } : {}),
    ...(state.name === 'ended' ? { nextAttemptAt: state.recheckAt } : {}),
    ...(texts.length === 0 ? {} : { lastError: texts.join('; ') }),
  };
}

function describeTrouble(state: CredentialState): string | undefined {
  switch (state.name) {
    case 'pausing':
      return describeFailure(state.failure);
    case 'generating':
      return describeLast(state.attempt);
    case 'awaiting':
      return state.hurdle === undefined ? describeLast(state.attempt) : describeHurdle(state.hurdle);
    case 'maturing':
      return describeMaturing(state);
    case 'submitting':
      return state.waitsFor ?? describeLast(state.attempt);
    case 'ended':
      return describeEnd(state);
    default:
      return undefined;
  }
}

/** While the next attempt is under way, nothing newer is known than how the one before it ended. */
function describeLast({ lastFailure }: Attempt): string | undefined {
  return lastFailure === undefined ? undefined : `${describeFailure(lastFailure)} (asked again now)`;
}

function describeMismatch(state: CredentialState, signerName: string): string | undefined {
  const { trustMismatchSince } = mismatchOf(state);
  if (trustMismatchSince === undefined) {
    return undefined;
  }
  const { anchors } = trustOf(state);
  const count = anchors === 1 ? 'the one trust anchor' : `any of the ${anchors} trust anchors`;
  const since = timeText(trustMismatchSince);
  return `the chain does not lead to ${count} of signer ${signerName} in the volume, seen since ${since}`;
}

/**
 * The kubelet's six states, and `ended`: what the files hold counts first, then how the last attempt ended that has ended: a
 * refusal stands while the signer is asked again.
 */
function stateName(state: CredentialState, current: CertificateRecord | undefined, now: number): CredentialStateName {
  if (current !== undefined) {
    if (now >= current.notAfter) {
      return 'expired';
    }
    if (state.name === 'ended') {
      return 'ended';
    }
    return now >= overdueTime(current, current.refreshAt) ? 'overdue_for_refresh' : 'fresh';
  }
  if (state.name === 'ended') {
    return 'ended';
  }
  return refusalOf(state).refusal?.outcome ?? 'not_yet_issued';
}

function datesOf({ serialNumber, notBefore, notAfter, beginRefreshAt }: CertificateRecord) {
  return { serialNumber, notBefore, notAfter, beginRefreshAt };
}

function requestOf(state: CredentialState): { readonly requestName?: string } {
  switch (state.name) {
    case 'submitting':
    case 'awaiting':
    case 'maturing':
      return { requestName: state.requestName };
    case 'projecting':
      return { requestName: state.certificate.requestName };
    case 'pausing':
      return state.resubmit === undefined ? {} : { requestName: state.resubmit };
    case 'fresh':
      return { requestName: state.current.requestName };
    case 'generating':
    case 'ended':
      return {};
    default:
      return unreachable(state);
  }
}
