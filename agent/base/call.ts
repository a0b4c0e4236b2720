/** How urgent a call to the API server or other work is, on whose behalf it is done, and what ends it. */

/** What a certificate is asked for: a pod that waits to start, or one that runs. */
export type Priority = 'first' | 'refresh';

/** What work is for, whose it is, and by when it must be done. `fair-line.ts` sorts by it. */
export interface Rank {
  readonly priority: Priority | 'background';
  /** Whose work it is: a pod's UID. Owners take turns; work without one stands in line for itself. */
  readonly owner?: string | undefined;
  /** End of the certificate that a refresh replaces, milliseconds since the epoch. */
  readonly expiresAt?: number | undefined;
}

/** A rank, and those of others who wait for the same thing: they may join while it waits, and the best of all counts. */
export interface SharedRank extends Rank {
  readonly alsoFor?: readonly Rank[] | undefined;
}

/** What a call to the API server, or work on a key, is made for, and what ends it. */
export interface CallOptions extends SharedRank {
  readonly signal: AbortSignal;
}

/** One finished call to the API server. */
export interface FinishedCall {
  readonly verb: string;
  /** Resource and group, without names. */
  readonly resource: string;
  /** HTTP status, or 0 when there was no reply. */
  readonly status: number;
  /** From its turn to the end of the reply (of a watch: to its head), milliseconds. */
  readonly tookMs: number;
  /** Time spent waiting for its turn, milliseconds. */
  readonly waitedMs: number;
  /** The server's wall clock by its Date header (whole seconds), milliseconds since the epoch. */
  readonly serverTime?: number;
}
