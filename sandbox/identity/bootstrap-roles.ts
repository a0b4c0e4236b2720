/**
 * The roles that a cluster has from the start, as far as they matter to certificates, and the static part of what nodes
 * may do.
 *
 * https://kubernetes.io/docs/reference/access-authn-authz/rbac/#default-roles-and-role-bindings
 */

import type { PolicyRule } from './access.ts';
import { authenticatedGroup, serviceAccountsGroup, unauthenticatedGroup } from './access.ts';

/** A ClusterRole and the groups that the ClusterRoleBinding of the same name gives it to. */
export interface BootstrapRole {
  readonly role: string;
  readonly groups: readonly string[];
  readonly rules: readonly PolicyRule[];
}

function resourceRule(
  apiGroups: readonly string[],
  resources: readonly string[],
  verbs: readonly string[],
): PolicyRule {
  return { verbs, apiGroups, resources, resourceNames: [], nonResourceURLs: [] };
}

function urlRule(nonResourceURLs: readonly string[]): PolicyRule {
  return { verbs: ['get'], apiGroups: [], resources: [], resourceNames: [], nonResourceURLs };
}

const read = ['get', 'list', 'watch'];
const health = ['/livez', '/readyz', '/healthz'];
const certificates = ['certificates.k8s.io'];
const core = [''];

export const bootstrapRules: readonly BootstrapRole[] = [
  {
    role: 'system:discovery',
    groups: [authenticatedGroup],
    rules: [
      urlRule([...health, '/version', '/version/', '/openapi', '/openapi/*', '/api', '/api/*', '/apis', '/apis/*']),
    ],
  },
  {
    role: 'system:basic-user',
    groups: [authenticatedGroup],
    rules: [
      resourceRule(['authorization.k8s.io'], ['selfsubjectaccessreviews', 'selfsubjectrulesreviews'], ['create']),
      resourceRule(['authentication.k8s.io'], ['selfsubjectreviews'], ['create']),
    ],
  },
  {
    role: 'system:public-info-viewer',
    groups: [authenticatedGroup, unauthenticatedGroup],
    rules: [urlRule([...health, '/version', '/version/'])],
  },
  {
    role: 'system:service-account-issuer-discovery',
    groups: [serviceAccountsGroup],
    rules: [
      urlRule([
        '/.well-known/openid-configuration',
        '/.well-known/openid-configuration/',
        '/openid/v1/jwks',
        '/openid/v1/jwks/',
      ]),
    ],
  },
  {
    role: 'system:cluster-trust-bundle-discovery',
    groups: [serviceAccountsGroup],
    rules: [resourceRule(certificates, ['clustertrustbundles'], read)],
  },
];

/** What every node may do to resources that are not tied to one node. */
export const nodeRules: readonly PolicyRule[] = [
  resourceRule(['authentication.k8s.io'], ['tokenreviews'], ['create']),
  resourceRule(['authorization.k8s.io'], ['subjectaccessreviews', 'localsubjectaccessreviews'], ['create']),
  resourceRule(core, ['services'], read),
  resourceRule(['', 'events.k8s.io'], ['events'], ['create', 'update', 'patch']),
  resourceRule(certificates, ['certificatesigningrequests'], ['create', ...read]),
  resourceRule(certificates, ['clustertrustbundles'], read),
  resourceRule(['storage.k8s.io'], ['csidrivers'], read),
  resourceRule(['node.k8s.io'], ['runtimeclasses'], read),
];
