/**
 * Impersonation: a request made as another user. Classic impersonation needs the verb `impersonate` on each part of that
 * user. Constrained impersonation, from 1.36 and tried first, needs one verb on the user and one on what is asked for.
 *
 * https://kubernetes.io/docs/reference/access-authn-authz/user-impersonation/
 * https://github.com/kubernetes/enhancements/tree/master/keps/sig-auth/5284-constrained-impersonation
 */

import type { RequestAttributes, RulesContext, UserInfo } from '../base/cluster-rules.ts';
import { type ApiError, badRequest } from '../base/errors.ts';
import {
  type Authorizer,
  anonymousUser,
  authenticatedGroup,
  nodeNameIn,
  nodesGroup,
  refusal,
  serviceAccountIn,
  serviceAccountsGroup,
  unauthenticatedGroup,
} from './access.ts';
import { type Check, checks, isNamedOnly, type Mode, type WantedUser } from './impersonation-checks.ts';

type Headers = Readonly<Record<string, string | readonly string[] | undefined>>;

const extraHeaderPrefix = 'impersonate-extra-';
const nodeNameExtra = 'authentication.kubernetes.io/node-name';

/** @returns the user to go on with, or the error to answer with */
export function impersonate(
  headers: Headers,
  attributes: RequestAttributes,
  authorize: Authorizer,
  context: RulesContext,
): { readonly user: UserInfo } | ApiError {
  const isConstrained = context.kubernetes === '1.36' || context.kubernetes === '1.37';
  const wanted = readHeaders(headers);
  if (wanted.username === '') {
    return isNamedOnly(wanted) ? { user: attributes.user } : badRequest(namelessMessage(wanted, isConstrained));
  }
  const modes: Mode[] = isConstrained ? constrainedModes(wanted, attributes.user) : [];
  const errors: ApiError[] = [];
  for (const mode of [...modes, 'legacy' as const]) {
    const error = firstRefusal(checks(mode, wanted, attributes), authorize, context);
    if (error === undefined) {
      return { user: impersonatedUser(mode, wanted) };
    }
    errors.push(error);
  }
  // Of all modes that were tried, the first one's refusal is told.
  return errors[0] ?? badRequest('no mode of impersonation applies');
}

function readHeaders(headers: Headers): WantedUser {
  const values = (name: string): readonly string[] => {
    const value = headers[name];
    return value === undefined ? [] : typeof value === 'string' ? [value] : value;
  };
  const extraNames = Object.keys(headers).filter((name) => name.startsWith(extraHeaderPrefix));
  return {
    username: values('impersonate-user')[0] ?? '',
    uid: values('impersonate-uid')[0] ?? '',
    groups: values('impersonate-group'),
    extra: Object.fromEntries(extraNames.map((name) => [decoded(name.slice(extraHeaderPrefix.length)), values(name)])),
  };
}

/** Keys are percent-encoded; one that is not well-formed is taken as it stands. */
function decoded(key: string): string {
  try {
    return decodeURIComponent(key);
  } catch {
    return key;
  }
}

/** The real server shows its own data structures here. */
function namelessMessage({ uid, groups, extra }: WantedUser, isConstrained: boolean): string {
  const quoted = (values: readonly string[]): string =>
    `[]string{${values.map((value) => JSON.stringify(value)).join(', ')}}`;
  if (isConstrained) {
    const extras = Object.entries(extra).map(([key, values]) => `${JSON.stringify(key)}:${quoted(values)}`);
    const groupText = groups.length === 0 ? '[]string(nil)' : quoted(groups);
    const extraText = extras.length === 0 ? 'map[string][]string(nil)' : `map[string][]string{${extras.join(', ')}}`;
    const user = `&user.DefaultInfo{Name:"", UID:${JSON.stringify(uid)}, Groups:${groupText}, Extra:${extraText}}`;
    return `requested ${user} without impersonating a user name`;
  }
  const version = 'authentication.k8s.io/v1';
  const parts = [
    ...groups.map((group) => `{Group  ${group}    }`),
    ...Object.entries(extra).flatMap(([key, values]) =>
      values.map((value) => `{UserExtra  ${value}  ${version}  ${key}}`),
    ),
    ...(uid === '' ? [] : [`{UID  ${uid}  ${version}  }`]),
  ];
  return `requested [${parts.join(' ')}] without impersonating a user`;
}

/** The modes that can apply; nodes and service accounts are impersonated by name alone. */
function constrainedModes(wanted: WantedUser, requestor: UserInfo): Mode[] {
  const nodeName = nodeNameIn(wanted.username);
  const isServiceAccount = serviceAccountIn(wanted.username) !== undefined;
  if (nodeName === undefined && !isServiceAccount) {
    return ['user-info'];
  }
  if (!isNamedOnly(wanted)) {
    return [];
  }
  if (isServiceAccount) {
    return ['serviceaccount'];
  }
  return runsOn(requestor, nodeName) ? ['associated-node', 'arbitrary-node'] : ['arbitrary-node'];
}

/** True for a service account whose token is bound to something on the node. */
function runsOn(requestor: UserInfo, nodeName: string | undefined): boolean {
  const names = requestor.extra[nodeNameExtra] ?? [];
  return serviceAccountIn(requestor.username) !== undefined && names.length === 1 && names[0] === nodeName;
}

function firstRefusal(list: readonly Check[], authorize: Authorizer, context: RulesContext): ApiError | undefined {
  for (const check of list) {
    if ('never' in check) {
      return refusal(check.attributes, check.never);
    }
    if (check.instead !== undefined && authorize(check.instead, context).allowed) {
      continue;
    }
    const decision = authorize(check.attributes, context);
    if (!decision.allowed) {
      return refusal(check.attributes, decision.reason);
    }
  }
  return undefined;
}

/** The user as the rest of the server sees it: groups that follow from the name are added. */
function impersonatedUser(mode: Mode, wanted: WantedUser): UserInfo {
  const { username, uid, extra } = wanted;
  const groups = [...(wanted.groups.length === 0 ? impliedGroups(mode, username) : wanted.groups)];
  if (username === anonymousUser) {
    if (!groups.includes(unauthenticatedGroup)) {
      groups.push(unauthenticatedGroup);
    }
  } else if (!groups.includes(unauthenticatedGroup) && !groups.includes(authenticatedGroup)) {
    groups.push(authenticatedGroup);
  }
  return { username, groups, extra, ...(uid === '' ? {} : { uid }) };
}

function impliedGroups(mode: Mode, username: string): readonly string[] {
  const serviceAccount = serviceAccountIn(username);
  if (serviceAccount !== undefined) {
    return [serviceAccountsGroup, `${serviceAccountsGroup}:${serviceAccount.namespace}`];
  }
  return mode === 'associated-node' || mode === 'arbitrary-node' ? [nodesGroup] : [];
}
