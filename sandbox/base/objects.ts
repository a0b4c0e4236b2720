/**
 * Objects as the sandbox's API server holds them: plain JSON of any kind, as it travels in requests and replies.
 *
 * https://kubernetes.io/docs/reference/using-api/api-concepts/
 */

export type Json = string | number | boolean | null | Json[] | JsonObject;
export interface JsonObject {
  [field: string]: Json | undefined;
}

export interface OwnerReference extends JsonObject {
  apiVersion: string;
  kind: string;
  name: string;
  uid: string;
}

/** metav1.ObjectMeta, with the fields the server itself reads or writes. */
export interface ObjectMeta extends JsonObject {
  name?: string;
  generateName?: string;
  namespace?: string;
  uid?: string;
  resourceVersion?: string;
  generation?: number;
  creationTimestamp?: string;
  deletionTimestamp?: string;
  deletionGracePeriodSeconds?: number;
  labels?: { [key: string]: string };
  annotations?: { [key: string]: string };
  ownerReferences?: OwnerReference[];
  finalizers?: string[];
}

/** Any API object. `spec` and `status` are the usual parts; other top-level fields (`rules`, `subjects`) are reached by name. */
export interface ApiObject extends JsonObject {
  apiVersion?: string;
  kind?: string;
  metadata: ObjectMeta;
  spec?: JsonObject;
  status?: JsonObject;
}

/** A resource and its group as kubectl writes them: `pods`, `podcertificaterequests.certificates.k8s.io`. */
export type GroupResource = string;

/** Read access to everything stored. Objects carry no apiVersion-specific shape and must not be changed. */
export interface ObjectReader {
  /** @param namespace the empty string for cluster-scoped resources */
  get(resource: GroupResource, namespace: string, name: string): ApiObject | undefined;
  /** In order of namespace and name. @param namespace absent: all namespaces */
  list(resource: GroupResource, namespace?: string): readonly ApiObject[];
}

/** A copy of what JSON can say of a value. */
export function asJson(value: object): JsonObject {
  return JSON.parse(JSON.stringify(value));
}

/** True for a JSON object, false for arrays, null and scalars. */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
