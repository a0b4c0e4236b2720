/**
 * How far the node's clock is from the API server's, by the Date header of its replies. A node that is ahead refreshes too
 * early, one that is behind too late, and its pods refuse certificates that are not yet valid by their clock.
 *
 * https://www.rfc-editor.org/rfc/rfc9110#section-6.6.1
 */

export interface SkewMeter {
  /**
   * Takes the reply to a call, just after it has come.
   * @param serverTime the Date header, milliseconds since the epoch, in whole seconds
   * @param tookMs from sending to now; a reply that took long says too little and is passed over
   */
  observe(serverTime: number, tookMs: number): void;
  /**
   * Seconds by which this clock is ahead, by the last reply; undefined before the first, and when the last is too old to
   * say anything. Right to about a second.
   */
  seconds(): number | undefined;
}

/** Of a call that took longer it is not known when the server read its clock. */
const longestCallMs = 1_000;
/** The header has no fraction of a second: on average half of one is missing. */
const missingFractionMs = 500;

/** A quiet agent hears from the API server every ten minutes at least, when its watches are taken up anew. */
const goodForMs = 15 * 60_000;

/**
 * @param wallClock milliseconds since the epoch
 * @param now milliseconds of a clock that does not go back
 */
export function createSkewMeter(wallClock: () => number, now: () => number): SkewMeter {
  let last: { readonly skewMs: number; readonly at: number } | undefined;
  return {
    observe: (serverTime, tookMs) => {
      if (tookMs > longestCallMs) {
        return;
      }
      last = { skewMs: wallClock() - tookMs / 2 - (serverTime + missingFractionMs), at: now() };
    },
    seconds: () => (last === undefined || now() - last.at >= goodForMs ? undefined : last.skewMs / 1_000),
  };
}
