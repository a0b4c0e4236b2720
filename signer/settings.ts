/** What the signer runs with; lifetimes and pauses in milliseconds. */
import type { IdentitySource } from '../agent/kubernetes/identity.ts';
import type { LeaseTimes } from './api/election.ts';
import type { Policy } from './decision/policy.ts';

export interface SignerSettings {
  readonly policy: Policy;
  readonly identity: IdentitySource;
  /** Where Secret and Lease lie. */
  readonly namespace: string;
  /** Name of the Lease; with `-ca` behind it of the Secret, with the signer's name before it of the bundle. */
  readonly name: string;
  /** Who this replica is, in the Lease. */
  readonly replica: string;
  /** How long a CA lives. */
  readonly authorityMs: number;
  /** What is done about CertificateSigningRequests: nothing, signing those that are approved, or approving those that fit as well. */
  readonly signingRequests: 'none' | 'sign' | 'approve';
  /** `namespace:name` of the agent's service account, for approving. */
  readonly agentAccount: string | undefined;
  /** Absent: no health and metrics are served. */
  readonly listenAddress: { readonly host: string; readonly port: number } | undefined;
  readonly requestsPerSecond: number;
  readonly lease: LeaseTimes;
  /** How often CA, Secret and bundle are looked after. */
  readonly tendEveryMs: number;
}
