/**
 * The permissions that each way of impersonating a user needs, as requests to the authorizer.
 *
 * https://github.com/kubernetes/enhancements/tree/master/keps/sig-auth/5284-constrained-impersonation
 */
import type { RequestAttributes, ResourceAttributes, UserInfo } from '../base/cluster-rules.ts';
import { dnsSubdomain } from '../base/names.ts';
import { mastersGroup, nodeNameIn, serviceAccountIn } from './access.ts';

/** The user that the headers ask for. */
export interface WantedUser {
  readonly username: string;
  readonly uid: string;
  readonly groups: readonly string[];
  readonly extra: Readonly<Record<string, readonly string[]>>;
}

/**
 * - `associated-node`: a service account as the node that its token is bound to.
 * - `arbitrary-node`, `serviceaccount`: any node, any service account, by name alone.
 * - `user-info`: any other user, with groups, UID and extra.
 * - `legacy`: the verb `impersonate` on each part.
 */
export type Mode = 'associated-node' | 'arbitrary-node' | 'serviceaccount' | 'user-info' | 'legacy';

/** From this many parts on, a permission for all of them is looked for first. */
const manyParts = 4;

/** True when nothing but a user name is asked for. */
export function isNamedOnly({ uid, groups, extra }: WantedUser): boolean {
  return uid === '' && groups.length === 0 && Object.keys(extra).length === 0;
}

/** One thing that must be allowed, or a combination that never is. */
export type Check =
  /** `instead` is a wider permission that does as well. */
  | { readonly attributes: RequestAttributes; readonly instead?: RequestAttributes }
  | { readonly attributes: RequestAttributes; readonly never: string };

/** All that the mode asks of the requestor, in the real server's order. */
export function checks(mode: Mode, wanted: WantedUser, attributes: RequestAttributes): Check[] {
  if (mode === 'legacy') {
    return partChecks(wanted, 'impersonate', attributes.user, '');
  }
  const parts = partChecks(wanted, `impersonate:${mode}`, attributes.user, 'authentication.k8s.io').map((check) =>
    mode === 'associated-node' ? { ...check, attributes: { ...check.attributes, name: '*' } } : check,
  );
  return [
    { attributes: { ...attributes, verb: `impersonate-on:${mode}:${attributes.verb}` } },
    ...forbiddenParts(wanted, parts),
    ...parts,
  ];
}

function partChecks(wanted: WantedUser, verb: string, user: UserInfo, nameGroup: string): Check[] {
  const isConstrained = nameGroup !== '';
  const part = (
    apiGroup: string,
    resource: string,
    name: string,
    subresource = '',
    namespace = '',
  ): ResourceAttributes => ({
    kind: 'resource',
    user,
    verb,
    apiGroup,
    apiVersion: 'v1',
    resource,
    subresource,
    namespace,
    name,
  });
  const group = 'authentication.k8s.io';
  const extras = Object.entries(wanted.extra).flatMap(([key, values]) => values.map((value) => ({ key, value })));
  const manyExtras = extras.length >= manyParts || Object.keys(wanted.extra).length >= manyParts;
  const orAll = (attributes: ResourceAttributes, all: ResourceAttributes, isMany: boolean): Check =>
    isConstrained && isMany ? { attributes, instead: all } : { attributes };
  const allGroups = part(nameGroup, 'groups', '*');
  return [
    { attributes: namePart(wanted.username, isConstrained, nameGroup, part) },
    ...(wanted.uid === '' ? [] : [{ attributes: part(group, 'uids', wanted.uid) }]),
    ...wanted.groups.map((name) =>
      orAll(part(nameGroup, 'groups', name), allGroups, wanted.groups.length >= manyParts),
    ),
    ...extras.map(({ key, value }) =>
      orAll(part(group, 'userextras', value, key), part(group, 'userextras', '*', '*'), manyExtras),
    ),
  ];
}

function namePart(
  username: string,
  isConstrained: boolean,
  nameGroup: string,
  part: (
    apiGroup: string,
    resource: string,
    name: string,
    subresource?: string,
    namespace?: string,
  ) => ResourceAttributes,
): ResourceAttributes {
  const nodeName = isConstrained ? nodeNameIn(username) : undefined;
  if (nodeName !== undefined) {
    return part(nameGroup, 'nodes', nodeName);
  }
  const serviceAccount = serviceAccountIn(username);
  return serviceAccount === undefined
    ? part(nameGroup, 'users', username)
    : part(nameGroup, 'serviceaccounts', serviceAccount.name, '', serviceAccount.namespace);
}

/** What constrained impersonation never allows, whoever asks. */
function forbiddenParts({ groups, extra }: WantedUser, parts: readonly Check[]): Check[] {
  const [first] = parts;
  if (first === undefined || first.attributes.kind !== 'resource') {
    return [];
  }
  const { attributes } = first;
  const at = (resource: string, name: string): ResourceAttributes => ({ ...attributes, resource, namespace: '', name });
  const refused: Check[] = [];
  if (groups.includes('')) {
    refused.push({ attributes: at('groups', ''), never: 'impersonating the empty string group is not allowed' });
  }
  if (groups.includes(mastersGroup)) {
    const never = 'impersonating the system:masters group is not allowed';
    refused.push({ attributes: at('groups', mastersGroup), never });
  }
  for (const [key, values] of Object.entries(extra)) {
    const never = extraFault(key, values);
    if (never !== undefined) {
      refused.push({ attributes: at('userextras', ''), never });
    }
  }
  return refused;
}

function extraFault(key: string, values: readonly string[]): string | undefined {
  if (key === '') {
    return 'impersonating the empty string key in extra is not allowed';
  }
  const [host = '', ...path] = key.split('/');
  if (host === '' || path.join('/') === '') {
    const rule = 'must be a domain-prefixed path (such as "acme.io/foo")';
    return `impersonating an invalid key in extra is not allowed: extra.key: Invalid value: ${JSON.stringify(key)}: ${rule}`;
  }
  const [hostFault] = dnsSubdomain(host);
  if (hostFault !== undefined) {
    return `impersonating an invalid key in extra is not allowed: extra.key: Invalid value: ${JSON.stringify(host)}: ${hostFault}`;
  }
  if (key !== key.toLowerCase()) {
    return `impersonating a non-lowercase key in extra is not allowed: ${JSON.stringify(key)}`;
  }
  return values.includes('') ? 'impersonating the empty string value in extra is not allowed' : undefined;
}
