/** What the operator has decided about certificates; the same for every request. */
import type { KeyType } from '../../volumes/declaration/key-types.ts';

export interface Policy {
  readonly signerName: string;
  /** SPIFFE trust domain. */
  readonly trustDomain: string;
  /** Whether a certificate names the Service that is called like the pod's service account. */
  readonly dnsNames: 'service-account' | 'none';
  /** Domain of the cluster's Services. */
  readonly clusterDomain: string;
  readonly keyTypes: readonly KeyType[];
  /** Longest lifetime, milliseconds. */
  readonly leafMs: number;
  readonly timing: Timing;
}

/** What the API server holds a certificate's times to, milliseconds. */
export interface Timing {
  readonly shortestLeafMs: number;
  /** How much earlier than now a certificate counts as valid: for readers whose clock is behind. The API server takes up to 5 minutes. */
  readonly backdateMs: number;
  /** Least distance of beginRefreshAt from both ends. */
  readonly refreshMarginMs: number;
}

export const realTiming: Timing = { shortestLeafMs: 3_600_000, backdateMs: 120_000, refreshMarginMs: 600_000 };
