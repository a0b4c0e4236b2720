/** From when to when a certificate is valid, as the API server takes it: on whole seconds, not shorter than an hour. */
import type { Policy } from './policy.ts';

export interface Times {
  readonly notBefore: number;
  readonly notAfter: number;
  readonly beginRefreshAt: number;
}

/**
 * @param longestMs what the request allows at most
 * @param end what the CA signs ends no later
 * @returns nothing when too little is left
 */
export function timesOf({ leafMs, timing }: Policy, longestMs: number, end: number, now: number): Times | undefined {
  const { shortestLeafMs, backdateMs, refreshMarginMs } = timing;
  const notBefore = wholeSeconds(now - backdateMs);
  const notAfter = wholeSeconds(Math.min(notBefore + Math.min(leafMs, longestMs), end));
  const lifeMs = notAfter - notBefore;
  if (lifeMs < shortestLeafMs) {
    return undefined;
  }
  const half = wholeSeconds(lifeMs / 2);
  const latest = lifeMs - Math.ceil(refreshMarginMs / 1000) * 1000;
  return { notBefore, notAfter, beginRefreshAt: notBefore + Math.min(Math.max(half, refreshMarginMs), latest) };
}

function wholeSeconds(milliseconds: number): number {
  return Math.floor(milliseconds / 1000) * 1000;
}
