/**
 * One credential's life, as states, events and effects. `credential.ts` says what leads from one state to the next.
 *
 *      ┌────────────────────────────────── refreshAt ◄───────────────────────────────────┐
 *      ▼       key made             accepted            issued              written         │
 *   generating ─────────► submitting ────────► awaiting ────────► projecting ──────────► fresh
 *      ▲ │                   ▲ │                  │                   │
 *      │ │ failed   resubmit │ │ rejected         │ denied, failed,   │ ran out while
 *      │ ▼                   │ ▼                  ▼ deleted, …        ▼ held back
 *      └──────────────────── pausing ◄────────────┴───────────────────┘
 *
 *   awaiting ── issued, but not valid yet ──► maturing ── valid, or nothing else is ──► projecting
 *
 *   fresh ── its chain leads to none of its signer's anchors ──► generating, earlier than at refreshAt
 *
 *   any ── the pod has ended ──► ended ── it lives after all ──► fresh, or generating where that is due
 *
 * `current` is the certificate in the volume's files. It goes along through every state of a refresh and is replaced only
 * by `written`, so nothing that happens to a refresh can take a valid certificate away.
 *
 * A pause after a request that may not have reached the API server leads back to `submitting` with the same key and the
 * same request name; after an answer it leads to a new key, and with it to a new name: no request is asked twice.
 */

import type {
  CertificateRecord,
  IssuedChain,
  PendingRequest,
  Setback,
  TrustRecord,
} from '../../volumes/base/volume.ts';
import type { KeyType } from '../../volumes/declaration/key-types.ts';
import type { Priority } from '../base/call.ts';
import type { AgentError } from '../base/errors.ts';
import type { CredentialNotice, CredentialSubject, EndReason, Phase } from './notices.ts';
import type { Hurdle } from './ports.ts';

/** What has been said about the certificate in the files: nothing yet, that its refresh is late, that it has expired. */
export type Warned = 'nothing' | 'overdue' | 'expired';

/** Whether the chain in the files leads to one of its signer's anchors that lie beside it. */
export type TrustVerdict =
  /** There are none, it cannot be said, or nobody has looked yet. */
  'unknown' | 'leads' | 'mismatch';

/** How the chain in the files stands to its signer's anchors. After a restart `mismatch` waits to be found again. */
export interface Trust extends TrustRecord {
  readonly verdict: TrustVerdict;
  /** With how many anchors the chain was compared. */
  readonly anchors: number;
}

/** What every state of an issuance carries along. */
export interface Attempt {
  readonly keyType: KeyType;
  /** The certificate in the files; absent until the first one. */
  readonly current: CertificateRecord | undefined;
  readonly trust: Trust;
  readonly warned: Warned;
  /** Failures in a row since the last certificate. */
  readonly failures: number;
  /** When the first of them was seen; absent while there is none, and for those of an earlier run. */
  readonly failingSince?: number;
  /** The last of them: until there is another answer, it is what is known of the signer. */
  readonly lastFailure: Failure | undefined;
  /** When this issuance was decided on. */
  readonly startedAt: number;
  /** When the present step was begun. */
  readonly since: number;
}

/** A key is being made. */
export interface Generating {
  readonly name: 'generating';
  readonly attempt: Attempt;
}

/** The request is on its way to the API server. */
export interface Submitting {
  readonly name: 'submitting';
  readonly attempt: Attempt;
  readonly requestName: string;
  /** What has to come first, where something has: a token of the pod that the kubelet hands over. */
  readonly waitsFor?: string;
}

/** The API server has the request; the signer has not answered. */
export interface Awaiting {
  readonly name: 'awaiting';
  readonly attempt: Attempt;
  readonly requestName: string;
  readonly giveUpAt: number;
  /** What the request waits for, where its API shows that. */
  readonly hurdle: Hurdle | undefined;
  /** What the pod has been told of the waiting; undefined before it was told anything. */
  readonly told: { readonly hurdle: Hurdle | undefined } | undefined;
  /** The pod is told no sooner; again only of another hurdle, after as long a time as it has waited until then. */
  readonly tellAt: number;
}

/**
 * The certificate is good, but by this node's clock its notBefore is still to come: it is held back until `until`, so that
 * it neither replaces one that is valid nor starts a pod that could not use it. The volume has it already.
 */
export interface Maturing {
  readonly name: 'maturing';
  readonly attempt: Attempt;
  readonly requestName: string;
  readonly answer: IssuedChain;
  readonly until: number;
}

/** The certificate is good and not yet in the files: being written, or waiting for the volume's other sources. */
export interface Projecting {
  readonly name: 'projecting';
  readonly attempt: Attempt;
  readonly answer: IssuedChain;
  /** Becomes `current` once it is in the files; its refresh time is drawn already. */
  readonly certificate: CertificateRecord;
}

/** Why the last attempt failed. */
export type Failure =
  | { readonly kind: 'denied' | 'failed'; readonly reason: string; readonly message: string }
  | { readonly kind: 'lost'; readonly why: 'deleted' | 'unanswered' | 'outdated' }
  | { readonly kind: 'error'; readonly phase: Phase; readonly error: AgentError };

/** Something failed; the next attempt comes at `until`. */
export interface Pausing {
  readonly name: 'pausing';
  readonly attempt: Attempt;
  readonly until: number;
  readonly failure: Failure;
  /** The request to submit again; absent: a new key, and with it a new request. */
  readonly resubmit: string | undefined;
}

/** The files hold a certificate that needs no refresh yet. */
export interface Fresh {
  readonly name: 'fresh';
  readonly keyType: KeyType;
  readonly current: CertificateRecord;
  readonly trust: Trust;
}

/** The pod has ended. Whatever certificate it has stays in the files; as long as the volume is there the pod is looked for. */
export interface Ended {
  readonly name: 'ended';
  readonly keyType: KeyType;
  readonly current: CertificateRecord | undefined;
  readonly trust: Trust;
  readonly warned: Warned;
  readonly why: EndReason;
  /** When the pod was looked for last. */
  readonly since: number;
  readonly recheckAt: number;
  /** How often the pod was looked for since it ended. */
  readonly checks: number;
}

export type CredentialState = Generating | Submitting | Awaiting | Maturing | Projecting | Pausing | Fresh | Ended;

export type CredentialEvent =
  /** The key is made and stored under this request name. */
  | { readonly type: 'keyMade'; readonly requestName: string }
  | { readonly type: 'keyFailed'; readonly error: AgentError }
  /** The request cannot be made before something else has come. */
  | { readonly type: 'heldUp'; readonly requestName: string; readonly waitsFor: string }
  /** The API server has the request. */
  | { readonly type: 'submitted'; readonly requestName: string }
  | { readonly type: 'submitFailed'; readonly requestName: string; readonly error: AgentError }
  /** The signer's certificate passed every check. */
  /** `doubt`: by no clock is it valid before long, so that the signer may do better when it is asked again. */
  | { readonly type: 'accepted'; readonly answer: IssuedChain; readonly doubt?: AgentError }
  /** The signer's certificate failed a check. */
  | { readonly type: 'unusable'; readonly error: AgentError }
  /** The signer said no; with `followSuggestion`, the suggested key type is tried next. */
  | {
      readonly type: 'refused';
      readonly kind: 'denied' | 'failed';
      readonly reason: string;
      readonly message: string;
      readonly suggested?: KeyType;
      readonly followSuggestion: boolean;
    }
  /** What the request waits for is another thing now. */
  | { readonly type: 'hindered'; readonly hurdle: Hurdle }
  /** The request was deleted before it was answered. */
  | { readonly type: 'deleted' }
  /** The stored key is damaged, or not the certificate's. */
  | { readonly type: 'keyUnfit'; readonly error: AgentError }
  /** The files hold the answer. */
  | { readonly type: 'written' }
  /** The pod has addresses now, which the certificate in the files was asked for without. */
  | { readonly type: 'addressesKnown' }
  /** The chain in the files was compared with so many anchors of its signer that lie beside it. */
  | { readonly type: 'trustJudged'; readonly verdict: TrustVerdict; readonly anchors: number }
  /** `wakeTime` has come, or the wall clock was set back. */
  | { readonly type: 'timer' }
  /** Something changed that may let the next attempt succeed, or an operator says so. */
  | { readonly type: 'retryNow' }
  | { readonly type: 'podEnded'; readonly why: EndReason }
  /** A pod that counted as ended was found alive. */
  | { readonly type: 'podLives' };

/** A notice without the parts that say which credential it is about. */
export type CredentialNews = CredentialNotice extends infer N
  ? N extends CredentialNotice
    ? Omit<N, keyof CredentialSubject>
    : never
  : never;

export type Effect =
  | { readonly type: 'makeKey'; readonly keyType: KeyType }
  | { readonly type: 'submit'; readonly requestName: string; readonly priority: Priority }
  | { readonly type: 'follow'; readonly requestName: string }
  | { readonly type: 'unfollow' }
  /** Into the files, as soon as the volume's other sources allow it. */
  | { readonly type: 'project'; readonly certificate: CertificateRecord; readonly answer: IssuedChain }
  /** Keep the answer in the volume, beside its key, until it may be projected. */
  | { readonly type: 'saveAnswer'; readonly requestName: string; readonly answer: IssuedChain }
  /** Keep in the volume how the request failed, or forget that one has. */
  | { readonly type: 'saveSetback'; readonly setback: Setback | undefined }
  /** Keep it in the volume, beside the record of the certificate in the files. */
  | { readonly type: 'saveTrust'; readonly trust: TrustRecord }
  /** Forget the request and its key. */
  | { readonly type: 'discardPending' }
  /** Look whether the pod lives. */
  | { readonly type: 'checkPod' }
  | { readonly type: 'notify'; readonly news: CredentialNews };

export interface Transition {
  readonly state: CredentialState;
  readonly effects: readonly Effect[];
}

/** The moment of a step: the wall clock, and a number drawn from [0, 1) for whatever jitter the step needs. */
export interface Moment {
  readonly now: number;
  readonly random: number;
}

/** What a volume knows of a credential when the agent takes it up. */
export interface Found {
  readonly current: CertificateRecord | undefined;
  readonly trust?: TrustRecord | undefined;
  readonly pending: PendingRequest | undefined;
  readonly setback?: Setback | undefined;
}
