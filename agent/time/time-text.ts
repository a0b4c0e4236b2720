/** Moments as RFC 3339 text, for log lines and events. */

/** The farthest moment that a Date can express, either way (ECMA-262, Time Values). */
const maxTime = 8.64e15;

/** RFC 3339 to the second, for people. @param time RFC 3339 in UTC, or `unknown` */
export function withoutMilliseconds(time: string): string {
  return time.replace(/\.\d+Z$/, 'Z');
}

/** Milliseconds since the epoch to the second, as Kubernetes writes times. */
export function secondsText(milliseconds: number): string {
  return withoutMilliseconds(timeText(milliseconds));
}

/** Milliseconds since the epoch as RFC 3339 in UTC; `unknown` for what is no moment, such as infinity. */
export function timeText(milliseconds: number): string {
  return Math.abs(milliseconds) <= maxTime ? new Date(milliseconds).toISOString() : 'unknown';
}
