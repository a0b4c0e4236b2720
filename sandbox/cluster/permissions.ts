/**
 * What the parts of a sandbox may do: roles for the signers and for the agent, in each of the agent's identities.
 *
 * https://kubernetes.io/docs/reference/access-authn-authz/rbac/
 */

export const agentNamespace = 'kube-system';
export const agentAccount = 'pod-certificate-agent';
export const signerUser = 'sandbox-signer';
export const approverUser = 'sandbox-approver';

interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
}

const certificates = ['certificates.k8s.io'];
const requests = ['podcertificaterequests'];
const signingRequests = ['certificatesigningrequests'];
const certManager = ['cert-manager.io'];
const certificateRequests = ['certificaterequests'];

const signerRules: readonly Rule[] = [
  { apiGroups: certificates, resources: requests, verbs: ['get', 'list', 'watch'] },
  { apiGroups: certificates, resources: ['podcertificaterequests/status'], verbs: ['update', 'patch'] },
  { apiGroups: certificates, resources: signingRequests, verbs: ['get', 'list', 'watch'] },
  {
    apiGroups: certificates,
    resources: ['certificatesigningrequests/status', 'certificatesigningrequests/approval'],
    verbs: ['update', 'patch'],
  },
  { apiGroups: certificates, resources: ['signers'], verbs: ['sign', 'attest', 'approve'] },
  {
    apiGroups: certificates,
    resources: ['clustertrustbundles'],
    verbs: ['get', 'list', 'watch', 'create', 'update', 'delete'],
  },
  {
    apiGroups: certManager,
    resources: [...certificateRequests, 'issuers', 'clusterissuers'],
    verbs: ['get', 'list', 'watch'],
  },
  { apiGroups: certManager, resources: ['certificaterequests/status'], verbs: ['update', 'patch'] },
  { apiGroups: certManager, resources: ['signers'], verbs: ['approve'] },
  { apiGroups: [''], resources: ['events'], verbs: ['create'] },
];

const approverRules: readonly Rule[] = [
  { apiGroups: certificates, resources: signingRequests, verbs: ['list', 'watch'] },
  { apiGroups: certificates, resources: ['certificatesigningrequests/approval'], verbs: ['update'] },
  { apiGroups: certificates, resources: ['signers'], verbs: ['approve'] },
  { apiGroups: [''], resources: ['pods'], verbs: ['get'] },
];

const agentRules: readonly Rule[] = [
  { apiGroups: [''], resources: ['pods', 'nodes', 'serviceaccounts'], verbs: ['get'] },
  { apiGroups: ['', 'events.k8s.io'], resources: ['events'], verbs: ['create', 'patch', 'list'] },
  { apiGroups: certificates, resources: ['clustertrustbundles'], verbs: ['get', 'list', 'watch'] },
  { apiGroups: certificates, resources: signingRequests, verbs: ['delete'] },
  { apiGroups: certManager, resources: certificateRequests, verbs: ['create', 'get', 'list', 'watch', 'delete'] },
];

/** The agent makes its requests as itself. */
const ownRequestRules: readonly Rule[] = [
  { apiGroups: certificates, resources: [...requests, ...signingRequests], verbs: ['create', 'get', 'list', 'watch'] },
  { apiGroups: [''], resources: ['pods'], verbs: ['list', 'watch'] },
];

/** The agent makes its requests as the node it runs on, so that the API server checks them against the pod. */
const nodeRequestRules: readonly Rule[] = [
  { apiGroups: ['authentication.k8s.io'], resources: ['nodes'], verbs: ['impersonate:associated-node'] },
  {
    apiGroups: certificates,
    resources: [...requests, ...signingRequests],
    verbs: ['create', 'get', 'list', 'watch'].map((verb) => `impersonate-on:associated-node:${verb}`),
  },
  {
    apiGroups: [''],
    resources: ['pods'],
    verbs: ['list', 'watch'].map((verb) => `impersonate-on:associated-node:${verb}`),
  },
  { apiGroups: [''], resources: ['serviceaccounts/token'], verbs: ['impersonate-on:associated-node:create'] },
];

/**
 * Nodes may ask any signer: from 1.37 they need a permission for signers that a pod's projected volumes do not name, and
 * the agent's pods name theirs in a CSI volume. The rule's resources are names of signers.
 */
const nodeRules: readonly Rule[] = [
  { apiGroups: certificates, resources: ['*'], verbs: ['request-podcertificate-signer'] },
];

/** As whom the agent makes its requests; `kubelet`: with the node's own credentials, in everything. */
export type AgentIdentity = 'impersonatedNode' | 'serviceAccount' | 'kubelet';

/** A cluster-scoped object to create, and where. */
export interface ClusterObject {
  /** `/apis/<group>/<version>`. */
  readonly prefix: string;
  readonly resource: string;
  readonly object: object;
}

/** What the sandbox's own signers may do. */
export function signerPermissions(): readonly ClusterObject[] {
  return roleAndBinding(signerUser, signerRules, { ...rbacGroup, kind: 'User', name: signerUser });
}

/** What an approver of requests for pods may do, for every signer. */
export function approverPermissions(): readonly ClusterObject[] {
  return roleAndBinding(approverUser, approverRules, { ...rbacGroup, kind: 'User', name: approverUser });
}

/** What the agent may do, unless somebody knows better. */
export function agentPermissions(identity: AgentIdentity): readonly ClusterObject[] {
  if (identity === 'kubelet') {
    return [];
  }
  const requestRules = identity === 'impersonatedNode' ? nodeRequestRules : ownRequestRules;
  const account = { kind: 'ServiceAccount', namespace: agentNamespace, name: agentAccount };
  return roleAndBinding(agentAccount, [...agentRules, ...requestRules], account);
}

/** What nodes may do beyond what every cluster lets them. */
export function nodePermissions(): readonly ClusterObject[] {
  return roleAndBinding('sandbox-nodes', nodeRules, { ...rbacGroup, kind: 'Group', name: 'system:nodes' });
}

const rbacGroup = { apiGroup: 'rbac.authorization.k8s.io' };

function roleAndBinding(name: string, rules: readonly Rule[], subject: object): readonly ClusterObject[] {
  const roleRef = { ...rbacGroup, kind: 'ClusterRole', name };
  const prefix = '/apis/rbac.authorization.k8s.io/v1';
  return [
    { prefix, resource: 'clusterroles', object: { metadata: { name }, rules } },
    { prefix, resource: 'clusterrolebindings', object: { metadata: { name }, roleRef, subjects: [subject] } },
  ];
}
