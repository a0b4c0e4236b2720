/**
 * What nodes may read and list, and which paths users may see.
 */
import type { KubernetesVersion } from '../../../../sandbox/base/cluster-rules.ts';
import { good as allowed, refused } from './answers.ts';
import type { Expected, RuleCase, UserName } from './case.ts';
import { podCertificateRequest, requestsResource } from './requests.ts';

/** A request for something of the core group, or for a PodCertificateRequest. */
function ask(
  name: string,
  user: UserName,
  verb: 'get' | 'list' | 'watch' | 'delete' | 'create' | 'update' | 'patch',
  resource: string,
  more: {
    name?: string;
    namespace?: string;
    subresource?: string;
    fieldSelector?: string;
    kubernetes?: readonly KubernetesVersion[];
  },
  expected: Expected,
): RuleCase {
  const { kubernetes, ...rest } = more;
  return {
    name,
    user,
    ...(kubernetes === undefined ? {} : { kubernetes }),
    request: (world) => ({
      verb,
      resource,
      version: resource === requestsResource ? world.requestVersion : 'v1',
      ...rest,
    }),
    expected,
  };
}

const namespace = 'default';
const onNode = 'spec.nodeName=node-a';
const unrelated = "no relationship found between node 'node-a' and this object";
const noSelector = 'can only list/watch podcertificaterequests with nodeName field selector';

const readingCases: RuleCase[] = [
  ask('lets a node read itself', 'node-a', 'get', 'nodes', { name: 'node-a' }, allowed),
  ask(
    'does not let a node read another node',
    'node-a',
    'get',
    'nodes',
    { name: 'node-b' },
    refused("node 'node-a' cannot read 'node-b', only its own Node object"),
  ),
  ask(
    'does not let a node list nodes',
    'node-a',
    'list',
    'nodes',
    {},
    refused("node 'node-a' cannot read all nodes, only its own Node object"),
  ),
  ask(
    'does not let a node delete nodes',
    'node-a',
    'delete',
    'nodes',
    { name: 'node-a' },
    refused('User "system:node:node-a" cannot delete resource "nodes"'),
  ),
  ask('lets a node read a pod on it', 'node-a', 'get', 'pods', { namespace, name: 'web-a' }, allowed),
  ask(
    'does not let a node read a pod elsewhere',
    'node-a',
    'get',
    'pods',
    { namespace, name: 'web-b' },
    refused(unrelated),
  ),
  ask('lets a node list its pods', 'node-a', 'list', 'pods', { fieldSelector: onNode }, allowed),
  ask(
    'does not let a node list all pods',
    'node-a',
    'list',
    'pods',
    {},
    refused('can only list/watch pods with spec.nodeName field selector'),
  ),
  ask(
    'does not let a node change a pod',
    'node-a',
    'update',
    'pods',
    { namespace, name: 'web-a' },
    refused('User "system:node:node-a" cannot update resource "pods"'),
  ),
  ask(
    'lets a node read the service account of its pod',
    'node-a',
    'get',
    'serviceaccounts',
    { namespace, name: 'web' },
    allowed,
  ),
  ask(
    'does not let a node read a service account that no pod on it uses',
    'node-a',
    'get',
    'serviceaccounts',
    { namespace, name: 'unused' },
    refused(unrelated),
  ),
  ask(
    'does not let a node read a service account that does not exist',
    'node-a',
    'get',
    'serviceaccounts',
    { namespace, name: 'nope' },
    refused(unrelated),
  ),
  ask(
    'lets a node read a service account that its pod does not mount',
    'node-a',
    'get',
    'serviceaccounts',
    { namespace, name: 'other', kubernetes: ['1.34', '1.35', '1.36'] },
    allowed,
  ),
  ask(
    'does not let a node read a service account that its pod does not mount',
    'node-a',
    'get',
    'serviceaccounts',
    { namespace, name: 'other', kubernetes: ['1.37'] },
    refused(unrelated),
  ),
  ask(
    'does not let a node list service accounts',
    'node-a',
    'list',
    'serviceaccounts',
    { namespace },
    refused('can only create tokens for individual service accounts'),
  ),
  ask(
    'does not let a node change a service account',
    'node-a',
    'update',
    'serviceaccounts',
    { namespace, name: 'web' },
    refused('can only create tokens for individual service accounts'),
  ),
  ask('lets a node write events', 'node-a', 'patch', 'events', { namespace, name: 'web-a.1' }, allowed),
  ask(
    'does not let a node list events',
    'node-a',
    'list',
    'events',
    { namespace },
    refused('User "system:node:node-a" cannot list resource "events" in API group "" in the namespace "default"'),
  ),
  ask('lets a node read CSI drivers', 'node-a', 'list', 'csidrivers.storage.k8s.io', {}, allowed),
  ask('lets a node write its CSINode', 'node-a', 'update', 'csinodes.storage.k8s.io', { name: 'node-a' }, allowed),
  ask(
    'does not let a node write another CSINode',
    'node-a',
    'update',
    'csinodes.storage.k8s.io',
    { name: 'node-b' },
    refused('can only access CSINode with the same name as the requesting node'),
  ),
  ask(
    'does not let a node list CSINodes',
    'node-a',
    'list',
    'csinodes.storage.k8s.io',
    {},
    refused('can only get, create, update, patch, or delete a CSINode'),
  ),
  ask(
    'does not let a node read secrets',
    'node-a',
    'list',
    'secrets',
    { namespace },
    refused('cannot list resource "secrets"'),
  ),
  ...(['list', 'watch'] as const).flatMap((verb) => [
    ask(`lets a node ${verb} its requests`, 'node-a', verb, requestsResource, { fieldSelector: onNode }, allowed),
    ask(
      `lets a node ${verb} its requests with more terms`,
      'node-a',
      verb,
      requestsResource,
      { namespace, fieldSelector: `spec.podName=a,spec.nodeName==node-a` },
      allowed,
    ),
    ask(
      `does not let a node ${verb} all requests`,
      'node-a',
      verb,
      requestsResource,
      { namespace },
      refused(noSelector),
    ),
    ask(
      `does not let a node ${verb} another node's requests`,
      'node-a',
      verb,
      requestsResource,
      { fieldSelector: 'spec.nodeName=node-b' },
      refused(noSelector),
    ),
    ask(
      `does not let a node ${verb} all but its requests`,
      'node-a',
      verb,
      requestsResource,
      { fieldSelector: 'spec.nodeName!=node-a' },
      refused(noSelector),
    ),
  ]),
  ask(
    'does not let a node read a request that does not exist',
    'node-a',
    'get',
    requestsResource,
    { namespace, name: 'nope' },
    refused(unrelated),
  ),
  ask(
    'does not let a node delete a request',
    'node-a',
    'delete',
    requestsResource,
    { namespace, name: 'a' },
    refused('nodes may not delete podcertificaterequests'),
  ),
  ask(
    'does not let a node patch a request',
    'node-a',
    'patch',
    requestsResource,
    { namespace, name: 'a' },
    refused('nodes may not patch podcertificaterequests'),
  ),
  ask(
    'does not let a node read the status subresource',
    'node-a',
    'get',
    requestsResource,
    { namespace, name: 'a', subresource: 'status' },
    refused('nodes may not access the status subresource'),
  ),
  readsRequest('lets a node read its request', 'node-a', allowed),
  readsRequest(
    "does not let a node read another node's request",
    'node-b',
    refused("no relationship found between node 'node-b' and this object"),
  ),
];

function readsRequest(name: string, user: UserName, expected: Expected): RuleCase {
  return {
    name,
    user,
    request: (world) => ({
      verb: 'get',
      resource: requestsResource,
      version: world.requestVersion,
      namespace,
      name: 'request',
      before: podCertificateRequest(world),
    }),
    expected,
  };
}

const pathCases: RuleCase[] = [
  path('lets everyone who is known discover APIs', 'nobody', '/apis/certificates.k8s.io/v1beta1', allowed),
  path(
    'lets everyone who is known read OpenAPI documents',
    'nobody',
    '/openapi/v3/apis/certificates.k8s.io/v1beta1',
    allowed,
  ),
  path('lets strangers see the version', 'anonymous', '/version', allowed),
  path(
    'does not let strangers discover APIs',
    'anonymous',
    '/apis',
    refused('forbidden: User "system:anonymous" cannot get path "/apis"'),
  ),
  path(
    'does not let everyone read metrics',
    'nobody',
    '/metrics',
    refused('forbidden: User "nobody" cannot get path "/metrics"'),
  ),
];

function path(name: string, user: UserName, url: string, expected: Expected): RuleCase {
  return { name, user, request: () => ({ verb: 'get', path: url }), expected };
}

export const nodeCases: readonly RuleCase[] = [...readingCases, ...pathCases];
