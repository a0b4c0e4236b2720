/**
 * NodeRestriction: what nodes say in PodCertificateRequests and in requests for tokens must be true.
 */
import type { JsonObject } from '../../../../sandbox/base/objects.ts';
import { good as allowed, failed, refused } from './answers.ts';
import type { Expected, RuleCase, UserName, World } from './case.ts';
import { creation, keyMaterial } from './requests.ts';

const namespace = 'default';
const unrelated = "no relationship found between node 'node-a' and this object";

/** A node's creation of a request that differs from a good one in its spec. */
function created(name: string, user: UserName, overrides: (world: World) => JsonObject, expected: Expected): RuleCase {
  return { name, user, request: (world) => creation(world, overrides(world), { generateName: 'req-' }), expected };
}
const plainPod = (world: World): JsonObject => ({
  podName: 'plain-a',
  podUID: world.uid('Pod', 'plain-a'),
  serviceAccountName: 'other',
  serviceAccountUID: world.uid('ServiceAccount', 'other'),
  ...keyMaterial(world, 'ED25519', world.uid('Pod', 'plain-a')),
});

const elsewhere = (world: World): JsonObject => ({ podUID: 'p', ...keyMaterial(world, 'ED25519', 'p') });

const requestCases: RuleCase[] = [
  created('takes a request by the pod’s node', 'node-a', () => ({}), allowed),
  created(
    'refuses a request for another node',
    'node-a',
    () => ({ nodeName: 'node-b' }),
    refused(
      'podcertificaterequests.certificates.k8s.io "req-" is forbidden: PodCertificateRequest.Spec.NodeName="node-b", which is not the requesting node "node-a"',
    ),
  ),
  created(
    'refuses a request by another node',
    'node-b',
    () => ({}),
    refused('which is not the requesting node "node-b"'),
  ),
  created(
    'fails on another UID of the node',
    'node-a',
    () => ({ nodeUID: 'x' }),
    failed('names node UID "x", inconsistent with the running node'),
  ),
  created(
    'fails on a pod that does not exist',
    'node-a',
    () => ({ podName: 'nope' }),
    failed('while retrieving pod "default/nope" named in the PodCertificateRequest: pod "nope" not found'),
  ),
  created(
    'fails on another UID of the pod',
    'node-a',
    () => ({ podUID: 'x' }),
    failed('PodCertificateRequest for pod "default/web-a" contains pod UID ("x") which differs from running pod'),
  ),
  created(
    'refuses a pod on another node',
    'node-a',
    (world) => ({ podName: 'web-b', podUID: world.uid('Pod', 'web-b') }),
    refused('pod "default/web-b" is not running on node "node-a" named in the PodCertificateRequest'),
  ),
  created(
    'refuses a mirror pod',
    'node-a',
    (world) => ({ podName: 'mirror-a', podUID: world.uid('Pod', 'mirror-a') }),
    refused('pod "default/mirror-a" is a mirror pod'),
  ),
  created(
    'refuses another service account',
    'node-a',
    () => ({ serviceAccountName: 'other' }),
    refused('contains serviceAccountName ("other") that differs from running pod ("web")'),
  ),
  created(
    'fails on another UID of the service account',
    'node-a',
    () => ({ serviceAccountUID: 'x' }),
    failed('names service account UID "x", which differs from the running service account'),
  ),
  created(
    'checks what a node says before what it looks like',
    'node-a',
    () => ({ nodeName: 'node-b', signerName: '' }),
    refused('which is not the requesting node'),
  ),
  created(
    'checks no one else',
    'admin',
    (world) => ({ nodeName: 'node-b', nodeUID: 'x', ...elsewhere(world) }),
    allowed,
  ),
  {
    ...created('takes a request for a pod that mounts no certificate', 'node-a', plainPod, allowed),
    kubernetes: ['1.34', '1.35', '1.36'],
  },
  {
    ...created(
      'refuses a request for a pod that mounts no certificate',
      'node-a',
      plainPod,
      refused('is not authorized to request certificates from this signer'),
    ),
    kubernetes: ['1.37'],
  },
  {
    ...created(
      'refuses a signer that the pod does not name',
      'node-a',
      () => ({ signerName: 'example.com/other' }),
      refused('does not mount a podCertificate source of signer "example.com/other"'),
    ),
    kubernetes: ['1.37'],
  },
  {
    ...created(
      'does not let just anybody create requests',
      'nobody',
      () => ({}),
      refused(
        'User "nobody" cannot create resource "podcertificaterequests" in API group "certificates.k8s.io" in the namespace "default"',
      ),
    ),
  },
];

function token(
  name: string,
  user: UserName,
  serviceAccount: string,
  spec: (world: World) => JsonObject,
  expected: Expected,
): RuleCase {
  return {
    name,
    user,
    request: (world) => ({
      verb: 'create',
      resource: 'serviceaccounts',
      version: 'v1',
      namespace,
      name: serviceAccount,
      subresource: 'token',
      body: { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', metadata: {}, spec: spec(world) },
    }),
    expected,
  };
}

function boundTo(world: World, pod: string, more: JsonObject = {}): JsonObject {
  return { boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name: pod, uid: world.uid('Pod', pod) }, ...more };
}

const tokenCases: RuleCase[] = [
  token('gives a node a token bound to its pod', 'node-a', 'web', (world) => boundTo(world, 'web-a'), allowed),
  token(
    'gives a node no token of an account that no pod on it uses',
    'node-a',
    'unused',
    (world) => boundTo(world, 'web-a'),
    refused(unrelated),
  ),
  token(
    'gives a node no unbound token',
    'node-a',
    'web',
    () => ({}),
    refused('node requested token not bound to a pod'),
  ),
  token(
    'gives a node no token bound to a pod without UID',
    'node-a',
    'web',
    () => ({ boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name: 'web-a' } }),
    refused('node requested token with a pod binding without a uid'),
  ),
  token(
    'gives a node no token bound to another UID',
    'node-a',
    'web',
    () => ({ boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name: 'web-a', uid: 'x' } }),
    refused('the UID in the bound object reference (x) does not match the UID in record'),
  ),
  token(
    'gives a node no token bound to a pod elsewhere',
    'node-a',
    'web',
    (world) => boundTo(world, 'web-b'),
    refused('node requested token bound to a pod scheduled on a different node'),
  ),
  token(
    'gives a node no token for an audience that the pod does not name',
    'node-a',
    'web',
    (world) => boundTo(world, 'web-a', { audiences: ['x'] }),
    refused(
      'audience "x" not found in pod spec volume, system:node:node-a is not authorized to request tokens for this audience',
    ),
  ),
  token(
    'gives a node no token for two audiences',
    'node-a',
    'web',
    (world) => boundTo(world, 'web-a', { audiences: ['x', 'y'] }),
    refused('node may only request 0 or 1 audiences'),
  ),
  token(
    'gives a node no token for a pod that opts out of tokens',
    'node-a',
    'other',
    (world) => boundTo(world, 'plain-a'),
    refused('not found in pod spec volume'),
  ),
  token('gives others unbound tokens', 'admin', 'web', () => ({ audiences: ['x'] }), allowed),
  token('refuses a token for less than 10 minutes', 'admin', 'web', () => ({ expirationSeconds: 599 }), {
    code: 422,
    causes: ['spec.expirationSeconds FieldValueInvalid'],
  }),
  token('refuses a token for more than 2^32 seconds', 'admin', 'web', () => ({ expirationSeconds: 2 ** 32 + 1 }), {
    code: 422,
    causes: ['spec.expirationSeconds FieldValueInvalid'],
  }),
];

export const restrictionCases: readonly RuleCase[] = [...requestCases, ...tokenCases];
