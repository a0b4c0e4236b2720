/**
 * Whether a token can be that of a pod's own service account: meant for the API server, bound to this very pod, not run out.
 * The signature is not looked at: the API server does that, and lets nobody in whose claims are made up.
 *
 * https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/#schema-for-service-account-private-claims
 */
import * as v from 'valibot';
import type { PodReference } from '../../volumes/base/volume.ts';
import { maxTokenLength } from './limits.ts';

export type TokenVerdict =
  | { readonly type: 'good' /** Milliseconds since the epoch. */; readonly expiresAt: number }
  | { readonly type: 'expired' }
  /** `why` follows on "the token …" and quotes nothing of it. */
  | { readonly type: 'unusable'; readonly why: string };

/** A call must not outlive the token that it is made with. */
const marginMs = 10_000;

const claims = v.object({
  aud: v.union([v.string(), v.array(v.string())]),
  exp: v.number(),
  'kubernetes.io': v.object({
    namespace: v.string(),
    serviceaccount: v.object({ name: v.string() }),
    pod: v.optional(v.object({ name: v.string(), uid: v.string() })),
  }),
});

/**
 * @param audience whom it must be meant for; empty: the API server by a name of its own, which it knows itself
 * @param now milliseconds since the epoch
 */
export function judgeToken(token: string, pod: PodReference, audience: string, now: number): TokenVerdict {
  const said = claimsOf(token);
  if (said === undefined) {
    return { type: 'unusable', why: 'is no token of a service account' };
  }
  const { namespace, serviceaccount, pod: bound } = said['kubernetes.io'];
  if (bound === undefined) {
    return { type: 'unusable', why: 'is bound to no pod' };
  }
  if (bound.uid !== pod.uid || bound.name !== pod.name || namespace !== pod.namespace) {
    return { type: 'unusable', why: 'is bound to another pod' };
  }
  if (serviceaccount.name !== pod.serviceAccountName) {
    return { type: 'unusable', why: 'is that of another service account' };
  }
  const audiences = typeof said.aud === 'string' ? [said.aud] : said.aud;
  if (audiences.length === 0 || (audience !== '' && !audiences.includes(audience))) {
    return { type: 'unusable', why: 'is meant for another audience' };
  }
  const expiresAt = said.exp * 1000;
  return expiresAt > now + marginMs ? { type: 'good', expiresAt } : { type: 'expired' };
}

function claimsOf(token: string): v.InferOutput<typeof claims> | undefined {
  if (token.length > maxTokenLength || !/^[\w-]+\.[\w-]+\.[\w-]+$/.test(token)) {
    return undefined;
  }
  const [, payload = ''] = token.split('.', 2);
  try {
    const result = v.safeParse(claims, JSON.parse(Buffer.from(payload, 'base64url').toString('utf8')));
    return result.success ? result.output : undefined;
  } catch {
    return undefined;
  }
}
