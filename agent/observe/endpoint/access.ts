/**
 * Who may look: asks the API server whose a bearer token is (TokenReview) and whether they may read a path
 * (SubjectAccessReview), as Kubernetes' own components do. Answers are kept for a short while, under a hash of the token.
 * Where the API server cannot be asked, nobody may look.
 *
 * https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/token-review-v1/
 * https://kubernetes.io/docs/reference/kubernetes-api/authorization-resources/subject-access-review-v1/
 */
import { createHash } from 'node:crypto';
import { decodeSubjectAccessReview, decodeTokenReview } from '../../kubernetes/schemas.ts';
import type { Clock } from '../../time/clock.ts';

/** When a token is asked for: `auto` everywhere but on loopback addresses, `token` everywhere. */
export const authModes = ['auto', 'token'] as const;
export type AuthMode = (typeof authModes)[number];

export type Verdict =
  | 'allowed'
  /** The token is nobody's. */
  | 'unauthenticated'
  /** The token is somebody's who may not read this path. */
  | 'forbidden'
  /** The API server did not say. */
  | 'unknown';

/** @param verb the HTTP method in lower case @param path without query. Never throws. */
export type AccessCheck = (token: string, verb: string, path: string) => Promise<Verdict>;

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
const keptMs: Readonly<Record<Verdict, number>> = {
  allowed: 60_000,
  forbidden: 10_000,
  unauthenticated: 10_000,
  unknown: 0,
};
const maxKept = 256;
/** Questions to the API server at the same time: made-up tokens must not take its calls from the pods. */
const maxAsking = 8;

export function createAccessCheck({ client, clock, onUnknown }: AccessOptions): AccessCheck {
  const kept = new Map<string, { readonly verdict: Verdict; readonly until: number }>();
  const asking = new Map<string, Promise<Verdict>>();
  let isTold = false;

  const ask = async (token: string, verb: string, path: string): Promise<Verdict> => {
    try {
      const verdict = await review(client, token, verb, path);
      isTold = false;
      return verdict;
    } catch (error) {
      if (!isTold) onUnknown(error);
      isTold = true;
      return 'unknown';
    }
  };

  const keep = (key: string, verdict: Verdict): void => {
    kept.delete(key);
    if (keptMs[verdict] > 0) kept.set(key, { verdict, until: clock.now() + keptMs[verdict] });
    const [oldest] = kept.keys();
    if (kept.size > maxKept && oldest !== undefined) kept.delete(oldest);
  };

  return async (token, verb, path) => {
    const key = `${createHash('sha256').update(token).digest('base64')} ${verb} ${path}`;
    const known = kept.get(key);
    if (known !== undefined && clock.now() < known.until) return known.verdict;
    const underWay = asking.get(key);
    if (underWay !== undefined) return underWay;
    if (asking.size >= maxAsking) return 'unknown';
    const answer = ask(token, verb, path);
    asking.set(key, answer);
    const verdict = await answer;
    asking.delete(key);
    keep(key, verdict);
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
  if (identity?.authenticated !== true || !user?.username) return 'unauthenticated';
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
