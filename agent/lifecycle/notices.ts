/**
 * What happens to a volume, as one stream: the lifecycle says it here once, and `observe/` makes log lines, metrics and
 * events on the pod of it. Nothing secret is ever part of a notice.
 */

import type { VolumeRecord } from '../../volumes/base/volume.ts';
import type { KeyType } from '../../volumes/declaration/key-types.ts';
import type { AgentError } from '../base/errors.ts';
import type { Hurdle } from './ports.ts';
import type { UptakeNotice } from './uptake.ts';

/** The parts of an issuance that take time, in their order. */
export type Phase =
  /** Making the key and storing it. */
  | 'key'
  /** From the first attempt to create the request until the API server has it. */
  | 'request'
  /** From the created request to the signer's answer. */
  | 'signer'
  /** From the answer to the files. */
  | 'write';

/** Why a pod counts as ended: it does not exist any more, or its phase is Succeeded or Failed. */
export type EndReason = 'gone' | 'finished';

/** Which credential of which volume a notice speaks of. */
export interface CredentialSubject {
  readonly volume: VolumeRecord;
  readonly source: number;
  readonly signerName: string;
  readonly keyType: KeyType;
}

/** What happened to one credential (a podCertificate source of a volume). Durations are in milliseconds. */
export type CredentialNotice = CredentialSubject &
  (
    | { readonly type: 'keyMade'; readonly requestName: string; readonly tookMs: number }
    | { readonly type: 'requested'; readonly requestName: string; readonly tookMs: number }
    /** The request is made as soon as what it waits for is there: a token that the kubelet hands over. */
    | { readonly type: 'requestHeldUp'; readonly requestName: string; readonly waitsFor: string }
    /** The request has not been answered for a while; said once a request, and again where it waits for something else. */
    | {
        readonly type: 'waitingForSigner';
        readonly requestName: string;
        readonly waitedMs: number;
        /** What it waits for, where its API shows that. */
        readonly hurdle?: Hurdle;
        /** Set when it was said of this request before. */
        readonly again?: true;
        /** At a refresh: until when the certificate in the files is valid. */
        readonly notAfter?: number;
      }
    /** The signer's certificate was accepted. */
    | { readonly type: 'answered'; readonly requestName: string; readonly tookMs: number }
    /**
     * By this node's clock the certificate is not valid before `notBefore`, which is `aheadMs` away; it is held back until
     * `until`, and a certificate that the files hold stays until then.
     */
    | {
        readonly type: 'notYetValid';
        readonly requestName: string;
        readonly notBefore: number;
        readonly aheadMs: number;
        readonly until: number;
      }
    /** The files hold the certificate. */
    | {
        readonly type: 'projected';
        readonly requestName: string;
        /** First certificate of the volume, or a renewal. */
        readonly first: boolean;
        readonly serialNumber: string;
        readonly notBefore: number;
        readonly notAfter: number;
        readonly refreshAt: number;
        /** The leaf's subject alternative names, empty where it has none; absent: not known. */
        readonly names?: string;
        /** Of the first certificate: its refresh was planned for the last tenth of its lifetime. */
        readonly isRefreshLate?: true;
        /** From the answer to the files. */
        readonly writeMs: number;
        /** From the decision to ask to the files. */
        readonly totalMs: number;
      }
    | {
        readonly type: 'denied' | 'failed';
        readonly requestName: string;
        readonly reason: string;
        readonly message: string;
        readonly retryAt: number;
      }
    /** The signer denied the key type and named one that it supports. */
    | {
        readonly type: 'keyTypeSuggested';
        readonly suggested: KeyType;
        /** True when the agent goes on with the suggested type. */
        readonly followed: boolean;
      }
    /**
     * The request was deleted before it was answered, was given up after waiting long, or was answered but ran out
     * before the volume's other sources were ready.
     */
    | {
        readonly type: 'requestLost';
        readonly requestName: string;
        readonly why: 'deleted' | 'unanswered' | 'outdated';
        readonly retryAt: number;
      }
    /** A step of the agent failed: making the key, the request, the checks of the chain, or writing. */
    | { readonly type: 'attemptFailed'; readonly phase: Phase; readonly error: AgentError; readonly retryAt: number }
    /** The refresh, planned for `refreshAt`, is overdue: there is no new certificate. */
    | { readonly type: 'refreshOverdue'; readonly refreshAt: number; readonly notAfter: number }
    | {
        readonly type: 'expired';
        readonly notAfter: number;
        /** Set when nobody renews it, since the pod counts as ended. */
        readonly podEnded?: EndReason;
      }
    /**
     * The chain in the files leads to none of the anchors of its signer that lie beside it, and has not since `since`. The
     * refresh comes at `refreshAt`. Said once for each certificate.
     */
    | { readonly type: 'trustMismatch'; readonly anchors: number; readonly since: number; readonly refreshAt: number }
    /** A mismatch that was told is over: the chain leads to an anchor, or there is none to compare it with. */
    | { readonly type: 'trustMismatchOver'; readonly leads: boolean; readonly anchors: number }
    /** Found after a restart of the agent: a certificate still good, or a request under way. */
    | { readonly type: 'adopted'; readonly notAfter: number; readonly refreshAt: number }
    | { readonly type: 'resumed'; readonly requestName: string }
    /** The pod has ended; its certificate is refreshed no more, unless the pod is found alive at a later look. */
    | {
        readonly type: 'podEnded';
        readonly why: EndReason;
        /** Of the certificate in the files, where there is one. */
        readonly notAfter?: number;
        readonly recheckAt: number;
      }
    /** A pod that counted as ended lives; its certificate is refreshed again. */
    | { readonly type: 'podLives' }
  );

/** Trust domains whose anchors have come into the files, and gone from them. */
export interface FederationChange {
  readonly come: readonly string[];
  readonly gone: readonly string[];
}

/** What happened to one clusterTrustBundle source. */
export type TrustNotice = { readonly volume: VolumeRecord; readonly source: number } & (
  | {
      readonly type: 'anchorsProjected';
      readonly first: boolean;
      readonly certificates: number;
      /** Of a source that keeps trust domains apart: those that the files have now. */
      readonly trustDomains?: readonly string[];
      /** Of a source that had some before, where they are not the same any more. */
      readonly federation?: FederationChange;
    }
  | {
      readonly type: 'anchorsMissing';
      readonly message: string;
      readonly isOperators?: true;
      /** Set when there are anchors in the files, which stay: all, or those of the pod's own trust domain. */
      readonly kept?: true | 'own';
    }
  /** There are bundles, and they go over a limit or cannot be read; the message says who can mend that. */
  | { readonly type: 'anchorsRefused'; readonly message: string }
  /** Some of the anchors that the source selects have expired; said again when there are more. */
  | { readonly type: 'anchorsExpired'; readonly expired: number; readonly dropped: boolean }
  | { readonly type: 'anchorsNotWritten'; readonly error: AgentError; readonly retryAt: number }
);

/** What happened to a volume as a whole. */
export type VolumeNotice = { readonly volume: VolumeRecord } & (
  | { readonly type: 'publishing' }
  | { readonly type: 'published'; readonly tookMs: number }
  | { readonly type: 'unpublished' }
  /** Containers of its pod mount but a part of it, and see no renewal. Said once, when the volume is made. */
  | { readonly type: 'mountedBySubPath'; readonly containers: readonly string[] }
  /** Its own state could not be used, or its files were damaged; it was made anew, and its certificates are renewed. */
  | { readonly type: 'healed'; readonly reason: string }
  /** It cannot be taken up or made anew: its certificates expire. Said once a reason. */
  | { readonly type: 'unusable'; readonly reason: string }
  | UptakeNotice
);

export type Notice = CredentialNotice | TrustNotice | VolumeNotice;

/** Takes a notice; never throws and never waits. */
export type Reporter = (notice: Notice) => void;

/**
 * The states of a credential as the kubelet's metric `kubelet_podcertificate_states` names them, and `ended`: its pod has
 * ended, its volume is still there, and its certificate, if it has one, has not expired.
 */
export type CredentialStateName =
  | 'not_yet_issued'
  | 'fresh'
  | 'overdue_for_refresh'
  | 'expired'
  | 'denied'
  | 'failed'
  | 'ended';

/** One credential as it stands, for metrics and the status page. Times are milliseconds since the epoch. */
export interface CredentialSnapshot extends CredentialSubject {
  readonly state: CredentialStateName;
  readonly requestName?: string;
  readonly serialNumber?: string;
  readonly notBefore?: number;
  readonly notAfter?: number;
  readonly beginRefreshAt?: number;
  /** Earlier than was planned while there is a mismatch. */
  readonly refreshAt?: number;
  readonly nextAttemptAt?: number;
  readonly lastError?: string;
  /** Since when its first certificate is waited for; absent: it is there, or what is missing is another source's. */
  readonly waitingSince?: number;
  /** Since when the chain is known to lead to none of its signer's anchors that lie beside it; absent: it is not. */
  readonly trustMismatchSince?: number;
  /** How the last request was refused, a refresh's too, until there is another answer. */
  readonly refusal?: { readonly outcome: 'denied' | 'failed'; readonly reason: string };
}
