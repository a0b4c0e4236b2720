/**
 * Who a bearer token belongs to: static tokens for named users, and signed service-account tokens (JWT, ES256) that are
 * bound to a pod or node, expire, and die with what they are bound to.
 *
 * https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/
 */
import { generateKeyPairSync, type KeyObject, randomBytes, randomUUID, sign, verify } from 'node:crypto';
import type { UserInfo } from '../base/cluster-rules.ts';
import { isObject, type JsonObject, type ObjectReader } from '../base/objects.ts';

const issuer = 'https://kubernetes.default.svc';
/** The audience of the API server itself. */
export const apiAudience = issuer;
const extraPrefix = 'authentication.kubernetes.io';

/** What a service-account token says. Object UIDs tell a re-created object from the first. */
export interface ServiceAccountClaims {
  readonly namespace: string;
  readonly serviceAccount: { readonly name: string; readonly uid: string };
  readonly pod?: { readonly name: string; readonly uid: string };
  readonly node?: { readonly name: string; readonly uid: string };
}

export interface IssuedToken {
  readonly token: string;
  /** Milliseconds since the epoch, whole seconds. */
  readonly expiresAt: number;
}

export interface Tokens {
  /** A static token for a user; the same token every time for the same user name. */
  userToken(user: UserInfo): string;
  /** @param now milliseconds since the epoch */
  issue(claims: ServiceAccountClaims, audiences: readonly string[], lifetimeSeconds: number, now: number): IssuedToken;
  /**
   * @param audiences whom the token must be meant for: one of these
   * @returns the user and which of the audiences fit, or why the token is not accepted
   */
  authenticate(token: string, audiences: readonly string[], objects: ObjectReader, now: number): Authentication;
}

export type Authentication =
  | { readonly authenticated: true; readonly user: UserInfo; readonly audiences: readonly string[] }
  | { readonly authenticated: false; readonly why: string };

/** @param staticTokens tokens that are accepted from the start, with their users */
export function createTokens(staticTokens: Readonly<Record<string, UserInfo>> = {}): Tokens {
  const users = new Map(Object.entries(staticTokens).map(([token, user]) => [token, withAuthenticated(user)]));
  const tokenOf = new Map([...users].map(([token, user]) => [user.username, token]));
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return {
    userToken: (user) => {
      const token = tokenOf.get(user.username) ?? randomBytes(24).toString('base64url');
      tokenOf.set(user.username, token);
      users.set(token, withAuthenticated(user));
      return token;
    },
    issue: (claims, audiences, lifetimeSeconds, now) => {
      const issuedAt = Math.floor(now / 1000);
      const expiry = issuedAt + lifetimeSeconds;
      return { token: signed(payloadOf(claims, audiences, issuedAt, expiry), privateKey), expiresAt: expiry * 1000 };
    },
    authenticate: (token, audiences, objects, now) => {
      const user = users.get(token);
      if (user !== undefined) {
        return { authenticated: true, user, audiences };
      }
      const payload = verified(token, publicKey);
      return payload === undefined
        ? { authenticated: false, why: 'invalid bearer token' }
        : authenticateClaims(payload, audiences, objects, now);
    },
  };
}

/** Every user that was recognized is in the group of the recognized. */
function withAuthenticated(user: UserInfo): UserInfo {
  const groups = user.groups.includes('system:authenticated') ? user.groups : [...user.groups, 'system:authenticated'];
  return { ...user, groups };
}

function payloadOf(
  claims: ServiceAccountClaims,
  audiences: readonly string[],
  issuedAt: number,
  expiry: number,
): JsonObject {
  const { namespace, serviceAccount, pod, node } = claims;
  return {
    aud: [...audiences],
    exp: expiry,
    iat: issuedAt,
    iss: issuer,
    jti: randomUUID(),
    'kubernetes.io': {
      namespace,
      ...(node === undefined ? {} : { node: { ...node } }),
      ...(pod === undefined ? {} : { pod: { ...pod } }),
      serviceaccount: { ...serviceAccount },
    },
    nbf: issuedAt,
    sub: `system:serviceaccount:${namespace}:${serviceAccount.name}`,
  };
}

function signed(payload: JsonObject, key: KeyObject): string {
  const part = (value: JsonObject): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const text = `${part({ alg: 'ES256', typ: 'JWT' })}.${part(payload)}`;
  const signature = sign('sha256', Buffer.from(text), { key, dsaEncoding: 'ieee-p1363' });
  return `${text}.${signature.toString('base64url')}`;
}

function verified(token: string, key: KeyObject): JsonObject | undefined {
  const [header, payload, signature, ...more] = token.split('.');
  if (header === undefined || payload === undefined || signature === undefined || more.length > 0) {
    return undefined;
  }
  const text = Buffer.from(`${header}.${payload}`);
  const bytes = Buffer.from(signature, 'base64url');
  if (!verify('sha256', text, { key, dsaEncoding: 'ieee-p1363' }, bytes)) {
    return undefined;
  }
  const parsed: unknown = JSON.parse(Buffer.from(payload, 'base64url').toString());
  return isObject(parsed) ? parsed : undefined;
}

function authenticateClaims(
  payload: JsonObject,
  audiences: readonly string[],
  objects: ObjectReader,
  now: number,
): Authentication {
  const accepted = audiences.filter((audience) => Array.isArray(payload.aud) && payload.aud.includes(audience));
  if (accepted.length === 0) {
    return { authenticated: false, why: `[invalid bearer token, ${audienceMismatch(payload.aud, audiences)}]` };
  }
  if (Number(payload.exp) * 1000 <= now) {
    return { authenticated: false, why: 'service account token has expired' };
  }
  const claims = claimsOf(payload);
  const gone = missingReference(claims, objects);
  if (gone !== undefined) {
    return { authenticated: false, why: gone };
  }
  return { authenticated: true, user: userOf(claims, String(payload.jti)), audiences: accepted };
}

function audienceMismatch(given: unknown, wanted: readonly string[]): string {
  return `token audiences ${JSON.stringify(given)} is invalid for the target audiences ${JSON.stringify(wanted)}`;
}

function claimsOf(payload: JsonObject): ServiceAccountClaims {
  const part = isObject(payload['kubernetes.io']) ? payload['kubernetes.io'] : {};
  const reference = (value: unknown): { readonly name: string; readonly uid: string } | undefined =>
    isObject(value) ? { name: String(value.name), uid: String(value.uid) } : undefined;
  const [pod, node] = [reference(part.pod), reference(part.node)];
  return {
    namespace: String(part.namespace),
    serviceAccount: reference(part.serviceaccount) ?? { name: '', uid: '' },
    ...(pod === undefined ? {} : { pod }),
    ...(node === undefined ? {} : { node }),
  };
}

/** A token dies with its service account, and with the pod it is bound to (or the node, when it is bound to no pod). */
function missingReference(claims: ServiceAccountClaims, objects: ObjectReader): string | undefined {
  const { namespace, serviceAccount, pod, node } = claims;
  const uidOf = (resource: string, space: string, name: string): string | undefined =>
    objects.get(resource, space, name)?.metadata.uid;
  if (uidOf('serviceaccounts', namespace, serviceAccount.name) !== serviceAccount.uid) {
    return 'service account token has been invalidated';
  }
  if (pod !== undefined) {
    return uidOf('pods', namespace, pod.name) === pod.uid ? undefined : 'service account token has been invalidated';
  }
  return node === undefined || uidOf('nodes', '', node.name) === node.uid
    ? undefined
    : 'service account token has been invalidated';
}

function userOf(claims: ServiceAccountClaims, tokenId: string): UserInfo {
  const { namespace, serviceAccount, pod, node } = claims;
  return {
    username: `system:serviceaccount:${namespace}:${serviceAccount.name}`,
    uid: serviceAccount.uid,
    groups: ['system:serviceaccounts', `system:serviceaccounts:${namespace}`, 'system:authenticated'],
    extra: {
      [`${extraPrefix}/credential-id`]: [`JTI=${tokenId}`],
      ...(node === undefined
        ? {}
        : { [`${extraPrefix}/node-name`]: [node.name], [`${extraPrefix}/node-uid`]: [node.uid] }),
      ...(pod === undefined ? {} : { [`${extraPrefix}/pod-name`]: [pod.name], [`${extraPrefix}/pod-uid`]: [pod.uid] }),
    },
  };
}
