/**
 * The columns in which each resource is shown to people.
 */
import { type ApiObject, type GroupResource, isObject, type Json, type JsonObject } from '../base/objects.ts';

export interface Column {
  readonly name: string;
  readonly type: 'string' | 'integer' | 'date';
  /** `name` marks the column that identifies the row. */
  readonly format?: 'name';
  /** 0 is always shown, above that only in wide output. */
  readonly priority: number;
  /** @param now milliseconds since the epoch */
  cell(object: ApiObject, now: number): string | number;
}

const column = (name: string, cell: Column['cell'], priority = 0): Column => ({ name, type: 'string', priority, cell });
const nameColumn: Column = {
  ...column('Name', (object) => object.metadata.name ?? ''),
  format: 'name',
};
const ageColumn = column('Age', (object, now) => age(object.metadata.creationTimestamp, now));

/** The value at a path, as text; `<none>` where there is none. */
function at(object: Json | undefined, ...path: string[]): string {
  let value: Json | undefined = object;
  for (const part of path) {
    value = isObject(value) ? value[part] : undefined;
  }
  return value === undefined || value === null || value === '' ? '<none>' : String(value);
}

function items(value: Json | undefined): JsonObject[] {
  return Array.isArray(value) ? value.filter(isObject) : [];
}

/** Time since a timestamp in kubectl's short form. @param now milliseconds since the epoch */
export function age(since: Json | undefined, now: number): string {
  const seconds = Math.floor((now - Date.parse(String(since ?? ''))) / 1000);
  if (!Number.isFinite(seconds)) {
    return '<unknown>';
  }
  return duration(Math.max(0, seconds));
}

function duration(seconds: number): string {
  const [minutes, hours, days] = [60, 3600, 86_400].map((unit) => Math.floor(seconds / unit)) as [
    number,
    number,
    number,
  ];
  const two = (whole: number, unit: string, rest: number, restUnit: string): string =>
    rest === 0 ? `${whole}${unit}` : `${whole}${unit}${rest}${restUnit}`;
  if (seconds < 120) {
    return `${seconds}s`;
  }
  if (minutes < 10) {
    return two(minutes, 'm', seconds % 60, 's');
  }
  if (minutes < 180) {
    return `${minutes}m`;
  }
  if (hours < 8) {
    return two(hours, 'h', minutes % 60, 'm');
  }
  if (hours < 48) {
    return `${hours}h`;
  }
  return days < 8 ? two(days, 'd', hours % 24, 'h') : `${days}d`;
}

function podStatus(pod: ApiObject): string {
  if (pod.metadata.deletionTimestamp !== undefined) {
    return 'Terminating';
  }
  const waiting = items(pod.status?.containerStatuses)
    .map((status) => at(status, 'state', 'waiting', 'reason'))
    .find((reason) => reason !== '<none>');
  return waiting ?? (pod.status?.reason ? at(pod.status, 'reason') : at(pod.status, 'phase'));
}

function nodeStatus(node: ApiObject): string {
  const ready = items(node.status?.conditions).find((condition) => condition.type === 'Ready');
  const state = ready === undefined ? 'Unknown' : ready.status === 'True' ? 'Ready' : 'NotReady';
  return node.spec?.unschedulable === true ? `${state},SchedulingDisabled` : state;
}

function address(node: ApiObject, type: string): string {
  return at(
    items(node.status?.addresses).find((known) => known.type === type),
    'address',
  );
}

function requestState(request: ApiObject): string {
  const states = items(request.status?.conditions).map((condition) => String(condition.type));
  return states.at(-1) ?? 'Pending';
}

function signingRequestState(request: ApiObject): string {
  const states = items(request.status?.conditions).map((condition) => String(condition.type));
  return [...(states.length === 0 ? ['Pending'] : states), ...(request.status?.certificate ? ['Issued'] : [])].join(
    ',',
  );
}

/** A part of the condition of a type, as the columns of a custom resource show it. */
function conditionPart(object: ApiObject, type: string, part: 'status' | 'message'): string {
  return String(items(object.status?.conditions).find((condition) => condition.type === type)?.[part] ?? '');
}

function labelText(labels: Json | undefined): string {
  const entries = isObject(labels) ? Object.entries(labels).map(([key, value]) => `${key}=${value}`) : [];
  return entries.length === 0 ? '<none>' : entries.sort().join(',');
}

const roleColumn = column('Role', (binding) => `${at(binding.roleRef, 'kind')}/${at(binding.roleRef, 'name')}`);
const issuerColumns: readonly Column[] = [
  nameColumn,
  column('Ready', (issuer) => conditionPart(issuer, 'Ready', 'status')),
  column('Status', (issuer) => conditionPart(issuer, 'Ready', 'message'), 1),
  ageColumn,
];
const createdColumn = column('Created At', (object) => object.metadata.creationTimestamp ?? '<unknown>');

/** The columns of each resource, by where it is stored. */
const columnsByResource: Readonly<Record<string, readonly Column[]>> = {
  namespaces: [nameColumn, column('Status', (object) => at(object.status, 'phase')), ageColumn],
  nodes: [
    nameColumn,
    column('Status', nodeStatus),
    column('Roles', () => '<none>'),
    ageColumn,
    column('Version', (node) => at(node.status, 'nodeInfo', 'kubeletVersion')),
    column('Internal-IP', (node) => address(node, 'InternalIP'), 1),
    column('External-IP', (node) => address(node, 'ExternalIP'), 1),
    column('OS-Image', (node) => at(node.status, 'nodeInfo', 'osImage'), 1),
    column('Kernel-Version', (node) => at(node.status, 'nodeInfo', 'kernelVersion'), 1),
    column('Container-Runtime', (node) => at(node.status, 'nodeInfo', 'containerRuntimeVersion'), 1),
  ],
  pods: [
    nameColumn,
    column('Ready', (pod) => {
      const ready = items(pod.status?.containerStatuses).filter((status) => status.ready === true);
      return `${ready.length}/${items(pod.spec?.containers).length}`;
    }),
    column('Status', podStatus),
    column('Restarts', (pod) =>
      String(items(pod.status?.containerStatuses).reduce((sum, status) => sum + Number(status.restartCount ?? 0), 0)),
    ),
    ageColumn,
    column('IP', (pod) => at(pod.status, 'podIP'), 1),
    column('Node', (pod) => at(pod.spec, 'nodeName'), 1),
    column('Nominated Node', (pod) => at(pod.status, 'nominatedNodeName'), 1),
    column('Readiness Gates', () => '<none>', 1),
  ],
  serviceaccounts: [nameColumn, ageColumn],
  events: [
    column('Last Seen', (event, now) =>
      age(event.lastTimestamp ?? event.eventTime ?? event.metadata.creationTimestamp, now),
    ),
    column('Type', (event) => at(event, 'type')),
    column('Reason', (event) => at(event, 'reason')),
    column('Object', (event) => {
      const { involvedObject } = event;
      return `${at(involvedObject, 'kind').toLowerCase()}/${at(involvedObject, 'name')}`;
    }),
    column('Subobject', (event) => at(event.involvedObject, 'fieldPath').replace('<none>', ''), 1),
    column('Source', (event) => [event.reportingComponent, event.reportingInstance].filter(Boolean).join(', '), 1),
    column('Message', (event) => at(event, 'message').trim()),
    column(
      'First Seen',
      (event, now) => age(event.firstTimestamp ?? event.eventTime ?? event.metadata.creationTimestamp, now),
      1,
    ),
    column('Count', (event) => Number(event.count ?? 1), 1),
    { ...nameColumn, priority: 1 },
  ],
  'podcertificaterequests.certificates.k8s.io': [
    nameColumn,
    column('PodName', (request) => at(request.spec, 'podName')),
    column('ServiceAccountName', (request) => at(request.spec, 'serviceAccountName')),
    column('NodeName', (request) => at(request.spec, 'nodeName')),
    column('SignerName', (request) => at(request.spec, 'signerName')),
    column('State', requestState),
    column('UnverifiedUserAnnotations', (request) => labelText(request.spec?.unverifiedUserAnnotations)),
  ],
  'clustertrustbundles.certificates.k8s.io': [
    nameColumn,
    column('SignerName', (bundle) => at(bundle.spec, 'signerName')),
  ],
  'certificatesigningrequests.certificates.k8s.io': [
    nameColumn,
    ageColumn,
    column('SignerName', (request) => at(request.spec, 'signerName')),
    column('Requestor', (request) => at(request.spec, 'username')),
    column('RequestedDuration', (request) => {
      const seconds = request.spec?.expirationSeconds;
      return typeof seconds === 'number' ? duration(seconds) : '<none>';
    }),
    column('Condition', signingRequestState),
  ],
  'certificaterequests.cert-manager.io': [
    nameColumn,
    column('Approved', (request) => conditionPart(request, 'Approved', 'status')),
    column('Denied', (request) => conditionPart(request, 'Denied', 'status')),
    column('Ready', (request) => conditionPart(request, 'Ready', 'status')),
    column('Issuer', (request) => at(request.spec, 'issuerRef', 'name')),
    column('Requester', (request) => at(request.spec, 'username')),
    column('Status', (request) => conditionPart(request, 'Ready', 'message'), 1),
    ageColumn,
  ],
  'issuers.cert-manager.io': issuerColumns,
  'clusterissuers.cert-manager.io': issuerColumns,
  'roles.rbac.authorization.k8s.io': [nameColumn, createdColumn],
  'clusterroles.rbac.authorization.k8s.io': [nameColumn, createdColumn],
  'rolebindings.rbac.authorization.k8s.io': [nameColumn, roleColumn, ageColumn],
  'clusterrolebindings.rbac.authorization.k8s.io': [nameColumn, roleColumn, ageColumn],
  'csidrivers.storage.k8s.io': [
    nameColumn,
    column('AttachRequired', (driver) => at(driver.spec, 'attachRequired').replace('<none>', 'true')),
    column('PodInfoOnMount', (driver) => at(driver.spec, 'podInfoOnMount').replace('<none>', 'false')),
    column('StorageCapacity', (driver) => at(driver.spec, 'storageCapacity').replace('<none>', 'false')),
    column('TokenRequests', () => '<unset>'),
    column('RequiresRepublish', (driver) => at(driver.spec, 'requiresRepublish').replace('<none>', 'false')),
    column('Modes', (driver) => {
      const modes = driver.spec?.volumeLifecycleModes;
      return Array.isArray(modes) ? modes.join(',') : 'Persistent';
    }),
    ageColumn,
  ],
  'csinodes.storage.k8s.io': [
    nameColumn,
    column('Drivers', (csiNode) => {
      const drivers = csiNode.spec?.drivers;
      return String(Array.isArray(drivers) ? drivers.length : 0);
    }),
    ageColumn,
  ],
};

const defaultColumns: readonly Column[] = [nameColumn, ageColumn];

/** @param resource where the objects are stored */
export function columnsOf(resource: GroupResource): readonly Column[] {
  return columnsByResource[resource] ?? defaultColumns;
}
