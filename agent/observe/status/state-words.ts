/**
 * The states of a line of the status in words, for people; the names in JSON, metrics and addresses are the kubelet's.
 */
import type { CredentialStateName } from '../../lifecycle/notices.ts';
import type { VolumeEntry } from './document.ts';

/**
 * The state of a credential, or of a volume that has trust anchors only. `mismatch` is a fresh certificate whose chain leads to
 * none of its signer's anchors beside it.
 */
export type LineState = CredentialStateName | 'mismatch' | VolumeEntry['status'];

/** `good`: nothing to do. `warn`: it may pass by itself. `bad`: a person has to act. */
export type Weight = 'good' | 'warn' | 'bad';

interface StateWords {
  readonly words: string;
  readonly weight: Weight;
}

/** In the order in which they need a person. */
export const lineStates: Readonly<Record<LineState, StateWords>> = {
  expired: { words: 'expired', weight: 'bad' },
  denied: { words: 'denied', weight: 'bad' },
  failed: { words: 'failed', weight: 'bad' },
  mismatch: { words: 'fresh, no anchor', weight: 'bad' },
  overdue_for_refresh: { words: 'overdue for refresh', weight: 'warn' },
  not_yet_issued: { words: 'not yet issued', weight: 'warn' },
  refused: { words: 'refused', weight: 'bad' },
  waiting: { words: 'waits for anchors', weight: 'warn' },
  ended: { words: 'pod has ended', weight: 'warn' },
  ready: { words: 'anchors in place', weight: 'good' },
  fresh: { words: 'fresh', weight: 'good' },
};

export const lineStateNames = Object.keys(lineStates) as readonly LineState[];
