/**
 * A small schema language for API types. One description of a type serves to decode requests (unknown fields, wrong
 * types), to leave out fields that a version does not have, and to publish OpenAPI.
 *
 * https://kubernetes.io/docs/reference/using-api/api-concepts/#validation-for-unrecognized-or-duplicate-fields
 */

import type { Json } from '../../base/objects.ts';

export type Schema =
  /** `byte` is base64, `date-time` RFC 3339 in whole seconds, `micro-time` the same with microseconds. */
  | {
      readonly type: 'string';
      readonly format?: 'byte' | 'date-time' | 'micro-time';
      readonly description: string;
    }
  | { readonly type: 'integer'; readonly format: 'int32' | 'int64'; readonly description: string }
  | { readonly type: 'boolean'; readonly description: string }
  | { readonly type: 'map'; readonly values: Schema; readonly description: string }
  | { readonly type: 'list'; readonly items: Schema; readonly description: string }
  | StructSchema
  /** Anything at all: what the sandbox stores without looking at it. */
  | { readonly type: 'any'; readonly description: string };

export interface StructSchema {
  readonly type: 'struct';
  /** The type's name in OpenAPI documents: `io.k8s.api.core.v1.Pod`. */
  readonly name: string;
  readonly description: string;
  readonly fields: Readonly<Record<string, Schema>>;
  /** Fields that OpenAPI lists as required. Whether they are there is checked by validation, not by decoding. */
  readonly required: readonly string[];
  /** What is shown for fields that are not set, where the real server shows them all the same. */
  readonly zeros: Readonly<Record<string, Json>>;
}

export const text = (description = ''): Schema => ({ type: 'string', description });
export const bytes = (description = ''): Schema => ({ type: 'string', format: 'byte', description });
export const time = (description = ''): Schema => ({ type: 'string', format: 'date-time', description });
export const microTime = (description = ''): Schema => ({ type: 'string', format: 'micro-time', description });
export const int32 = (description = ''): Schema => ({ type: 'integer', format: 'int32', description });
export const int64 = (description = ''): Schema => ({ type: 'integer', format: 'int64', description });
export const bool = (description = ''): Schema => ({ type: 'boolean', description });
export const any = (description = ''): Schema => ({ type: 'any', description });
export const map = (values: Schema, description = ''): Schema => ({ type: 'map', values, description });
export const list = (items: Schema, description = ''): Schema => ({ type: 'list', items, description });

export function struct(
  name: string,
  description: string,
  fields: Readonly<Record<string, Schema>>,
  required: readonly string[] = [],
  zeros: Readonly<Record<string, Json>> = {},
): StructSchema {
  return { type: 'struct', name, description, fields, required, zeros };
}

const meta = 'io.k8s.apimachinery.pkg.apis.meta.v1';

const ownerReference = struct(
  `${meta}.OwnerReference`,
  'The object that this object depends on: when the owner goes, so does this one.',
  {
    apiVersion: text('API version of the owner.'),
    kind: text('Kind of the owner.'),
    name: text('Name of the owner.'),
    uid: text('UID of the owner.'),
    controller: bool('True when the owner is the managing controller.'),
    blockOwnerDeletion: bool('True when the owner cannot go before this object in a foreground deletion.'),
  },
  ['apiVersion', 'kind', 'name', 'uid'],
);

/** metav1.ObjectMeta. */
export const objectMeta = struct(`${meta}.ObjectMeta`, 'What every stored object carries.', {
  name: text('Name, unique within the namespace and resource; cannot be changed.'),
  generateName: text('Prefix from which the server makes a unique name when no name is given.'),
  namespace: text('Namespace the object lies in; cannot be changed.'),
  selfLink: text('Not used any more.'),
  uid: text('Unique in time and space; set by the server.'),
  resourceVersion: text('Version of the object, opaque to clients.'),
  generation: int64('Number of the state of the desired configuration.'),
  creationTimestamp: time('When the object was created; set by the server.'),
  deletionTimestamp: time('When the object will be gone, once its deletion was asked for.'),
  deletionGracePeriodSeconds: int64('Seconds given to the object to end by itself.'),
  labels: map(text(), 'Keys and values by which objects are selected.'),
  annotations: map(text(), 'Keys and values that tools store with the object.'),
  ownerReferences: list(ownerReference, 'The objects this object depends on.'),
  finalizers: list(text(), 'What must be done before the object may go.'),
  managedFields: any('Who manages which field; dropped by this server.'),
});

/** metav1.Condition. */
export const condition = struct(
  `${meta}.Condition`,
  'One aspect of the state of an object.',
  {
    type: text('Type of the condition.'),
    status: text('True, False or Unknown.'),
    observedGeneration: int64('The generation that the condition was set upon.'),
    lastTransitionTime: time('When the status last changed.'),
    reason: text('One word in CamelCase for the reason.'),
    message: text('Details for people; may be empty.'),
  },
  ['type', 'status', 'lastTransitionTime', 'reason', 'message'],
);

/** An object of a kind: the given fields beside apiVersion, kind and metadata. */
export function kindOf(
  name: string,
  description: string,
  fields: Readonly<Record<string, Schema>>,
  required: readonly string[] = [],
  zeros: Readonly<Record<string, Json>> = {},
): StructSchema {
  return struct(
    name,
    description,
    {
      apiVersion: text('Group and version of this representation.'),
      kind: text('The REST resource this object represents.'),
      metadata: objectMeta,
      ...fields,
    },
    required,
    zeros,
  );
}

/** The Go type's name, which decoding errors speak of. */
export function goName(schema: StructSchema): string {
  return schema.name.slice(schema.name.lastIndexOf('.') + 1);
}
