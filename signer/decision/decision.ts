/** What a request gets: a certificate, a refusal for good, or nothing yet. Refusals are read by the author of a pod in its events. */
import type { LeafOrder } from '../authority/authority.ts';

export type Decision =
  | {
      readonly type: 'issue';
      readonly order: LeafOrder /** Milliseconds since the epoch. */;
      readonly beginRefreshAt: number;
    }
  | Refusal
  /** It may be granted later: it is looked at again. */
  | { readonly type: 'wait'; readonly message: string };

export interface Refusal {
  readonly type: 'refuse';
  /** One word in CamelCase. */
  readonly reason: string;
  readonly message: string;
}

/** Reasons that Kubernetes defines are spelt as there; the others are this signer's. */
export type Reason =
  | 'UnsupportedKeyType'
  | 'InvalidUnverifiedUserAnnotations'
  /** The request does not fit the pod that it names, or there is no such pod. */
  | 'PodMismatch'
  /** The request holds what this signer does not understand. */
  | 'InvalidRequest';

export function refuse(reason: Reason, message: string): Refusal {
  return { type: 'refuse', reason, message };
}
