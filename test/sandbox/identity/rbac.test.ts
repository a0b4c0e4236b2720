import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspect } from 'node:util';
import type { RequestAttributes, RulesContext, UserInfo } from '../../../sandbox/base/cluster-rules.ts';
import type { ApiObject, JsonObject } from '../../../sandbox/base/objects.ts';
import { createRules } from '../../../sandbox/cluster/rules.ts';

const group = 'rbac.authorization.k8s.io';
const user: UserInfo = { username: 'someone', groups: ['people', 'system:authenticated'], extra: {} };
const account: UserInfo = { username: 'system:serviceaccount:ns:robot', groups: [], extra: {} };
const rules = createRules();

/** A cluster with one role in namespace ns, or cluster-wide, bound to a subject. */
function cluster(rule: JsonObject, subject: JsonObject, kind: 'Role' | 'ClusterRole' = 'ClusterRole'): RulesContext {
  const namespace = kind === 'Role' ? 'ns' : undefined;
  const metadata = { name: 'it', ...(namespace === undefined ? {} : { namespace }) };
  const role = { kind, metadata, rules: [rule] };
  const binding = { metadata, roleRef: { apiGroup: group, kind, name: 'it' }, subjects: [subject] };
  return context({
    [`${kind.toLowerCase()}s.${group}`]: [role],
    [`${kind.toLowerCase()}bindings.${group}`]: [binding],
  });
}

function context(stored: Readonly<Record<string, readonly ApiObject[]>>): RulesContext {
  const inNamespace = (object: ApiObject, namespace: string): boolean =>
    (object.metadata.namespace ?? '') === namespace;
  return {
    objects: {
      get: (resource, namespace, name) =>
        stored[resource]?.find((object) => object.metadata.name === name && inNamespace(object, namespace)),
      list: (resource, namespace) =>
        (stored[resource] ?? []).filter((object) => namespace === undefined || inNamespace(object, namespace)),
    },
    now: 0,
    kubernetes: '1.36',
    timeScale: 1,
  };
}

function resource(
  path: string,
  verb = 'get',
  more: Partial<{ name: string; namespace: string; apiGroup: string }> = {},
): RequestAttributes {
  const [plural = '', subresource = ''] = path.split('/');
  const rest = { apiGroup: '', name: '', namespace: '', ...more };
  return { kind: 'resource', user, verb, apiVersion: 'v1', resource: plural, subresource, ...rest };
}

const someone = { kind: 'User', name: 'someone' };
const pods = { apiGroups: [''], resources: ['pods'], verbs: ['get'] };

function allows(attributes: RequestAttributes, surroundings: RulesContext): boolean {
  return rules.authorize(attributes, surroundings).allowed;
}

test('A rule covers its verbs, groups and resources and no others', () => {
  const surroundings = cluster(pods, someone);
  assert.equal(allows(resource('pods'), surroundings), true);
  assert.equal(allows(resource('pods', 'list'), surroundings), false);
  assert.equal(allows(resource('nodes'), surroundings), false);
  assert.equal(allows(resource('pods', 'get', { apiGroup: 'example.com' }), surroundings), false);
});

test('A resource does not cover its subresources, and a star before a slash covers that subresource everywhere', () => {
  assert.equal(allows(resource('pods/status'), cluster(pods, someone)), false);
  assert.equal(allows(resource('pods/status'), cluster({ ...pods, resources: ['pods/status'] }, someone)), true);
  assert.equal(allows(resource('pods/status'), cluster({ ...pods, resources: ['*/status'] }, someone)), true);
  assert.equal(allows(resource('pods'), cluster({ ...pods, resources: ['*/status'] }, someone)), false);
});

test('Stars cover every verb, group and resource', () => {
  const all = { apiGroups: ['*'], resources: ['*'], verbs: ['*'] };
  assert.equal(allows(resource('pods/status', 'any', { apiGroup: 'a' }), cluster(all, someone)), true);
});

test('Names of resources are exact, and a request without a name is not covered', () => {
  const surroundings = cluster({ ...pods, resourceNames: ['a'] }, someone);
  assert.equal(allows(resource('pods', 'get', { name: 'a' }), surroundings), true);
  assert.equal(allows(resource('pods', 'get', { name: 'b' }), surroundings), false);
  assert.equal(allows(resource('pods'), surroundings), false);
});

test('A role in a namespace counts in that namespace only', () => {
  const surroundings = cluster(pods, someone, 'Role');
  assert.equal(allows(resource('pods', 'get', { namespace: 'ns' }), surroundings), true);
  assert.equal(allows(resource('pods', 'get', { namespace: 'other' }), surroundings), false);
  assert.equal(allows(resource('pods'), surroundings), false);
});

test('Subjects are users, groups and service accounts', () => {
  assert.equal(allows(resource('pods'), cluster(pods, { kind: 'Group', name: 'people' })), true);
  assert.equal(allows(resource('pods'), cluster(pods, { kind: 'Group', name: 'others' })), false);
  assert.equal(allows(resource('pods'), cluster(pods, { kind: 'Robot', name: 'someone' })), false);
  const asked = { ...resource('pods', 'get', { namespace: 'ns' }), user: account };
  assert.equal(allows(asked, cluster(pods, { kind: 'ServiceAccount', name: 'robot', namespace: 'ns' })), true);
  assert.equal(allows(asked, cluster(pods, { kind: 'ServiceAccount', name: 'robot', namespace: 'other' })), false);
  assert.equal(allows(asked, cluster(pods, { kind: 'ServiceAccount', name: 'robot' }, 'Role')), true);
  assert.equal(allows(asked, cluster(pods, { kind: 'ServiceAccount', name: 'robot' })), false);
});

test('Paths are covered exactly or by their beginning', () => {
  const path = (url: string): RequestAttributes => ({ kind: 'path', user, verb: 'get', path: url });
  const surroundings = cluster({ nonResourceURLs: ['/metrics', '/debug/*'], verbs: ['get'] }, someone);
  assert.equal(allows(path('/metrics'), surroundings), true);
  assert.equal(allows(path('/metrics/slis'), surroundings), false);
  assert.equal(allows(path('/debug/pprof'), surroundings), true);
});

test('What is allowed says which binding does it', () => {
  const decision = rules.authorize(resource('pods'), cluster(pods, someone));
  assert.equal(decision.reason, 'RBAC: allowed by ClusterRoleBinding "it" of ClusterRole "it" to User "someone"');
  const inNamespace = rules.authorize(
    { ...resource('pods', 'get', { namespace: 'ns' }), user: account },
    cluster(pods, { kind: 'ServiceAccount', name: 'robot' }, 'Role'),
  );
  assert.equal(inNamespace.reason, 'RBAC: allowed by RoleBinding "it/ns" of Role "it" to ServiceAccount "robot/ns"');
});

test('A binding to a role that does not exist is told in the refusal', () => {
  const bound = (name: string): ApiObject => ({
    metadata: { name },
    roleRef: { apiGroup: group, kind: 'ClusterRole', name },
    subjects: [someone],
  });
  const one = rules.authorize(resource('pods'), context({ [`clusterrolebindings.${group}`]: [bound('a')] }));
  assert.equal(one.reason, `RBAC: clusterrole.${group} "a" not found`);
  const two = rules.authorize(
    resource('pods'),
    context({ [`clusterrolebindings.${group}`]: [bound('a'), bound('b')] }),
  );
  assert.equal(two.reason, `RBAC: [clusterrole.${group} "a" not found, clusterrole.${group} "b" not found]`);
});

test('A user’s rules are listed, those that every user has included', () => {
  const listed = rules.rulesFor(user, 'ns', cluster({ ...pods, resourceNames: ['a'] }, someone));
  assert.deepEqual(listed.resourceRules.at(-1), { ...pods, resourceNames: ['a'] });
  assert.ok(
    listed.nonResourceRules.some((rule) => rule.nonResourceURLs.includes('/apis/*')),
    inspect(listed.nonResourceRules),
  );
});

test('A further authorizer is asked after the cluster’s own', () => {
  const open = createRules({ authorizer: () => ({ allowed: true }) });
  assert.equal(open.authorize(resource('pods'), context({})).allowed, true);
});
