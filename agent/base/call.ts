/** What a caller says along with a call to the API server. */

/** Where a call stands among others that wait for the API server: first issuances go before refreshes. */
export type Priority = 'first' | 'refresh';

/** What a call to the API server is made for, and what ends it. */
export interface CallOptions {
  readonly priority: Priority;
  readonly signal: AbortSignal;
}
