/**
 * The objects around certificates, as far as the rules know them, and what nodes may write of them.
 */
import type { ApiObject, JsonObject } from '../../../../sandbox/base/objects.ts';
import { bad, good, refused } from './answers.ts';
import type { Expected, RuleCase, UserName, World } from './case.ts';

const required = 'FieldValueRequired';
const invalid = 'FieldValueInvalid';
const notSupported = 'FieldValueNotSupported';
const rbacGroup = 'rbac.authorization.k8s.io';

/** Creation of an object by an administrator. */
function made(name: string, resource: string, object: ApiObject, expected: Expected): RuleCase {
  const { namespace } = object.metadata;
  return {
    name,
    user: 'admin',
    request: () => ({
      verb: 'create',
      resource,
      version: 'v1',
      body: object,
      ...(namespace === undefined ? {} : { namespace }),
    }),
    expected,
  };
}

function pod(spec: JsonObject = {}, metadata: JsonObject = {}): ApiObject {
  const containers = [{ name: 'main', image: 'registry.example/pause' }];
  const head = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'pod', namespace: 'default', ...metadata } };
  return { ...head, spec: { serviceAccountName: 'web', containers, ...spec } };
}

const podCases: RuleCase[] = [
  made('takes a pod', 'pods', pod({ nodeName: 'node-a', volumes: [{ name: 'a' }, { name: 'b' }] }), good),
  made('refuses a pod without containers', 'pods', pod({ containers: [] }), bad(`spec.containers ${required}`)),
  made(
    'refuses a container without name and image',
    'pods',
    pod({ containers: [{}] }),
    bad(`spec.containers[0].name ${required}`, `spec.containers[0].image ${required}`),
  ),
  made(
    'refuses two volumes of one name',
    'pods',
    pod({ volumes: [{ name: 'a' }, { name: 'a' }] }),
    bad('spec.volumes[1].name FieldValueDuplicate'),
  ),
  made('refuses a volume name with dots', 'pods', pod({ volumes: [{ name: 'a.b' }] }), {
    ...bad(`spec.volumes[0].name ${invalid}`),
    says: 'must not contain dots',
  }),
  made('refuses a bad name of a node', 'pods', pod({ nodeName: 'B' }), bad(`spec.nodeName ${invalid}`)),
];

function named(kind: string, name: string): ApiObject {
  const apiVersion = kind === 'ClusterRole' ? `${rbacGroup}/v1` : 'v1';
  return { apiVersion, kind, metadata: { name } };
}

const nameCases: RuleCase[] = [
  made('takes a namespace', 'namespaces', named('Namespace', 'a-1'), good),
  made('refuses a namespace with dots', 'namespaces', named('Namespace', 'a.b'), bad(`metadata.name ${invalid}`)),
  made('refuses a namespace of 64 bytes', 'namespaces', named('Namespace', 'a'.repeat(64)), {
    code: 422,
    says: 'metadata.name',
  }),
  made('takes a node with dots', 'nodes', named('Node', 'a.b'), good),
  made(
    'takes reviews without a name',
    'tokenreviews.authentication.k8s.io',
    { kind: 'TokenReview', metadata: {}, spec: { token: 'x' } },
    good,
  ),
  made(
    'takes a role with colons in its name',
    `clusterroles.${rbacGroup}`,
    { ...named('ClusterRole', 'system:a'), rules: [] },
    good,
  ),
  made(
    'refuses a role with a slash in its name',
    `clusterroles.${rbacGroup}`,
    { ...named('ClusterRole', 'a/b'), rules: [] },
    {
      ...bad(`metadata.name ${invalid}`),
      says: `may not contain '/'`,
    },
  ),
  made(
    'refuses a role that is named for a directory',
    `clusterroles.${rbacGroup}`,
    { ...named('ClusterRole', '..'), rules: [] },
    {
      ...bad(`metadata.name ${invalid}`),
      says: `may not be '..'`,
    },
  ),
];

function role(kind: 'Role' | 'ClusterRole', rule: JsonObject): ApiObject {
  const metadata = kind === 'Role' ? { name: 'role', namespace: 'default' } : { name: 'role' };
  return { apiVersion: `${rbacGroup}/v1`, kind, metadata, rules: [rule] };
}

const resourceRule = { apiGroups: [''], resources: ['pods'], verbs: ['get'] };
const urlRule = { nonResourceURLs: ['/metrics'], verbs: ['get'] };
const clusterRoles = `clusterroles.${rbacGroup}`;

const roleCases: RuleCase[] = [
  made('takes a role for paths', clusterRoles, role('ClusterRole', urlRule), good),
  made(
    'refuses a rule without verbs',
    clusterRoles,
    role('ClusterRole', { ...resourceRule, verbs: [] }),
    bad(`rules[0].verbs ${required}`),
  ),
  made(
    'refuses a rule without resources',
    clusterRoles,
    role('ClusterRole', { verbs: ['get'] }),
    bad(`rules[0].apiGroups ${required}`, `rules[0].resources ${required}`),
  ),
  made(
    'refuses a rule for paths and resources',
    clusterRoles,
    role('ClusterRole', { ...resourceRule, ...urlRule }),
    bad(`rules[0].nonResourceURLs ${invalid}`),
  ),
  made(
    'refuses a namespaced rule for paths',
    `roles.${rbacGroup}`,
    role('Role', urlRule),
    bad(`rules[0].nonResourceURLs ${invalid}`),
  ),
];

function binding(roleRef: JsonObject, subject: JsonObject): ApiObject {
  const metadata = { name: 'binding' };
  const ref = { apiGroup: rbacGroup, kind: 'ClusterRole', name: 'role', ...roleRef };
  return { apiVersion: `${rbacGroup}/v1`, kind: 'ClusterRoleBinding', metadata, roleRef: ref, subjects: [subject] };
}

const bindings = `clusterrolebindings.${rbacGroup}`;
const someone = { kind: 'User', name: 'someone' };

const bindingCases: RuleCase[] = [
  made('takes a binding', bindings, binding({}, someone), good),
  made(
    'refuses a binding to nothing',
    bindings,
    binding({ apiGroup: 'x', kind: 'Role', name: '' }, someone),
    bad(`roleRef.apiGroup ${notSupported}`, `roleRef.kind ${notSupported}`, `roleRef.name ${required}`),
  ),
  made(
    'refuses a subject of another kind',
    bindings,
    binding({}, { kind: 'Robot', name: 'r' }),
    bad(`subjects[0].kind ${notSupported}`),
  ),
  made(
    'refuses a service account without name and namespace',
    bindings,
    binding({}, { kind: 'ServiceAccount' }),
    bad(`subjects[0].name ${required}`, `subjects[0].namespace ${required}`),
  ),
  {
    name: 'keeps the role of a binding',
    user: 'admin',
    request: () => ({
      verb: 'update',
      resource: bindings,
      version: 'v1',
      name: 'binding',
      before: binding({}, someone),
      body: binding({ name: 'other' }, someone),
    }),
    expected: bad(`roleRef ${invalid}`),
  },
];

function event(involvedNamespace: string): ApiObject {
  const metadata = { name: 'web-a.1', namespace: 'agent-system' };
  return { apiVersion: 'v1', kind: 'Event', metadata, involvedObject: { kind: 'Pod', namespace: involvedNamespace } };
}

const eventCases: RuleCase[] = [
  made('takes an event', 'events', event('agent-system'), good),
  made(
    'refuses an event in another namespace than its object’s',
    'events',
    event('default'),
    bad(`involvedObject.namespace ${invalid}`),
  ),
  made(
    'refuses an event without its object’s namespace',
    'events',
    event(''),
    bad(`involvedObject.namespace ${invalid}`),
  ),
];

const mirror = { 'kubernetes.io/config.mirror': 'x' };

/** A node's creation of a mirror pod that differs from a good one. */
function mirrored(
  name: string,
  change: (world: World) => { spec?: JsonObject; metadata?: JsonObject; owner?: JsonObject },
  expected: Expected,
): RuleCase {
  return {
    name,
    user: 'node-a',
    request: (world) => {
      const { spec, metadata, owner } = change(world);
      const self = {
        apiVersion: 'v1',
        kind: 'Node',
        name: 'node-a',
        uid: world.uid('Node', 'node-a'),
        controller: true,
      };
      const ownerReferences = [{ ...self, ...owner }];
      const body = pod(
        { nodeName: 'node-a', serviceAccountName: '', ...spec },
        { annotations: mirror, ownerReferences, ...metadata },
      );
      return { verb: 'create', resource: 'pods', version: 'v1', namespace: 'default', body };
    },
    expected,
  };
}

const mirrorCases: RuleCase[] = [
  mirrored('takes a mirror pod of a node', () => ({}), good),
  mirrored(
    'refuses a pod of a node that is no mirror',
    () => ({ spec: { serviceAccountName: 'web' }, metadata: { annotations: {} } }),
    refused('node "node-a" can only create mirror pods'),
  ),
  mirrored(
    'refuses a mirror pod for another node',
    () => ({ spec: { nodeName: 'node-b' } }),
    refused('can only create pods with spec.nodeName set to itself'),
  ),
  mirrored(
    'refuses a mirror pod without an owner',
    () => ({ metadata: { ownerReferences: [] } }),
    refused('can only create pods with an owner reference set to itself'),
  ),
  mirrored(
    'refuses a mirror pod of another owner',
    () => ({ owner: { name: 'node-b' } }),
    refused('can only create pods with an owner reference set to itself'),
  ),
  mirrored(
    'refuses a mirror pod with two owners',
    () => ({ metadata: { ownerReferences: [{ uid: 'a' }, { uid: 'b' }] } }),
    refused('with a single owner reference set to itself'),
  ),
  mirrored(
    'refuses a mirror pod that its owner does not control',
    () => ({ owner: { controller: false } }),
    refused('with a controller owner reference set to itself'),
  ),
  mirrored(
    'refuses a mirror pod that holds its owner back',
    () => ({ owner: { blockOwnerDeletion: true } }),
    refused('must not set blockOwnerDeletion'),
  ),
  mirrored(
    'refuses a mirror pod with another UID of its node',
    () => ({ owner: { uid: 'x' } }),
    refused('node node-a UID mismatch: expected x'),
  ),
];

/** A node's update of an object. */
function changed(
  name: string,
  user: UserName,
  target: { resource: string; name: string; subresource?: string; namespace?: string },
  before: JsonObject,
  after: JsonObject,
  expected: Expected,
): RuleCase {
  const { name: objectName, namespace } = target;
  const metadata = namespace === undefined ? { name: objectName } : { name: objectName, namespace };
  const head = { apiVersion: 'v1', kind: target.resource === 'nodes' ? 'Node' : 'Pod', metadata };
  return {
    name,
    user,
    request: () => ({
      verb: 'update',
      version: 'v1',
      ...target,
      before: { ...head, ...before },
      body: { ...head, ...after },
    }),
    expected,
  };
}

const onNode: JsonObject = {
  spec: { nodeName: 'node-a', serviceAccountName: 'web', containers: [{ name: 'a', image: 'b' }] },
};
const itself = { resource: 'nodes', name: 'node-a' };
const podStatus = { resource: 'pods', name: 'web-a', namespace: 'default', subresource: 'status' };

const writingCases: RuleCase[] = [
  changed('lets a node write itself', 'node-a', itself, {}, { status: { ready: true } }, good),
  changed(
    'does not let a node write another node',
    'node-b',
    itself,
    {},
    {},
    refused('node "node-b" is not allowed to modify node "node-a"'),
  ),
  changed(
    'does not let a node change its taints',
    'node-a',
    itself,
    {},
    { spec: { taints: [{ key: 'a' }] } },
    refused('is not allowed to modify taints'),
  ),
  changed(
    'does not let a node change its owners',
    'node-a',
    itself,
    {},
    { metadata: { name: 'node-a', ownerReferences: [{ apiVersion: 'v1', kind: 'Pod', name: 'a', uid: 'b' }] } },
    refused('is not allowed to modify ownerReferences'),
  ),
  changed('lets a node write the status of its pod', 'node-a', podStatus, onNode, onNode, good),
  changed(
    'does not let a node write the status of a pod elsewhere',
    'node-b',
    podStatus,
    onNode,
    onNode,
    refused('can only update pod status for pods with spec.nodeName set to itself'),
  ),
];

/** A node's deletion of a pod on node-a. */
function deleted(name: string, user: UserName, expected: Expected): RuleCase {
  const before = pod({ nodeName: 'node-a' }, { name: 'web-a' });
  return {
    name,
    user,
    request: () => ({ verb: 'delete', resource: 'pods', version: 'v1', namespace: 'default', name: 'web-a', before }),
    expected,
  };
}

const removalCases: RuleCase[] = [
  deleted('lets a node delete its pod', 'node-a', good),
  deleted(
    'does not let a node delete a pod elsewhere',
    'node-b',
    refused('node "node-b" can only delete pods with spec.nodeName set to itself'),
  ),
];

function secret(fields: JsonObject): ApiObject {
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'ca', namespace: 'default' },
    type: 'Opaque',
    ...fields,
  };
}

function secretUpdate(name: string, before: JsonObject, after: JsonObject, expected: Expected): RuleCase {
  const target = { verb: 'update', resource: 'secrets', version: 'v1', namespace: 'default', name: 'ca' } as const;
  return { name, user: 'admin', request: () => ({ ...target, before: secret(before), body: secret(after) }), expected };
}

const secretCases: RuleCase[] = [
  made('takes a Secret', 'secrets', secret({ data: { 'ca.crt': 'YQ==' } }), good),
  made('refuses a key of a Secret with a slash', 'secrets', secret({ data: { 'a/b': 'YQ==' } }), {
    code: 422,
    says: 'data[a/b]',
  }),
  secretUpdate('lets a Secret be filled', {}, { data: { a: 'YQ==' } }, good),
  secretUpdate('keeps the type of a Secret', {}, { type: 'other' }, bad(`type ${invalid}`)),
  secretUpdate(
    'keeps the data of an immutable Secret',
    { immutable: true, data: { a: 'YQ==' } },
    { immutable: true, data: { a: 'Yg==' } },
    bad('data FieldValueForbidden'),
  ),
];

export const otherCases: readonly RuleCase[] = [
  ...secretCases,
  ...podCases,
  ...nameCases,
  ...roleCases,
  ...bindingCases,
  ...eventCases,
  ...mirrorCases,
  ...writingCases,
  ...removalCases,
];
