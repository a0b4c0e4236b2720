/**
 * Limits how many questions about unknown tokens go to the API server. A made-up token costs nothing to send and a call
 * to judge, so each peer has a small share, and all strangers together have one that the API server does not notice. A
 * peer that has shown a good token needs its own share only: a scraper's new token, which comes every hour, is judged
 * even while strangers use up theirs.
 */

import { createBoundedMap } from '../../../volumes/base/bounded-map.ts';
import type { Clock } from '../../time/clock.ts';
import {
  maxCountedPeers,
  maxReviewsUnderWay,
  maxReviewsUnderWayOfPeer,
  reviewsOfPeer,
  reviewsOfStrangers,
} from '../limits.ts';

export interface ReviewBudget {
  /** Asks, if the peer may; undefined: not now. */
  spend<T>(peer: string, ask: () => Promise<T>): Promise<T> | undefined;
  /** The peer has shown a good token. */
  trust(peer: string): void;
}

/** How long a good token speaks for the peer that showed it. */
const trustedMs = 3_600_000;

interface Account {
  underWay: number;
  readonly take: () => boolean;
}

/** @param clock must not go back */
export function createReviewBudget(clock: Clock): ReviewBudget {
  const accounts = createBoundedMap<string, Account>(maxCountedPeers);
  const trusted = createBoundedMap<string, number>(maxCountedPeers);
  const takeOfStrangers = createBucket(clock, reviewsOfStrangers);
  let underWay = 0;

  const accountOf = (peer: string): Account => {
    const account = accounts.get(peer) ?? { underWay: 0, take: createBucket(clock, reviewsOfPeer) };
    accounts.set(peer, account);
    return account;
  };

  return {
    spend(peer, ask) {
      const account = accountOf(peer);
      const isTrusted = clock.now() < (trusted.get(peer) ?? Number.NEGATIVE_INFINITY);
      if (account.underWay >= maxReviewsUnderWayOfPeer) {
        return undefined;
      }
      if (!isTrusted && underWay >= maxReviewsUnderWay) {
        return undefined;
      }
      if (!account.take() || !(isTrusted || takeOfStrangers())) {
        return undefined;
      }
      const share = isTrusted ? 0 : 1;
      account.underWay += 1;
      underWay += share;
      return ask().finally(() => {
        account.underWay -= 1;
        underWay -= share;
      });
    },
    trust: (peer) => trusted.set(peer, clock.now() + trustedMs),
  };
}

/** A token bucket. @returns takes one; false when it is empty */
function createBucket(clock: Clock, { burst, everyMs }: { readonly burst: number; readonly everyMs: number }) {
  let level = burst;
  let filledAt = clock.now();
  return (): boolean => {
    const now = clock.now();
    level = Math.min(burst, level + (now - filledAt) / everyMs);
    filledAt = now;
    if (level < 1) {
      return false;
    }
    level -= 1;
    return true;
  };
}
