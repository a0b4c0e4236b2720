/**
 * The basics of the objects around certificates: pods, service accounts, secrets, nodes, namespaces, events, roles, bindings,
 * requests for tokens.
 *
 * https://kubernetes.io/docs/reference/kubernetes-api/
 */

import type { ValidationRequest } from '../base/cluster-rules.ts';
import { type FieldError, fieldError } from '../base/errors.ts';
import { isFieldSet, numberAt, objectAt, objectsAt, sameJson, stringAt, stringsAt } from '../base/fields.ts';
import { dnsLabel, dnsSubdomain, pathSegment } from '../base/names.ts';
import type { ApiObject, JsonObject } from '../base/objects.ts';
import { bindingsResource, policiesResource, policyBindingFaults, policyFaults } from './admission-policy-faults.ts';
import { invalids, type MetadataRules, metadataFaults, mutableMetadataFaults } from './metadata.ts';
import { driverFaults, driverUpdateFaults, taintFaults } from './node-objects.ts';
import { apiServerAudience } from './node-restriction.ts';

const rbacGroup = 'rbac.authorization.k8s.io';
const csiNodesResource = 'csinodes.storage.k8s.io';
const reviewGroups = ['authentication.k8s.io', 'authorization.k8s.io'];
const shortestTokenSeconds = 600;
const longestTokenSeconds = 2 ** 32;

const clusterScoped = [
  'nodes',
  'namespaces',
  `clusterroles.${rbacGroup}`,
  `clusterrolebindings.${rbacGroup}`,
  'csidrivers.storage.k8s.io',
  csiNodesResource,
  'clusterissuers.cert-manager.io',
  policiesResource,
  bindingsResource,
];
/** https://kubernetes.io/docs/concepts/configuration/secret/#restriction-names-data */
const dataKey = /^[-._a-zA-Z0-9]{1,253}$/;

const namedByPathSegment = [
  'events',
  'events.events.k8s.io',
  ...['roles', 'clusterroles', 'rolebindings', 'clusterrolebindings'].map((resource) => `${resource}.${rbacGroup}`),
];

function metadataRules(resource: string): MetadataRules {
  const namespaced = !clusterScoped.includes(resource);
  if (resource === 'namespaces') {
    return { namespaced, name: dnsLabel };
  }
  return { namespaced, name: namedByPathSegment.includes(resource) ? pathSegment : dnsSubdomain };
}

/** Fills in what the rules rely on. */
export function defaultObject({ resource, object }: ValidationRequest): void {
  switch (resource) {
    case 'pods': {
      const spec = objectAt(object, 'spec');
      spec['serviceAccountName'] ??= 'default';
      object.spec = spec;
      return;
    }
    case 'serviceaccounts/token': {
      const spec = objectAt(object, 'spec');
      if (stringsAt(spec, 'audiences').length === 0) {
        spec['audiences'] = [apiServerAudience];
      }
      spec['expirationSeconds'] ??= 3600;
      object.spec = spec;
      return;
    }
    default:
      return;
  }
}

/** All faults of a new object. Reviews are answered and not stored: they need no metadata. */
export function createFaults({ resource, object }: ValidationRequest): FieldError[] {
  if (resource === 'serviceaccounts/token') {
    return tokenRequestFaults(object);
  }
  return reviewGroups.includes(resource.slice(resource.indexOf('.') + 1)) ? [] : storedFaults(resource, object);
}

function storedFaults(resource: string, object: ApiObject): FieldError[] {
  return [...metadataFaults(object.metadata, metadataRules(resource)), ...specificFaults(resource, object)];
}

/** All faults of an update. */
export function updateFaults({ resource, object }: ValidationRequest, old: ApiObject): FieldError[] {
  const faults = [
    ...mutableMetadataFaults(object.metadata),
    ...specificFaults(resource, object),
    ...(resource === 'secrets' ? secretUpdateFaults(object, old) : []),
    ...(resource === csiNodesResource ? driverUpdateFaults(object, old) : []),
  ];
  const [roleRef, oldRoleRef] = [objectAt(object, 'roleRef'), objectAt(old, 'roleRef')];
  const isMoved = ['apiGroup', 'kind', 'name'].some((part) => stringAt(roleRef, part) !== stringAt(oldRoleRef, part));
  return isMoved ? [...faults, fieldError.invalid('roleRef', roleRef, 'cannot change roleRef')] : faults;
}

function specificFaults(resource: string, object: ApiObject): FieldError[] {
  switch (resource) {
    case 'pods':
      return podFaults(objectAt(object, 'spec'));
    case 'nodes':
      return taintFaults(object);
    case csiNodesResource:
      return driverFaults(object);
    case 'events':
      return eventFaults(object);
    case 'secrets':
      return Object.keys(objectAt(object, 'data')).flatMap((key) =>
        dataKey.test(key)
          ? []
          : [fieldError.invalid(`data[${key}]`, key, 'a valid config key must consist of alphanumeric characters')],
      );
    case `roles.${rbacGroup}`:
    case `clusterroles.${rbacGroup}`:
      return objectsAt(object, 'rules').flatMap((rule, index) =>
        ruleFaults(rule, `rules[${index}]`, resource.startsWith('roles.')),
      );
    case `rolebindings.${rbacGroup}`:
    case `clusterrolebindings.${rbacGroup}`:
      return bindingFaults(object, resource.startsWith('rolebindings.'));
    case policiesResource:
      return policyFaults(objectAt(object, 'spec'));
    case bindingsResource:
      return policyBindingFaults(objectAt(object, 'spec'));
    default:
      return [];
  }
}

function secretUpdateFaults(secret: ApiObject, old: ApiObject): FieldError[] {
  const immutable = 'field is immutable when `immutable` is set';
  const isFixed = old['immutable'] === true && !sameJson(objectAt(secret, 'data'), objectAt(old, 'data'));
  return [
    ...(stringAt(secret, 'type') === stringAt(old, 'type')
      ? []
      : [fieldError.invalid('type', stringAt(secret, 'type'), 'field is immutable')]),
    ...(isFixed ? [fieldError.forbidden('data', immutable)] : []),
  ];
}

function podFaults(spec: JsonObject): FieldError[] {
  const containers = objectsAt(spec, 'containers');
  const serviceAccountName = stringAt(spec, 'serviceAccountName');
  const nodeName = stringAt(spec, 'nodeName');
  return [
    ...namedListFaults(objectsAt(spec, 'volumes'), 'spec.volumes'),
    ...(containers.length === 0 ? [fieldError.required('spec.containers', '')] : []),
    ...namedListFaults(containers, 'spec.containers'),
    ...containers.flatMap((container, index) =>
      isFieldSet(container, 'image') ? [] : [fieldError.required(`spec.containers[${index}].image`, '')],
    ),
    ...(serviceAccountName === ''
      ? []
      : invalids('spec.serviceAccountName', serviceAccountName, dnsSubdomain(serviceAccountName))),
    ...(nodeName === '' ? [] : invalids('spec.nodeName', nodeName, dnsSubdomain(nodeName))),
  ];
}

/** Names in a list are DNS labels, and each occurs once. */
function namedListFaults(list: readonly JsonObject[], field: string): FieldError[] {
  const names = list.map((item) => stringAt(item, 'name'));
  return names.flatMap((name, index) => {
    const nameField = `${field}[${index}].name`;
    if (name === '') {
      return [fieldError.required(nameField, '')];
    }
    const faults = invalids(nameField, name, dnsLabel(name));
    return names.indexOf(name) < index ? [...faults, fieldError.duplicate(nameField, name)] : faults;
  });
}

function eventFaults(event: ApiObject): FieldError[] {
  const field = 'involvedObject.namespace';
  const [namespace, involved] = [
    stringAt(event.metadata, 'namespace'),
    stringAt(objectAt(event, 'involvedObject'), 'namespace'),
  ];
  const agrees = involved === '' ? namespace === '' || namespace === 'default' : involved === namespace;
  return agrees ? [] : [fieldError.invalid(field, involved, 'does not match event.namespace')];
}

function ruleFaults(rule: JsonObject, field: string, isNamespaced: boolean): FieldError[] {
  const has = (part: string): boolean => stringsAt(rule, part).length > 0;
  const faults: FieldError[] = [];
  if (!has('verbs')) {
    faults.push(fieldError.required(`${field}.verbs`, 'verbs must contain at least one value'));
  }
  if (has('nonResourceURLs')) {
    if (isNamespaced) {
      const rule_ = 'namespaced rules cannot apply to non-resource URLs';
      faults.push(fieldError.invalid(`${field}.nonResourceURLs`, rule['nonResourceURLs'], rule_));
    }
    if (has('apiGroups') || has('resources') || has('resourceNames')) {
      const rule_ = 'rules cannot apply to both regular resources and non-resource URLs';
      faults.push(fieldError.invalid(`${field}.nonResourceURLs`, rule['nonResourceURLs'], rule_));
    }
    return faults;
  }
  if (!has('apiGroups')) {
    faults.push(fieldError.required(`${field}.apiGroups`, 'resource rules must supply at least one api group'));
  }
  if (!has('resources')) {
    faults.push(fieldError.required(`${field}.resources`, 'resource rules must supply at least one resource'));
  }
  return faults;
}

function bindingFaults(binding: ApiObject, isNamespaced: boolean): FieldError[] {
  const roleRef = objectAt(binding, 'roleRef');
  const kinds = isNamespaced ? ['Role', 'ClusterRole'] : ['ClusterRole'];
  const faults: FieldError[] = [];
  // An empty group stands for the group of roles.
  if (![rbacGroup, ''].includes(stringAt(roleRef, 'apiGroup'))) {
    faults.push(fieldError.notSupported('roleRef.apiGroup', stringAt(roleRef, 'apiGroup'), [rbacGroup]));
  }
  if (!kinds.includes(stringAt(roleRef, 'kind'))) {
    faults.push(fieldError.notSupported('roleRef.kind', stringAt(roleRef, 'kind'), kinds));
  }
  faults.push(
    ...(isFieldSet(roleRef, 'name')
      ? invalids('roleRef.name', stringAt(roleRef, 'name'), pathSegment(stringAt(roleRef, 'name')))
      : [fieldError.required('roleRef.name', '')]),
    ...objectsAt(binding, 'subjects').flatMap((subject, index) =>
      subjectFaults(subject, `subjects[${index}]`, isNamespaced),
    ),
  );
  return faults;
}

function subjectFaults(subject: JsonObject, field: string, isNamespaced: boolean): FieldError[] {
  const kinds = ['ServiceAccount', 'User', 'Group'];
  const [kind, name] = [stringAt(subject, 'kind'), stringAt(subject, 'name')];
  const faults = name === '' ? [fieldError.required(`${field}.name`, '')] : [];
  if (!kinds.includes(kind)) {
    return [...faults, fieldError.notSupported(`${field}.kind`, kind, kinds)];
  }
  if (kind === 'ServiceAccount') {
    faults.push(...(name === '' ? [] : invalids(`${field}.name`, name, dnsSubdomain(name))));
    if (!isNamespaced && !isFieldSet(subject, 'namespace')) {
      faults.push(fieldError.required(`${field}.namespace`, ''));
    }
  }
  return faults;
}

function tokenRequestFaults(request: ApiObject): FieldError[] {
  const field = 'spec.expirationSeconds';
  const seconds = numberAt(objectAt(request, 'spec'), 'expirationSeconds') ?? 0;
  if (seconds < shortestTokenSeconds) {
    return [fieldError.invalid(field, seconds, 'may not specify a duration less than 10 minutes')];
  }
  return seconds > longestTokenSeconds
    ? [fieldError.invalid(field, seconds, 'may not specify a duration larger than 2^32 seconds')]
    : [];
}
