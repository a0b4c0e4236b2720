/**
 * What the server has to know about a resource: names, scope, versions, schema, and what is handled differently from
 * other resources.
 */

import type { KubernetesVersion, UserInfo } from '../base/cluster-rules.ts';
import { isFieldSet, objectAt, objectsAt, stringAt } from '../base/fields.ts';
import type { ApiObject, GroupResource, JsonObject } from '../base/objects.ts';
import type { StructSchema } from './schemas/schema.ts';

export interface ResourceType {
  /** The empty string for the core group. */
  readonly group: string;
  readonly resource: string;
  readonly singular: string;
  readonly kind: string;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly namespaced: boolean;
  /** The versions served, the preferred one first. */
  versions(kubernetes: KubernetesVersion): readonly string[];
  schema(version: string, kubernetes: KubernetesVersion): StructSchema;
  /** Subresources that are read and written as the object itself, changing only its status. */
  readonly statusSubresources: readonly string[];
  /** Values of the fields that a field selector may name. */
  fields(object: ApiObject): Readonly<Record<string, string>>;
  /** Whether an update may leave the resourceVersion out. */
  readonly unconditionalUpdate: boolean;
  /** Whether it takes strategic merge patches; custom resources do not. */
  readonly strategicMerge: boolean;
  /** What a deletion answers: the object, or a metav1.Status. */
  readonly deleteReturns: 'object' | 'status';
  /** Form of names: an RFC 1123 subdomain or label, anything that fits into a path, a node. */
  readonly names: 'subdomain' | 'label' | 'path segment';
  /** The resource whose objects these are in another form. */
  readonly storedAs: GroupResource;
  /** Warnings for those who use a version that is on its way out. */
  readonly deprecations: Readonly<Record<string, string>>;
  /** Sets what the server decides about a new object, in place: its first status, above all. */
  prepareForCreate(object: ApiObject, user: UserInfo): void;
  /** Sets what the server decides about a new status, in place. @param now RFC 3339 */
  prepareForStatusUpdate(object: ApiObject, old: ApiObject, now: string): void;
}

/** A resource that answers a question and stores nothing. */
export interface ReviewType {
  readonly group: string;
  readonly version: string;
  readonly resource: string;
  readonly singular: string;
  readonly kind: string;
  readonly namespaced: boolean;
  readonly schema: StructSchema;
}

export function groupResource(type: { readonly group: string; readonly resource: string }): GroupResource {
  return type.group === '' ? type.resource : `${type.resource}.${type.group}`;
}

/** `v1`, `certificates.k8s.io/v1beta1`. */
export function groupVersion(group: string, version: string): string {
  return group === '' ? version : `${group}/${version}`;
}

/** A field's value by its path, as a field selector compares it. */
export function fieldAt(object: ApiObject, path: string): string {
  let value: unknown = object;
  for (const part of path.split('.')) {
    value = typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[part] : undefined;
  }
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? String(value) : '';
}

/** The values at these paths. */
export const selecting =
  (paths: readonly string[]) =>
  (object: ApiObject): Readonly<Record<string, string>> =>
    Object.fromEntries(paths.map((path) => [path, fieldAt(object, path)]));

/** What a row of the table says; the rest is as it is for most resources. */
export type Row = Pick<ResourceType, 'group' | 'resource' | 'singular' | 'kind' | 'namespaced' | 'schema'> &
  Partial<Omit<ResourceType, 'fields'>> & { readonly fieldPaths?: readonly string[] };

export function resource(row: Row): ResourceType {
  const { fieldPaths, ...rest } = row;
  return {
    shortNames: [],
    categories: [],
    versions: () => ['v1'],
    statusSubresources: [],
    fields: selecting(['metadata.name', ...(row.namespaced ? ['metadata.namespace'] : []), ...(fieldPaths ?? [])]),
    unconditionalUpdate: true,
    strategicMerge: true,
    deleteReturns: 'status',
    names: 'subdomain',
    storedAs: groupResource(row),
    prepareForCreate: () => {},
    prepareForStatusUpdate: () => {},
    deprecations: {},
    ...rest,
  };
}

/** A namespaced resource whose objects, unlike those of most, are not selected by `metadata.namespace`. */
export function withoutNamespaceField(row: Row): ResourceType {
  return { ...resource(row), fields: selecting(['metadata.name', ...(row.fieldPaths ?? [])]) };
}

/** Nobody brings the status of a new object along. */
export function dropStatus(object: ApiObject): void {
  object.status = {};
}

/** Says when conditions were written and came to hold, where their writer leaves that out. */
export function stampConditions(object: ApiObject, old: ApiObject, now: string): void {
  const oldConditions = objectsAt(objectAt(old, 'status'), 'conditions');
  const status = objectAt(object, 'status');
  const conditions = objectsAt(status, 'conditions').map((condition) => {
    const isSame = ({ type, status: holds }: JsonObject) => type === condition['type'] && holds === condition['status'];
    const since = stringAt(oldConditions.find(isSame), 'lastTransitionTime') || now;
    return { ...condition, ...missing(condition, { lastUpdateTime: now, lastTransitionTime: since }) };
  });
  object.status = conditions.length > 0 ? { ...status, conditions } : status;
}

function missing(given: JsonObject, values: Readonly<Record<string, string>>): JsonObject {
  return Object.fromEntries(Object.entries(values).filter(([field]) => !isFieldSet(given, field)));
}

/** A request says who made it; what its maker says about that is overwritten. */
export function stampRequester(request: ApiObject, { username, uid = '', groups, extra }: UserInfo): void {
  dropStatus(request);
  const extraValues = Object.entries(extra).map(([key, values]) => [key, [...values]]);
  request.spec = { ...request.spec, username, uid, groups: [...groups], extra: Object.fromEntries(extraValues) };
}
