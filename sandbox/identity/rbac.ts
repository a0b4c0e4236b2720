/**
 * Role-based access control over the roles and bindings in the store, and the roles that every cluster has from the start.
 *
 * https://kubernetes.io/docs/reference/access-authn-authz/rbac/
 */

import type {
  NonResourceRule,
  RequestAttributes,
  ResourceRule,
  RulesContext,
  UserInfo,
} from '../base/cluster-rules.ts';
import { isFieldSet, objectAt, objectsAt, stringAt, stringsAt } from '../base/fields.ts';
import type { JsonObject } from '../base/objects.ts';
import { type Authorizer, type PolicyRule, serviceAccountUsername } from './access.ts';
import { bootstrapRules } from './bootstrap-roles.ts';

const rolesResource = 'roles.rbac.authorization.k8s.io';
const clusterRolesResource = 'clusterroles.rbac.authorization.k8s.io';
const bindingsResource = 'rolebindings.rbac.authorization.k8s.io';
const clusterBindingsResource = 'clusterrolebindings.rbac.authorization.k8s.io';

/** A rule that applies to a user, and where it comes from; or a role that is named but does not exist. */
type FoundRule =
  | { readonly rule: PolicyRule; readonly source: string }
  | { readonly rule: undefined; readonly problem: string };

export const authorizeByRoles: Authorizer = (attributes, context) => {
  const problems = new Set<string>();
  const namespace = attributes.kind === 'resource' ? attributes.namespace : '';
  for (const found of rulesThatApply(attributes.user, namespace, context)) {
    if (found.rule === undefined) {
      problems.add(found.problem);
    } else if (ruleAllows(found.rule, attributes)) {
      return { allowed: true, reason: `RBAC: allowed by ${found.source}` };
    }
  }
  const [first, ...others] = problems;
  if (first === undefined) {
    return { allowed: false, reason: '' };
  }
  return { allowed: false, reason: `RBAC: ${others.length === 0 ? first : `[${[...problems].join(', ')}]`}` };
};

/** All that a user may do in a namespace, by roles alone. */
export function rulesFor(
  user: UserInfo,
  namespace: string,
  context: RulesContext,
): { readonly resourceRules: readonly ResourceRule[]; readonly nonResourceRules: readonly NonResourceRule[] } {
  const rules = [...rulesThatApply(user, namespace, context)].flatMap((found) => found.rule ?? []);
  return {
    resourceRules: rules
      .filter((rule) => rule.resources.length > 0)
      .map(({ verbs, apiGroups, resources, resourceNames }) => ({
        verbs,
        apiGroups,
        resources,
        ...(resourceNames.length === 0 ? {} : { resourceNames }),
      })),
    nonResourceRules: rules
      .filter((rule) => rule.nonResourceURLs.length > 0)
      .map(({ verbs, nonResourceURLs }) => ({ verbs, nonResourceURLs })),
  };
}

function* rulesThatApply(user: UserInfo, namespace: string, context: RulesContext): Generator<FoundRule> {
  for (const { groups, rules, role } of bootstrapRules) {
    if (groups.some((group) => user.groups.includes(group))) {
      yield* rules.map((rule) => ({ rule, source: `ClusterRoleBinding "${role}" of ClusterRole "${role}" to Group` }));
    }
  }
  for (const binding of context.objects.list(clusterBindingsResource)) {
    yield* rulesOfBinding(binding, user, '', context);
  }
  if (namespace !== '') {
    for (const binding of context.objects.list(bindingsResource, namespace)) {
      yield* rulesOfBinding(binding, user, namespace, context);
    }
  }
}

/** @param namespace the binding's own; empty for a ClusterRoleBinding */
function* rulesOfBinding(
  binding: JsonObject,
  user: UserInfo,
  namespace: string,
  context: RulesContext,
): Generator<FoundRule> {
  const subject = objectsAt(binding, 'subjects').find((candidate) => isSubject(user, candidate, namespace));
  if (subject === undefined) {
    return;
  }
  const roleRef = objectAt(binding, 'roleRef');
  const [kind, roleName] = [stringAt(roleRef, 'kind'), stringAt(roleRef, 'name')];
  const isNamespaced = kind === 'Role';
  const resource = isNamespaced ? rolesResource : clusterRolesResource;
  const role = context.objects.get(resource, isNamespaced ? namespace : '', roleName);
  if (role === undefined) {
    yield {
      rule: undefined,
      problem: `${isNamespaced ? 'role' : 'clusterrole'}.rbac.authorization.k8s.io "${roleName}" not found`,
    };
    return;
  }
  const bindingName = stringAt(objectAt(binding, 'metadata'), 'name');
  const bindingText =
    namespace === '' ? `ClusterRoleBinding "${bindingName}"` : `RoleBinding "${bindingName}/${namespace}"`;
  const source = `${bindingText} of ${kind} "${roleName}" to ${subjectText(subject, namespace)}`;
  for (const rule of objectsAt(role, 'rules')) {
    yield { rule: policyRule(rule), source };
  }
}

function subjectText(subject: JsonObject, bindingNamespace: string): string {
  const [kind, name] = [stringAt(subject, 'kind'), stringAt(subject, 'name')];
  const namespace = isFieldSet(subject, 'namespace') ? stringAt(subject, 'namespace') : bindingNamespace;
  return kind === 'ServiceAccount' ? `${kind} "${name}/${namespace}"` : `${kind} "${name}"`;
}

function isSubject(user: UserInfo, subject: JsonObject, bindingNamespace: string): boolean {
  const name = stringAt(subject, 'name');
  switch (stringAt(subject, 'kind')) {
    case 'User':
      return user.username === name;
    case 'Group':
      return user.groups.includes(name);
    case 'ServiceAccount': {
      const namespace = isFieldSet(subject, 'namespace') ? stringAt(subject, 'namespace') : bindingNamespace;
      return namespace !== '' && user.username === serviceAccountUsername(namespace, name);
    }
    default:
      return false;
  }
}

function policyRule(rule: JsonObject): PolicyRule {
  return {
    verbs: stringsAt(rule, 'verbs'),
    apiGroups: stringsAt(rule, 'apiGroups'),
    resources: stringsAt(rule, 'resources'),
    resourceNames: stringsAt(rule, 'resourceNames'),
    nonResourceURLs: stringsAt(rule, 'nonResourceURLs'),
  };
}

/** True when the rule covers the request. */
export function ruleAllows(rule: PolicyRule, attributes: RequestAttributes): boolean {
  if (!covers(rule.verbs, attributes.verb)) {
    return false;
  }
  if (attributes.kind === 'path') {
    return rule.nonResourceURLs.some((url) => urlMatches(url, attributes.path));
  }
  const { apiGroup, name, resource, subresource } = attributes;
  return (
    covers(rule.apiGroups, apiGroup) &&
    (covers(rule.resources, subresource === '' ? resource : `${resource}/${subresource}`) ||
      (subresource !== '' && rule.resources.includes(`*/${subresource}`))) &&
    (rule.resourceNames.length === 0 || rule.resourceNames.includes(name))
  );
}

function covers(allowed: readonly string[], wanted: string): boolean {
  return allowed.includes('*') || allowed.includes(wanted);
}

function urlMatches(pattern: string, path: string): boolean {
  return pattern === '*' || pattern === path || (pattern.endsWith('*') && path.startsWith(pattern.replace(/\*+$/, '')));
}
