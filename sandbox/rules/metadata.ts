/**
 * What an object's metadata must look like: names, labels, annotations, owners.
 *
 * https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/object-meta/
 */
import { type FieldError, fieldError } from '../base/errors.ts';
import { byteLength, objectsAt, stringAt, stringEntriesAt, stringsAt } from '../base/fields.ts';
import { asPrefix, dnsLabel, labelKey, labelValueFaults, type NameCheck } from '../base/names.ts';
import type { JsonObject, ObjectMeta } from '../base/objects.ts';

/** All annotations of an object together, keys and values. */
const annotationsMaxBytes = 256 * 1024;

/** How objects of a kind are named. */
export interface MetadataRules {
  readonly namespaced: boolean;
  readonly name: NameCheck;
  /** What generateName must be; absent: like a name, but it may end in a dash. */
  readonly generateName?: NameCheck;
}

/** All faults of a new object's metadata; its name has been generated already. */
export function metadataFaults(metadata: ObjectMeta, rules: MetadataRules): FieldError[] {
  return [
    ...nameFaults(metadata, rules),
    ...namespaceFaults(stringAt(metadata, 'namespace'), rules.namespaced),
    ...mutableMetadataFaults(metadata),
    ...stringsAt(metadata, 'finalizers').flatMap((finalizer) =>
      invalids('metadata.finalizers', finalizer, labelKey(finalizer)),
    ),
  ];
}

/** All faults of the parts that an update may change. */
export function mutableMetadataFaults(metadata: ObjectMeta): FieldError[] {
  return [
    ...labelFaults(metadata),
    ...annotationFaults(metadata, 'annotations', 'metadata.annotations'),
    ...objectsAt(metadata, 'ownerReferences').flatMap(ownerFaults),
    ...controllerFaults(metadata),
  ];
}

function nameFaults(metadata: ObjectMeta, rules: MetadataRules): FieldError[] {
  const name = stringAt(metadata, 'name');
  const generateName = stringAt(metadata, 'generateName');
  const checkPrefix = rules.generateName ?? asPrefix(rules.name);
  return [
    ...(generateName === '' ? [] : invalids('metadata.generateName', generateName, checkPrefix(generateName))),
    ...(name === ''
      ? [fieldError.required('metadata.name', 'name or generateName is required')]
      : invalids('metadata.name', name, rules.name(name))),
  ];
}

function namespaceFaults(namespace: string, namespaced: boolean): FieldError[] {
  const field = 'metadata.namespace';
  if (!namespaced) {
    return namespace === '' ? [] : [fieldError.forbidden(field, 'not allowed on this type')];
  }
  return namespace === '' ? [fieldError.required(field, '')] : invalids(field, namespace, dnsLabel(namespace));
}

function labelFaults(metadata: ObjectMeta): FieldError[] {
  const field = 'metadata.labels';
  return stringEntriesAt(metadata, 'labels').flatMap(([key, value]) => [
    ...invalids(field, key, labelKey(key)),
    ...invalids(field, value, labelValueFaults(value)),
  ]);
}

function annotationFaults(metadata: ObjectMeta, name: string, field: string): FieldError[] {
  const entries = stringEntriesAt(metadata, name);
  return [
    ...entries.flatMap(([key]) => invalids(field, key, labelKey(key.toLowerCase()))),
    ...annotationSizeFaults(entries, field),
  ];
}

/** The limit that metadata annotations and a request's unverifiedUserAnnotations share. */
export function annotationSizeFaults(entries: readonly (readonly [string, string])[], field: string): FieldError[] {
  const size = entries.reduce((sum, [key, value]) => sum + byteLength(key) + byteLength(value), 0);
  return size > annotationsMaxBytes ? [fieldError.tooLong(field, annotationsMaxBytes)] : [];
}

function ownerFaults(owner: JsonObject): FieldError[] {
  const field = 'metadata.ownerReferences';
  const apiVersion = stringAt(owner, 'apiVersion');
  const faults =
    apiVersion === '' ? [fieldError.invalid(`${field}.apiVersion`, apiVersion, 'version must not be empty')] : [];
  for (const part of ['kind', 'name', 'uid']) {
    if (stringAt(owner, part) === '') {
      faults.push(fieldError.invalid(`${field}.${part}`, '', 'must not be empty'));
    }
  }
  if (apiVersion === 'v1' && stringAt(owner, 'kind') === 'Event') {
    faults.push(fieldError.invalid(field, owner, '/v1, Kind=Event is disallowed from being an owner'));
  }
  return faults;
}

function controllerFaults(metadata: ObjectMeta): FieldError[] {
  const owners = objectsAt(metadata, 'ownerReferences');
  const [first, ...others] = owners
    .filter((owner) => owner['controller'] === true)
    .map((owner) => `${stringAt(owner, 'kind')}/${stringAt(owner, 'name')}`);
  const field = 'metadata.ownerReferences';
  return others.map((other) =>
    fieldError.invalid(
      field,
      owners,
      `Only one reference can have Controller set to true. Found "true" in references for ${first} and ${other}`,
    ),
  );
}

/** One `Invalid value` error for each complaint about a value. */
export function invalids(field: string, value: unknown, complaints: readonly string[]): FieldError[] {
  return complaints.map((complaint) => fieldError.invalid(field, value, complaint));
}
