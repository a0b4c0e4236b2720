/**
 * The types of the other groups. Pods and nodes are stored whole: the fields listed are those that the sandbox itself
 * reads, and `any` stands for the rest.
 *
 * https://kubernetes.io/docs/reference/kubernetes-api/
 */
import {
  any,
  bool,
  bytes,
  int32,
  int64,
  kindOf,
  list,
  map,
  microTime,
  type StructSchema,
  struct,
  text,
  time,
} from './schema.ts';

const core = 'io.k8s.api.core.v1';
const rbac = 'io.k8s.api.rbac.v1';

const specAndStatus = { spec: {}, status: {} };

export const namespace = kindOf(
  `${core}.Namespace`,
  'A scope for names.',
  { spec: any('Finalizers of the namespace.'), status: any('Phase of the namespace.') },
  [],
  specAndStatus,
);
export const node = kindOf(
  `${core}.Node`,
  'A machine of the cluster.',
  { spec: any('Provider, taints and pod network.'), status: any('Addresses, capacity, conditions and versions.') },
  [],
  specAndStatus,
);
export const pod = kindOf(
  `${core}.Pod`,
  'Containers that run together on a node.',
  {
    spec: any('Containers, volumes and where they run.'),
    status: any('Phase, conditions and the state of the containers.'),
  },
  [],
  specAndStatus,
);

const objectReference = struct(`${core}.ObjectReference`, 'A reference to an object.', {
  apiVersion: text('API version of the object.'),
  kind: text('Kind of the object.'),
  namespace: text('Namespace of the object.'),
  name: text('Name of the object.'),
  uid: text('UID of the object.'),
  resourceVersion: text('The version of the object that is meant.'),
  fieldPath: text('A part of the object.'),
});

export const serviceAccount = kindOf(`${core}.ServiceAccount`, 'An identity for processes in pods.', {
  automountServiceAccountToken: bool('Whether pods get a token of this account by themselves.'),
  imagePullSecrets: list(any(), 'Secrets for pulling images.'),
  secrets: list(objectReference, 'Secrets that pods of this account may use.'),
});

export const secret = kindOf(`${core}.Secret`, 'What few may read.', {
  data: map(bytes(), 'Values by their keys, in base64.'),
  type: text('What it is for; cannot be changed.'),
  immutable: bool('Whether the data cannot be changed any more.'),
});

export const lease = kindOf(
  'io.k8s.api.coordination.v1.Lease',
  'Who leads, and until when.',
  {
    spec: struct('io.k8s.api.coordination.v1.LeaseSpec', 'The holder and its times.', {
      holderIdentity: text('Who holds it; empty: nobody.'),
      leaseDurationSeconds: int32('How long after renewTime it may be taken over.'),
      acquireTime: microTime('When the holder came to hold it.'),
      renewTime: microTime('When the holder last said that it lives.'),
      leaseTransitions: int32('How often it has changed hands.'),
    }),
  },
  [],
  { spec: {} },
);

export const event = kindOf(
  `${core}.Event`,
  'Something that happened to an object.',
  {
    involvedObject: objectReference,
    reason: text('One word for the reason.'),
    message: text('Details for people.'),
    source: struct(`${core}.EventSource`, 'Who reported it.', {
      component: text('Component that reported it.'),
      host: text('Node it happened on.'),
    }),
    firstTimestamp: time('When it was first seen.'),
    lastTimestamp: time('When it was last seen.'),
    count: int32('How often it was seen.'),
    type: text('Normal or Warning.'),
    eventTime: microTime('When it was first seen, to the microsecond.'),
    series: any('Count and last time of a series.'),
    action: text('What was done or failed.'),
    related: objectReference,
    reportingComponent: text('Controller that reported it.'),
    reportingInstance: text('Instance of that controller.'),
  },
  ['metadata', 'involvedObject'],
  {
    involvedObject: {},
    source: {},
    firstTimestamp: null,
    lastTimestamp: null,
    eventTime: null,
    reportingComponent: '',
    reportingInstance: '',
  },
);

export const newEvent = kindOf(
  'io.k8s.api.events.v1.Event',
  'Something that happened to an object.',
  {
    eventTime: microTime('When it was first seen, to the microsecond.'),
    series: any('Count and last time of a series.'),
    reportingController: text('Controller that reported it.'),
    reportingInstance: text('Instance of that controller.'),
    action: text('What was done or failed.'),
    reason: text('One word for the reason.'),
    regarding: objectReference,
    related: objectReference,
    note: text('Details for people.'),
    type: text('Normal or Warning.'),
    deprecatedSource: any('As `source` of core/v1.'),
    deprecatedFirstTimestamp: time('As `firstTimestamp` of core/v1.'),
    deprecatedLastTimestamp: time('As `lastTimestamp` of core/v1.'),
    deprecatedCount: int32('As `count` of core/v1.'),
  },
  ['eventTime'],
  {
    eventTime: null,
    regarding: {},
    deprecatedSource: {},
    deprecatedFirstTimestamp: null,
    deprecatedLastTimestamp: null,
  },
);

const policyRule = struct(
  `${rbac}.PolicyRule`,
  'What is allowed.',
  {
    verbs: list(text(), 'Verbs, or *.'),
    apiGroups: list(text(), 'API groups, or *.'),
    resources: list(text(), 'Resources, or *.'),
    resourceNames: list(text(), 'Names of objects; empty for all.'),
    nonResourceURLs: list(text(), 'Paths outside of resources, or *.'),
  },
  ['verbs'],
);
const roleRef = struct(
  `${rbac}.RoleRef`,
  'The role that is granted. Immutable.',
  { apiGroup: text(), kind: text(), name: text() },
  ['apiGroup', 'kind', 'name'],
);
const subject = struct(
  `${rbac}.Subject`,
  'To whom it is granted.',
  { kind: text(), apiGroup: text(), name: text(), namespace: text() },
  ['kind', 'name'],
);

export function role(kind: 'Role' | 'ClusterRole'): StructSchema {
  return kindOf(`${rbac}.${kind}`, 'A set of permissions.', {
    rules: list(policyRule, 'The permissions.'),
    ...(kind === 'ClusterRole' ? { aggregationRule: any('Roles whose rules are taken over.') } : {}),
  });
}

export function roleBinding(kind: 'RoleBinding' | 'ClusterRoleBinding'): StructSchema {
  return kindOf(
    `${rbac}.${kind}`,
    'Grants a role to users, groups and service accounts.',
    { roleRef, subjects: list(subject, 'To whom the role is granted.') },
    ['roleRef'],
  );
}

export const csiDriver = kindOf(
  'io.k8s.api.storage.v1.CSIDriver',
  'What Kubernetes should know about a CSI driver.',
  {
    spec: struct('io.k8s.api.storage.v1.CSIDriverSpec', 'How the driver is to be called.', {
      attachRequired: bool('Whether volumes are attached before they are mounted.'),
      podInfoOnMount: bool('Whether the driver is told which pod a volume is for.'),
      volumeLifecycleModes: list(text(), 'Persistent, Ephemeral or both.'),
      storageCapacity: bool('Whether the driver reports its capacity.'),
      fsGroupPolicy: text('ReadWriteOnceWithFSType, File or None.'),
      tokenRequests: list(any(), 'Tokens that the driver is given.'),
      requiresRepublish: bool('Whether the driver is called again and again.'),
      seLinuxMount: bool('Whether volumes may be mounted with an SELinux context.'),
      nodeAllocatableUpdatePeriodSeconds: int64('How often the limit of volumes is refreshed.'),
      serviceAccountTokenInSecrets: bool('Whether tokens come in the secrets of a call.'),
    }),
  },
  ['spec'],
);

export const csiNode = kindOf(
  'io.k8s.api.storage.v1.CSINode',
  'The CSI drivers that are registered on a node.',
  {
    spec: struct('io.k8s.api.storage.v1.CSINodeSpec', 'The drivers.', {
      drivers: list(
        struct(
          'io.k8s.api.storage.v1.CSINodeDriver',
          'A driver, and what it calls the node.',
          {
            name: text('Name of the driver.'),
            nodeID: text('What the driver calls the node.'),
            topologyKeys: list(text(), 'Labels of the node by which the driver places volumes.'),
            allocatable: any('How many volumes the node takes.'),
          },
          ['name', 'nodeID'],
          { topologyKeys: null },
        ),
        'The drivers.',
      ),
    }),
  },
  ['spec'],
  { spec: { drivers: null } },
);

/** metav1.DeleteOptions. */
export const deleteOptions = struct('io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions', 'How to delete.', {
  apiVersion: text(),
  kind: text(),
  gracePeriodSeconds: int64('Seconds until the object is removed; 0 is at once.'),
  preconditions: struct('io.k8s.apimachinery.pkg.apis.meta.v1.Preconditions', 'What must hold.', {
    uid: text(),
    resourceVersion: text(),
  }),
  orphanDependents: bool('Whether dependents stay.'),
  propagationPolicy: text('Orphan, Background or Foreground.'),
  dryRun: list(text(), 'All: nothing is stored.'),
  ignoreStoreReadErrorWithClusterBreakingPotential: bool(),
});
