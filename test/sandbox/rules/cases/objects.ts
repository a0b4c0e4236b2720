/**
 * The objects that every case finds: two nodes, pods with and without certificates, signers' roles, and agents with
 * some of the permissions that impersonation needs.
 */

import type { UserInfo } from '../../../../sandbox/base/cluster-rules.ts';
import type { ApiObject, JsonObject } from '../../../../sandbox/base/objects.ts';
import type { UserName } from './case.ts';

/** An object and the resource it is stored under. */
export interface StoredObject {
  readonly resource: string;
  readonly object: ApiObject;
}

const rbac = 'rbac.authorization.k8s.io';

function object(
  resource: string,
  kind: string,
  apiVersion: string,
  name: string,
  namespace: string,
  rest: JsonObject,
): StoredObject {
  const metadata = namespace === '' ? { name } : { name, namespace };
  const { metadata: more, ...fields } = rest;
  return { resource, object: { apiVersion, kind, metadata: { ...metadata, ...(more as JsonObject) }, ...fields } };
}

function pod(
  name: string,
  nodeName: string,
  serviceAccountName: string,
  rest: JsonObject = {},
  metadata: JsonObject = {},
): StoredObject {
  const containers = [{ name: 'main', image: 'registry.example/pause' }];
  const namespace = serviceAccountName.startsWith('agent') ? 'agent-system' : 'default';
  return object('pods', 'Pod', 'v1', name, namespace, {
    metadata,
    spec: { nodeName, serviceAccountName, containers, ...rest },
  });
}

function serviceAccount(name: string): StoredObject {
  const namespace = name.startsWith('agent') ? 'agent-system' : 'default';
  return object('serviceaccounts', 'ServiceAccount', 'v1', name, namespace, {});
}

/** A ClusterRole and the ClusterRoleBinding of the same name. */
function granted(name: string, rules: JsonObject[], subjects: JsonObject[]): StoredObject[] {
  const roleRef = { apiGroup: rbac, kind: 'ClusterRole', name };
  return [
    object(`clusterroles.${rbac}`, 'ClusterRole', `${rbac}/v1`, name, '', { rules }),
    object(`clusterrolebindings.${rbac}`, 'ClusterRoleBinding', `${rbac}/v1`, name, '', { roleRef, subjects }),
  ];
}

function rule(apiGroup: string, resource: string, verbs: string[], resourceNames: string[] = []): JsonObject {
  return {
    apiGroups: [apiGroup],
    resources: [resource],
    verbs,
    ...(resourceNames.length === 0 ? {} : { resourceNames }),
  };
}

function user(name: string): JsonObject {
  return { kind: 'User', apiGroup: rbac, name };
}

function account(name: string): JsonObject {
  return { kind: 'ServiceAccount', name, namespace: 'agent-system' };
}

const certificates = 'certificates.k8s.io';
const impersonateNode = [rule('authentication.k8s.io', 'nodes', ['impersonate:associated-node'])];
const impersonateOwnNode = [rule('authentication.k8s.io', 'nodes', ['impersonate:associated-node'], ['node-a'])];
const impersonateOnRequests = [
  rule(
    certificates,
    'podcertificaterequests',
    ['create', 'get', 'list', 'watch'].map((verb) => `impersonate-on:associated-node:${verb}`),
  ),
];
const mirror = { annotations: { 'kubernetes.io/config.mirror': 'x' } };
const certificate = {
  podCertificate: { signerName: 'example.com/foo', keyType: 'ED25519', credentialBundlePath: 'bundle.pem' },
};

/** All objects, in an order in which they can be created. */
export const storedObjects: readonly StoredObject[] = [
  object('nodes', 'Node', 'v1', 'node-a', '', {}),
  object('nodes', 'Node', 'v1', 'node-b', '', {}),
  object('namespaces', 'Namespace', 'v1', 'default', '', {}),
  object('namespaces', 'Namespace', 'v1', 'agent-system', '', {}),
  ...['web', 'other', 'unused', 'agent', 'agent-noimp', 'agent-noon', 'agent-names', 'agent-legacy'].map(
    serviceAccount,
  ),
  pod('web-a', 'node-a', 'web', { volumes: [{ name: 'cert', projected: { sources: [certificate] } }] }),
  pod('plain-a', 'node-a', 'other', { automountServiceAccountToken: false }),
  pod('web-b', 'node-b', 'web'),
  pod('mirror-a', 'node-a', 'web', {}, mirror),
  pod('agent-a', 'node-a', 'agent'),
  ...granted(
    'request-status',
    [
      rule(certificates, 'podcertificaterequests', ['get', 'list', 'watch']),
      rule(certificates, 'podcertificaterequests/status', ['update', 'patch']),
      rule(certificates, 'clustertrustbundles', ['create', 'update']),
    ],
    [user('signer'), user('signer-without-sign')],
  ),
  ...granted('sign-example', [rule(certificates, 'signers', ['sign', 'attest'], ['example.com/*'])], [user('signer')]),
  ...granted('impersonate-node', impersonateNode, [account('agent'), account('agent-noon')]),
  ...granted('impersonate-own-node', impersonateOwnNode, [account('agent-names')]),
  ...granted('impersonate-on-requests', impersonateOnRequests, [
    account('agent'),
    account('agent-noimp'),
    account('agent-names'),
  ]),
  ...granted(
    'impersonate-classic',
    [rule('', 'users', ['impersonate']), rule('', 'groups', ['impersonate'])],
    [account('agent-legacy')],
  ),
];

function plainUser(username: string, groups: readonly string[]): UserInfo {
  return { username, groups: [...groups, 'system:authenticated'], extra: {} };
}

function agent(name: string, nodeName?: string): UserInfo {
  return {
    username: `system:serviceaccount:agent-system:${name}`,
    groups: ['system:serviceaccounts', 'system:serviceaccounts:agent-system', 'system:authenticated'],
    extra: nodeName === undefined ? {} : { 'authentication.kubernetes.io/node-name': [nodeName] },
  };
}

/** How each user looks once authenticated. */
export const users: Readonly<Record<UserName, UserInfo>> = {
  admin: plainUser('admin', ['system:masters']),
  'node-a': plainUser('system:node:node-a', ['system:nodes']),
  'node-b': plainUser('system:node:node-b', ['system:nodes']),
  signer: plainUser('signer', []),
  'signer without sign': plainUser('signer-without-sign', []),
  nobody: plainUser('nobody', []),
  anonymous: { username: 'system:anonymous', groups: ['system:unauthenticated'], extra: {} },
  'agent on node-a': agent('agent', 'node-a'),
  'agent without a node': agent('agent'),
  'agent that may not impersonate': agent('agent-noimp', 'node-a'),
  'agent that may impersonate only': agent('agent-noon', 'node-a'),
  'agent with resourceNames': agent('agent-names', 'node-a'),
  'agent with classic impersonation': agent('agent-legacy', 'node-a'),
};
