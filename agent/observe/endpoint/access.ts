/**
 * Decides who may read the HTTP endpoint. It asks the API server whose a bearer token is (TokenReview) and whether they
 * may read a path (SubjectAccessReview), as Kubernetes' own components do. Answers are kept for a short while, under a
 * hash of the token: those that admit apart from those that refuse, so that made-up tokens never push out a good one.
 * While the API server cannot be asked, nobody may read.
 *
 * https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/token-review-v1/
 * https://kubernetes.io/docs/reference/kubernetes-api/authorization-resources/subject-access-review-v1/
 */
import { createHash } from 'node:crypto';
import { createBoundedMap } from '../../../volumes/base/bounded-map.ts';
import { decodeSubjectAccessReview, decodeTokenReview } from '../../kubernetes/schemas.ts';
import type { Clock } from '../../time/clock.ts';
import { maxRememberedAnswers } from '../limits.ts';
import { createReviewBudget } from './review-budget.ts';
import { isTokenShaped } from './token-shape.ts';

/** When a token is asked for: `auto` everywhere but on loopback addresses, `token` everywhere. */
export const authModes = ['auto', 'token'] as const;
export type AuthMode = (typeof authModes)[number];

export type Verdict =
  | 'allowed'
  /** The API server does not know the token. */
  | 'unauthenticated'
  /** The token is known, and its owner may not read this path. */
  | 'forbidden'
  /** The API server did not say. */
  | 'unknown'
  /** The API server is not asked: too many unknown tokens came from there lately. */
  | 'busy';

/**
 * @param peer who sent the token, as `peer.ts` tells peers apart
 * @param verb the HTTP method in lower case
 * @param path without query. Never throws.
 */
export type AccessCheck = (token: string, verb: string, path: string, peer: string) => Promise<Verdict>;

/** Creates an object and returns it as the API server answers it. */
export interface ReviewClient {
  request<T>(request: {
    readonly method: 'POST';
    readonly path: string;
    readonly body: unknown;
    readonly decode: (reply: unknown) => T;
  }): Promise<T>;
}

export interface AccessOptions {
  readonly client: ReviewClient;
  /** Must not go back. */
  readonly clock: Clock;
  /** The API server could not be asked; not repeated until it could. */
  readonly onUnknown: (error: unknown) => void;
}

/** How long an answer is believed: permissions that are withdrawn still hold for so long. */
const allowedMs = 60_000;
const refusedMs = 10_000;
/** For how long a token that was good goes before those that never were, when the API server has to be asked again. */
const knownMs = 3_600_000;

interface Kept {
  readonly verdict: Verdict;
  readonly until: number;
}

export function createAccessCheck({ client, clock, onUnknown }: AccessOptions): AccessCheck {
  const allowed = createBoundedMap<string, Kept>(maxRememberedAnswers);
  const refused = createBoundedMap<string, Kept>(maxRememberedAnswers);
  /** Hashes of tokens that were good, and until when that speaks for them. */
  const known = createBoundedMap<string, number>(maxRememberedAnswers);
  const budget = createReviewBudget(clock);
  const asking = new Map<string, Promise<Verdict>>();
  let isTold = false;

  const ask = async (token: string, verb: string, path: string): Promise<Verdict> => {
    try {
      const verdict = await review(client, token, verb, path);
      isTold = false;
      return verdict;
    } catch (error) {
      if (!isTold) {
        onUnknown(error);
      }
      isTold = true;
      return 'unknown';
    }
  };

  const keep = (key: string, verdict: Verdict): void => {
    allowed.delete(key);
    refused.delete(key);
    if (verdict === 'allowed') {
      allowed.set(key, { verdict, until: clock.now() + allowedMs });
    }
    if (verdict === 'forbidden' || verdict === 'unauthenticated') {
      refused.set(key, { verdict, until: clock.now() + refusedMs });
    }
  };

  return async (token, verb, path, peer) => {
    if (!isTokenShaped(token)) {
      return 'unauthenticated';
    }
    const hash = createHash('sha256').update(token).digest('base64');
    const key = `${hash} ${verb} ${path}`;
    const kept = allowed.get(key) ?? refused.get(key);
    if (kept !== undefined && clock.now() < kept.until) {
      return kept.verdict;
    }
    const underWay = asking.get(key);
    if (underWay !== undefined) {
      return underWay;
    }
    const isKnown = clock.now() < (known.get(hash) ?? Number.NEGATIVE_INFINITY);
    const answer = isKnown ? ask(token, verb, path) : budget.spend(peer, () => ask(token, verb, path));
    if (answer === undefined) {
      return 'busy';
    }
    asking.set(key, answer);
    const verdict = await answer;
    asking.delete(key);
    keep(key, verdict);
    if (verdict === 'allowed') {
      known.set(hash, clock.now() + knownMs);
      budget.trust(peer);
    }
    return verdict;
  };
}

/** @throws AgentError when the API server does not answer, or does not let the agent ask */
async function review(client: ReviewClient, token: string, verb: string, path: string): Promise<Verdict> {
  const { status: identity } = await client.request({
    decode: decodeTokenReview,
    method: 'POST',
    path: '/apis/authentication.k8s.io/v1/tokenreviews',
    body: { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', spec: { token } },
  });
  const user = identity?.user;
  if (identity?.authenticated !== true || !user?.username) {
    return 'unauthenticated';
  }
  const { username, uid, groups, extra } = user;
  const { status: access } = await client.request({
    decode: decodeSubjectAccessReview,
    method: 'POST',
    path: '/apis/authorization.k8s.io/v1/subjectaccessreviews',
    body: {
      apiVersion: 'authorization.k8s.io/v1',
      kind: 'SubjectAccessReview',
      spec: { user: username, uid, groups, extra, nonResourceAttributes: { path, verb } },
    },
  });
  return access?.allowed === true && access.denied !== true ? 'allowed' : 'forbidden';
}
