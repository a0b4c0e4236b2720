/**
 * The API server's clock, as far as the Date header of its replies tells it. A node that is ahead of it refreshes too early, one
 * that is behind too late, and its pods refuse certificates that are not yet valid by their clock.
 *
 * https://www.rfc-editor.org/rfc/rfc9110#section-6.6.1
 */

export interface ServerClock {
  /**
   * Takes the reply to a call, just after it has come.
   * @param serverTime the Date header, milliseconds since the epoch, in whole seconds
   * @param tookMs from sending to now; a reply that took long says too little and is passed over
   */
  observe(serverTime: number, tookMs: number): void;
  /**
   * What it shows now, milliseconds since the epoch, whatever has become of this node's clock since the last reply; undefined before
   * the first, and when the last is too old to say anything. Right to about a second.
   */
  now(): number | undefined;
  /** Seconds by which this node's clock was ahead at the last reply; undefined like `now`. Right to about a second. */
  skewSeconds(): number | undefined;
}

/** Of a call that took longer it is not known when the server read its clock. */
const longestCallMs = 1_000;
/** The header has no fraction of a second: on average half of one is missing. */
const missingFractionMs = 500;

/** A quiet agent hears from the API server every ten minutes at least, when its watches are taken up anew. */
const goodForMs = 15 * 60_000;

interface Observed {
  readonly serverMs: number;
  readonly skewMs: number;
  /** By the clock that does not go back. */
  readonly at: number;
}

/**
 * @param wallClock milliseconds since the epoch
 * @param monotonic milliseconds of a clock that does not go back
 */
export function createServerClock(wallClock: () => number, monotonic: () => number): ServerClock {
  let last: Observed | undefined;
  const recent = (): Observed | undefined =>
    last === undefined || monotonic() - last.at >= goodForMs ? undefined : last;
  return {
    observe(serverTime, tookMs) {
      if (tookMs > longestCallMs) {
        return;
      }
      const serverMs = serverTime + missingFractionMs + tookMs / 2;
      last = { serverMs, skewMs: wallClock() - serverMs, at: monotonic() };
    },
    now() {
      const seen = recent();
      return seen === undefined ? undefined : seen.serverMs + monotonic() - seen.at;
    },
    skewSeconds() {
      const seen = recent();
      return seen === undefined ? undefined : seen.skewMs / 1_000;
    },
  };
}
