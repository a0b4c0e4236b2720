/**
 * Impersonation of nodes and others, constrained and classic.
 */
import type { KubernetesVersion } from '../../../../sandbox/base/cluster-rules.ts';
import { good as allowed, refused } from './answers.ts';
import type { CaseRequest, Expected, RuleCase, UserName, World } from './case.ts';
import { creation, requestsResource } from './requests.ts';

const namespace = 'default';
const onNode = 'spec.nodeName=node-a';
const noSelector = 'can only list/watch podcertificaterequests with nodeName field selector';
const constrained: readonly KubernetesVersion[] = ['1.36', '1.37'];
const classicOnly: readonly KubernetesVersion[] = ['1.34', '1.35'];
const asNodeA = { 'impersonate-user': 'system:node:node-a' };

function impersonated(
  name: string,
  user: UserName,
  impersonate: Readonly<Record<string, string | readonly string[]>>,
  request: (world: World) => CaseRequest,
  expected: Expected,
  kubernetes: readonly KubernetesVersion[] = constrained,
): RuleCase {
  return { name, user, impersonate, kubernetes, request, expected };
}

function list(fieldSelector: string | undefined) {
  return (world: World): CaseRequest => ({
    verb: 'list',
    resource: requestsResource,
    version: world.requestVersion,
    namespace,
    ...(fieldSelector === undefined ? {} : { fieldSelector }),
  });
}

const listOnNode = list(onNode);
const createOnNode = (world: World): CaseRequest => creation(world, {}, { generateName: 'req-' });
const getPod = (): CaseRequest => ({ verb: 'get', resource: 'pods', version: 'v1', namespace, name: 'web-a' });
const onList = 'impersonate-on:associated-node:list';

export const impersonationCases: readonly RuleCase[] = [
  impersonated('lets an agent act as its node', 'agent on node-a', asNodeA, listOnNode, allowed),
  impersonated('lets an agent create a request as its node', 'agent on node-a', asNodeA, createOnNode, allowed),
  impersonated(
    'holds an agent to its node’s selector',
    'agent on node-a',
    asNodeA,
    list(undefined),
    refused(
      `User "system:node:node-a" cannot list resource "podcertificaterequests" in API group "certificates.k8s.io" in the namespace "default": ${noSelector}`,
    ),
  ),
  impersonated(
    'does not let an agent do as its node what it has no verb for',
    'agent on node-a',
    asNodeA,
    getPod,
    refused(
      'pods "web-a" is forbidden: User "system:serviceaccount:agent-system:agent" cannot impersonate-on:associated-node:get resource "pods"',
    ),
  ),
  impersonated(
    'does not let an agent act as another node',
    'agent on node-a',
    { 'impersonate-user': 'system:node:node-b' },
    listOnNode,
    refused('cannot impersonate-on:arbitrary-node:list resource "podcertificaterequests"'),
  ),
  impersonated(
    'does not let a token without a node act as a node',
    'agent without a node',
    asNodeA,
    listOnNode,
    refused('cannot impersonate-on:arbitrary-node:list resource "podcertificaterequests"'),
  ),
  impersonated(
    'asks for the verb on the node',
    'agent that may not impersonate',
    asNodeA,
    listOnNode,
    refused(
      'nodes.authentication.k8s.io "*" is forbidden: User "system:serviceaccount:agent-system:agent-noimp" cannot impersonate:associated-node resource "nodes" in API group "authentication.k8s.io" at the cluster scope',
    ),
  ),
  impersonated(
    'asks for the verb on what is done',
    'agent that may impersonate only',
    asNodeA,
    listOnNode,
    refused(`cannot ${onList} resource "podcertificaterequests"`),
  ),
  impersonated(
    'does not take the verb on the node with resourceNames',
    'agent with resourceNames',
    asNodeA,
    listOnNode,
    refused('nodes.authentication.k8s.io "*" is forbidden'),
  ),
  impersonated(
    'takes no groups beside a node',
    'agent on node-a',
    { ...asNodeA, 'impersonate-group': ['system:nodes'] },
    listOnNode,
    refused(
      'users "system:node:node-a" is forbidden: User "system:serviceaccount:agent-system:agent" cannot impersonate resource "users" in API group "" at the cluster scope',
    ),
  ),
  impersonated(
    'takes no UID beside a node',
    'agent on node-a',
    { ...asNodeA, 'impersonate-uid': 'x' },
    listOnNode,
    refused('cannot impersonate resource "users"'),
  ),
  impersonated(
    'takes no extra beside a node',
    'agent on node-a',
    { ...asNodeA, 'impersonate-extra-a.com%2fb': 'x' },
    listOnNode,
    refused('cannot impersonate resource "users"'),
  ),
  impersonated(
    'refuses groups without a user',
    'agent on node-a',
    { 'impersonate-group': ['system:nodes'] },
    listOnNode,
    {
      code: 400,
      says: 'requested &user.DefaultInfo{Name:"", UID:"", Groups:[]string{"system:nodes"}, Extra:map[string][]string(nil)} without impersonating a user name',
    },
  ),
  impersonated(
    'lets an administrator act as anyone',
    'admin',
    { 'impersonate-user': 'nobody' },
    listOnNode,
    refused('User "nobody" cannot list resource'),
  ),
  impersonated(
    'lets an administrator act as a service account',
    'admin',
    { 'impersonate-user': 'system:serviceaccount:default:web' },
    getBundles,
    allowed,
  ),
  impersonated(
    'does not let an administrator act for system:masters with constraints, and falls back',
    'admin',
    { 'impersonate-user': 'x', 'impersonate-group': ['system:masters'] },
    getPod,
    allowed,
  ),
  impersonated(
    'lets classic permissions still do',
    'agent with classic impersonation',
    { ...asNodeA, 'impersonate-group': ['system:nodes'] },
    listOnNode,
    allowed,
    [...classicOnly, ...constrained],
  ),
  impersonated(
    'gives a user of classic impersonation no groups by name',
    'agent with classic impersonation',
    asNodeA,
    listOnNode,
    refused('User "system:node:node-a" cannot list resource "podcertificaterequests"'),
    [...classicOnly, ...constrained],
  ),
  impersonated(
    'knows no constrained impersonation before 1.36',
    'agent on node-a',
    asNodeA,
    listOnNode,
    refused(
      'users "system:node:node-a" is forbidden: User "system:serviceaccount:agent-system:agent" cannot impersonate resource "users"',
    ),
    classicOnly,
  ),
  impersonated(
    'refuses groups without a user in classic impersonation',
    'admin',
    { 'impersonate-group': ['g'] },
    listOnNode,
    { code: 400, says: 'requested [{Group  g    }] without impersonating a user' },
    classicOnly,
  ),
  impersonated(
    'asks for classic permission on a service account',
    'agent with classic impersonation',
    { 'impersonate-user': 'system:serviceaccount:default:web' },
    getBundles,
    refused('serviceaccounts "web" is forbidden'),
    classicOnly,
  ),
];

function getBundles(world: World): CaseRequest {
  return { verb: 'list', resource: 'clustertrustbundles.certificates.k8s.io', version: world.bundleVersion };
}
