/**
 * The resources that the sandbox serves, as a table.
 *
 * https://kubernetes.io/docs/reference/using-api/api-concepts/#standard-api-terminology
 */
import type { ApiObject, GroupResource } from '../base/objects.ts';
import { certManagerTypes } from './cert-manager-resources.ts';
import {
  dropStatus,
  fieldAt,
  type ResourceType,
  type ReviewType,
  resource,
  selecting,
  stampConditions,
  stampRequester,
  withoutNamespaceField,
} from './resource-type.ts';
import { validatingAdmissionPolicy, validatingAdmissionPolicyBinding } from './schemas/admission.ts';
import { certificateSigningRequest, clusterTrustBundle, podCertificateRequest } from './schemas/certificates.ts';
import * as core from './schemas/core.ts';
import * as reviews from './schemas/reviews.ts';
import type { StructSchema } from './schemas/schema.ts';

const eventFields = [
  ...['kind', 'namespace', 'name', 'uid', 'apiVersion', 'resourceVersion', 'fieldPath'].map(
    (field) => `involvedObject.${field}`,
  ),
  'reason',
  'type',
];

function eventValues(object: ApiObject): Readonly<Record<string, string>> {
  const reporter = fieldAt(object, 'source.component') || fieldAt(object, 'reportingComponent');
  return {
    ...selecting(['metadata.name', 'metadata.namespace', ...eventFields])(object),
    reportingComponent: reporter,
    source: reporter,
  };
}

/** The same values under the names that events.k8s.io gives them. */
function newEventValues(object: ApiObject): Readonly<Record<string, string>> {
  const { source: _, reportingComponent = '', ...values } = eventValues(object);
  const renamed = Object.entries(values).map(([path, value]) => [
    path.replace(/^involvedObject\./, 'regarding.'),
    value,
  ]);
  return { ...Object.fromEntries(renamed), reportingController: reportingComponent };
}

const rbacGroup = 'rbac.authorization.k8s.io';
const certificatesGroup = 'certificates.k8s.io';

export const podCertificateRequests: GroupResource = 'podcertificaterequests.certificates.k8s.io';
export const signingRequests: GroupResource = 'certificatesigningrequests.certificates.k8s.io';

export const resourceTypes: readonly ResourceType[] = [
  resource({
    group: '',
    resource: 'namespaces',
    singular: 'namespace',
    kind: 'Namespace',
    shortNames: ['ns'],
    namespaced: false,
    schema: () => core.namespace,
    statusSubresources: ['status'],
    fieldPaths: ['status.phase'],
    deleteReturns: 'object',
    names: 'label',
    prepareForCreate: (namespace) => {
      namespace.spec = { finalizers: ['kubernetes'] };
      namespace.status = { phase: 'Active' };
      const { name = '' } = namespace.metadata;
      namespace.metadata.labels = { ...namespace.metadata.labels, 'kubernetes.io/metadata.name': name };
    },
  }),
  resource({
    group: '',
    resource: 'nodes',
    singular: 'node',
    kind: 'Node',
    shortNames: ['no'],
    namespaced: false,
    schema: () => core.node,
    statusSubresources: ['status'],
    fieldPaths: ['spec.unschedulable'],
  }),
  resource({
    group: '',
    resource: 'pods',
    singular: 'pod',
    kind: 'Pod',
    shortNames: ['po'],
    categories: ['all'],
    namespaced: true,
    schema: () => core.pod,
    statusSubresources: ['status'],
    fieldPaths: [
      'spec.nodeName',
      'spec.restartPolicy',
      'spec.schedulerName',
      'spec.serviceAccountName',
      'spec.hostNetwork',
      'status.phase',
      'status.podIP',
      'status.nominatedNodeName',
    ],
    deleteReturns: 'object',
    prepareForCreate: (pod) => {
      pod.status = { phase: 'Pending', qosClass: 'BestEffort' };
    },
  }),
  resource({
    group: '',
    resource: 'serviceaccounts',
    singular: 'serviceaccount',
    kind: 'ServiceAccount',
    shortNames: ['sa'],
    namespaced: true,
    schema: () => core.serviceAccount,
    deleteReturns: 'object',
  }),
  resource({
    group: '',
    resource: 'secrets',
    singular: 'secret',
    kind: 'Secret',
    namespaced: true,
    schema: () => core.secret,
    fieldPaths: ['type'],
    prepareForCreate: (secret) => {
      secret['type'] ??= 'Opaque';
    },
  }),
  resource({
    group: 'coordination.k8s.io',
    resource: 'leases',
    singular: 'lease',
    kind: 'Lease',
    namespaced: true,
    schema: () => core.lease,
    unconditionalUpdate: false,
  }),
  {
    ...resource({
      group: '',
      resource: 'events',
      singular: 'event',
      kind: 'Event',
      shortNames: ['ev'],
      namespaced: true,
      schema: () => core.event,
    }),
    fields: eventValues,
  },
  {
    ...resource({
      group: 'events.k8s.io',
      resource: 'events',
      singular: 'event',
      kind: 'Event',
      shortNames: ['ev'],
      namespaced: true,
      schema: () => core.newEvent,
      storedAs: 'events',
    }),
    fields: newEventValues,
  },
  withoutNamespaceField({
    group: certificatesGroup,
    resource: 'podcertificaterequests',
    singular: 'podcertificaterequest',
    kind: 'PodCertificateRequest',
    namespaced: true,
    versions: (kubernetes) =>
      ({ '1.34': ['v1alpha1'], '1.35': ['v1beta1'], '1.36': ['v1beta1'], '1.37': ['v1', 'v1beta1'] })[kubernetes],
    schema: podCertificateRequest,
    statusSubresources: ['status'],
    fieldPaths: ['spec.signerName', 'spec.podName', 'spec.nodeName'],
    unconditionalUpdate: false,
    prepareForCreate: dropStatus,
  }),
  resource({
    group: certificatesGroup,
    resource: 'clustertrustbundles',
    singular: 'clustertrustbundle',
    kind: 'ClusterTrustBundle',
    namespaced: false,
    versions: (kubernetes) => (kubernetes === '1.37' ? ['v1', 'v1beta1'] : ['v1beta1', 'v1alpha1']),
    schema: clusterTrustBundle,
    deprecations: {
      v1alpha1: 'certificates.k8s.io/v1alpha1 ClusterTrustBundle is deprecated in v1.34+, unavailable in v1.37+',
    },
    fieldPaths: ['spec.signerName'],
    unconditionalUpdate: false,
    names: 'path segment',
  }),
  resource({
    group: certificatesGroup,
    resource: 'certificatesigningrequests',
    singular: 'certificatesigningrequest',
    kind: 'CertificateSigningRequest',
    shortNames: ['csr'],
    namespaced: false,
    schema: certificateSigningRequest,
    statusSubresources: ['status', 'approval'],
    fieldPaths: ['spec.signerName'],
    prepareForCreate: stampRequester,
    prepareForStatusUpdate: stampConditions,
  }),
  ...certManagerTypes,
  resource({
    group: rbacGroup,
    resource: 'roles',
    singular: 'role',
    kind: 'Role',
    namespaced: true,
    schema: () => core.role('Role'),
    names: 'path segment',
  }),
  resource({
    group: rbacGroup,
    resource: 'rolebindings',
    singular: 'rolebinding',
    kind: 'RoleBinding',
    namespaced: true,
    schema: () => core.roleBinding('RoleBinding'),
    names: 'path segment',
  }),
  resource({
    group: rbacGroup,
    resource: 'clusterroles',
    singular: 'clusterrole',
    kind: 'ClusterRole',
    namespaced: false,
    schema: () => core.role('ClusterRole'),
    names: 'path segment',
  }),
  resource({
    group: rbacGroup,
    resource: 'clusterrolebindings',
    singular: 'clusterrolebinding',
    kind: 'ClusterRoleBinding',
    namespaced: false,
    schema: () => core.roleBinding('ClusterRoleBinding'),
    names: 'path segment',
  }),
  resource({
    group: 'admissionregistration.k8s.io',
    resource: 'validatingadmissionpolicies',
    singular: 'validatingadmissionpolicy',
    kind: 'ValidatingAdmissionPolicy',
    namespaced: false,
    schema: () => validatingAdmissionPolicy,
    statusSubresources: ['status'],
  }),
  resource({
    group: 'admissionregistration.k8s.io',
    resource: 'validatingadmissionpolicybindings',
    singular: 'validatingadmissionpolicybinding',
    kind: 'ValidatingAdmissionPolicyBinding',
    namespaced: false,
    schema: () => validatingAdmissionPolicyBinding,
  }),
  resource({
    group: 'storage.k8s.io',
    resource: 'csidrivers',
    singular: 'csidriver',
    kind: 'CSIDriver',
    namespaced: false,
    schema: () => core.csiDriver,
    unconditionalUpdate: false,
    deleteReturns: 'object',
  }),
  resource({
    group: 'storage.k8s.io',
    resource: 'csinodes',
    singular: 'csinode',
    kind: 'CSINode',
    namespaced: false,
    schema: () => core.csiNode,
    unconditionalUpdate: false,
    deleteReturns: 'object',
  }),
];

function review(group: string, kind: string, schema: StructSchema, namespaced = false): ReviewType {
  const singular = kind.toLowerCase();
  return { group, version: 'v1', resource: `${singular}s`, singular, kind, namespaced, schema };
}

export const reviewTypes: readonly ReviewType[] = [
  review('authentication.k8s.io', 'TokenReview', reviews.tokenReview),
  review('authentication.k8s.io', 'SelfSubjectReview', reviews.selfSubjectReview),
  review('authorization.k8s.io', 'SubjectAccessReview', reviews.accessReview('SubjectAccessReview')),
  review('authorization.k8s.io', 'LocalSubjectAccessReview', reviews.accessReview('LocalSubjectAccessReview'), true),
  review('authorization.k8s.io', 'SelfSubjectAccessReview', reviews.accessReview('SelfSubjectAccessReview')),
  review('authorization.k8s.io', 'SelfSubjectRulesReview', reviews.selfSubjectRulesReview),
];
