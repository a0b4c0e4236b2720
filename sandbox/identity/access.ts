/**
 * Words that authorizers share: who a user is, what is asked for, and how a refusal reads.
 *
 * https://kubernetes.io/docs/reference/access-authn-authz/authorization/
 */

import type { RequestAttributes, ResourceAttributes, RulesContext, UserInfo } from '../base/cluster-rules.ts';
import { type ApiError, forbidden } from '../base/errors.ts';
import { dnsLabel, dnsSubdomain } from '../base/names.ts';

/** An authorizer's answer. The reason of a refusal ends the forbidden message; it may be empty. */
export type Decision =
  | { readonly allowed: true; readonly reason?: string }
  | { readonly allowed: false; readonly reason: string };

export type Authorizer = (attributes: RequestAttributes, context: RulesContext) => Decision;

export const mastersGroup = 'system:masters';
export const nodesGroup = 'system:nodes';
export const authenticatedGroup = 'system:authenticated';
export const unauthenticatedGroup = 'system:unauthenticated';
export const anonymousUser = 'system:anonymous';
export const serviceAccountsGroup = 'system:serviceaccounts';

const nodeUserPrefix = 'system:node:';
const serviceAccountUserPrefix = 'system:serviceaccount:';

/** The node that a user is, if it is one: named for the node and in the nodes' group. The name may be empty. */
export function nodeOf(user: UserInfo): string | undefined {
  return user.username.startsWith(nodeUserPrefix) && user.groups.includes(nodesGroup)
    ? user.username.slice(nodeUserPrefix.length)
    : undefined;
}

/** The node that a user name names, whether the user is one or not. */
export function nodeNameIn(username: string): string | undefined {
  const name = username.slice(nodeUserPrefix.length);
  return username.startsWith(nodeUserPrefix) && dnsSubdomain(name).length === 0 ? name : undefined;
}

/** The service account that a user name names. */
export function serviceAccountIn(username: string): { readonly namespace: string; readonly name: string } | undefined {
  const [namespace, name, ...others] = username.slice(serviceAccountUserPrefix.length).split(':');
  const isOne =
    username.startsWith(serviceAccountUserPrefix) &&
    namespace !== undefined &&
    name !== undefined &&
    others.length === 0 &&
    dnsLabel(namespace).length === 0 &&
    dnsSubdomain(name).length === 0;
  return isOne ? { namespace, name } : undefined;
}

/** The user name of a service account. */
export function serviceAccountUsername(namespace: string, name: string): string {
  return `${serviceAccountUserPrefix}${namespace}:${name}`;
}

/** `podcertificaterequests.certificates.k8s.io`, as resources are named in the store and in messages. */
export function groupResource(attributes: ResourceAttributes): string {
  return attributes.apiGroup === '' ? attributes.resource : `${attributes.resource}.${attributes.apiGroup}`;
}

/** The reply to a request that nothing allows. */
export function refusal(attributes: RequestAttributes, reason: string): ApiError {
  const sentence = refusalSentence(attributes);
  const why = reason === '' ? sentence : `${sentence}: ${reason}`;
  return attributes.kind === 'path'
    ? forbidden({ group: '', resource: '' }, '', why)
    : forbidden({ group: attributes.apiGroup, resource: attributes.resource }, attributes.name, why);
}

function refusalSentence(attributes: RequestAttributes): string {
  const user = `User ${JSON.stringify(attributes.user.username)}`;
  if (attributes.kind === 'path') {
    return escaped(`${user} cannot ${attributes.verb} path ${JSON.stringify(attributes.path)}`);
  }
  const { apiGroup, namespace, resource, subresource, verb } = attributes;
  const whole = JSON.stringify(subresource === '' ? resource : `${resource}/${subresource}`);
  const scope = namespace === '' ? 'at the cluster scope' : `in the namespace ${JSON.stringify(namespace)}`;
  return escaped(`${user} cannot ${verb} resource ${whole} in API group ${JSON.stringify(apiGroup)} ${scope}`);
}

/** Names in a refusal must not read as HTML. */
function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

/** Tries each authorizer in turn; the first that allows decides, and the reasons of all others are told. */
export function anyOf(...authorizers: readonly Authorizer[]): Authorizer {
  return (attributes, context) => {
    const reasons: string[] = [];
    for (const authorize of authorizers) {
      const decision = authorize(attributes, context);
      if (decision.allowed) {
        return decision;
      }
      if (decision.reason !== '') {
        reasons.push(decision.reason);
      }
    }
    return { allowed: false, reason: reasons.join('\n') };
  };
}

/** Members of `system:masters` may do everything. */
export const authorizeMasters: Authorizer = ({ user }) =>
  user.groups.includes(mastersGroup) ? { allowed: true } : { allowed: false, reason: '' };

/** rbac/v1 PolicyRule. */
export interface PolicyRule {
  readonly verbs: readonly string[];
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly resourceNames: readonly string[];
  readonly nonResourceURLs: readonly string[];
}
