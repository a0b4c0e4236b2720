/**
 * What the server itself does to the metadata of an object, on creation and on update.
 *
 * https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/object-meta/
 */
import { randomInt, randomUUID } from 'node:crypto';
import {
  ApiError,
  badRequest,
  conflict,
  type ErrorSubject,
  type FieldError,
  fieldError,
  staleUpdate,
} from '../base/errors.ts';
import type { ApiObject, ObjectMeta } from '../base/objects.ts';

/** Without vowels and look-alikes, as the real server's. */
const suffixAlphabet = 'bcdfghjklmnpqrstvwxz2456789';

/** A name from a prefix: five random characters more, the prefix cut to leave room for them. */
function generatedName(prefix: string): string {
  const suffix = Array.from({ length: 5 }, () => suffixAlphabet[randomInt(suffixAlphabet.length)]).join('');
  return `${prefix.slice(0, 58)}${suffix}`;
}

/** RFC 3339 with whole seconds, as all times in metadata. */
export function timestamp(now: number): string {
  return new Date(now).toISOString().replace(/\.\d+Z$/, 'Z');
}

/** @throws ApiError 400 when the object names another namespace than the path */
function inRequestNamespace(metadata: ObjectMeta, namespace: string): ObjectMeta {
  if (metadata.namespace !== undefined && metadata.namespace !== '' && metadata.namespace !== namespace) {
    throw badRequest('the namespace of the provided object does not match the namespace sent on the request');
  }
  const { namespace: _, ...rest } = metadata;
  return namespace === '' ? rest : { ...rest, namespace };
}

/** The metadata of a new object, before it has a name. @throws ApiError when it claims to be stored already */
export function metadataForCreate(metadata: ObjectMeta, namespace: string, now: number): ObjectMeta {
  const {
    resourceVersion,
    deletionTimestamp: _,
    deletionGracePeriodSeconds: __,
    ...rest
  } = inRequestNamespace(metadata, namespace);
  if (resourceVersion !== undefined && resourceVersion !== '' && resourceVersion !== '0') {
    throw new ApiError(500, '', 'resourceVersion should not be set on objects to be created');
  }
  return { ...rest, uid: randomUUID(), creationTimestamp: timestamp(now) };
}

/** The name of a new object: its own, or one made from its prefix; empty when it has neither. */
export function nameForCreate({ name = '', generateName = '' }: ObjectMeta): string {
  return name === '' && generateName !== '' ? generatedName(generateName) : name;
}

/** @throws ApiError 400 when the object has another name or namespace than the path */
export function checkIdentity(metadata: ObjectMeta, namespace: string, name: string): void {
  if (metadata.name !== undefined && metadata.name !== '' && metadata.name !== name) {
    throw badRequest(`the name of the object (${metadata.name}) does not match the name on the URL (${name})`);
  }
  inRequestNamespace(metadata, namespace);
}

/** Checks that an update is made on top of the stored object. @throws ApiError 409 */
export function checkPreconditions(
  given: { readonly uid?: string | undefined; readonly resourceVersion?: string | undefined },
  stored: ApiObject,
  subject: ErrorSubject,
): void {
  const { name = '', uid, resourceVersion } = stored.metadata;
  if (given.uid !== undefined && given.uid !== '' && given.uid !== uid) {
    const why = `Precondition failed: UID in precondition: ${given.uid}, UID in object meta: ${uid}`;
    throw conflict(subject, name, why);
  }
  if (given.resourceVersion && given.resourceVersion !== '0' && given.resourceVersion !== resourceVersion) {
    throw staleUpdate(subject, name);
  }
}

/** Checks what a deletion demands of the stored object. @throws ApiError 409 */
export function checkDeletePreconditions(
  given: { readonly uid?: string | undefined; readonly resourceVersion?: string | undefined },
  stored: ApiObject,
  subject: ErrorSubject,
): void {
  const { name = '', uid, resourceVersion } = stored.metadata;
  if (given.uid !== undefined && given.uid !== uid) {
    const why = 'The object might have been deleted and then recreated';
    throw conflict(
      subject,
      name,
      `the UID in the precondition (${given.uid}) does not match the UID in record (${uid}). ${why}`,
    );
  }
  if (given.resourceVersion !== undefined && given.resourceVersion !== resourceVersion) {
    const head = `the ResourceVersion in the precondition (${given.resourceVersion}) does not match the ResourceVersion`;
    throw conflict(subject, name, `${head} in record (${resourceVersion}). The object might have been modified`);
  }
}

/** The metadata after an update: what the server alone sets stays as it is. */
export function metadataForUpdate(given: ObjectMeta, stored: ObjectMeta): ObjectMeta {
  const { resourceVersion: _, deletionTimestamp: __, deletionGracePeriodSeconds: ___, ...rest } = given;
  const kept = ['name', 'namespace', 'uid', 'generateName', 'deletionTimestamp', 'deletionGracePeriodSeconds'];
  return {
    ...rest,
    ...Object.fromEntries(kept.filter((field) => stored[field] !== undefined).map((field) => [field, stored[field]])),
    creationTimestamp: rest.creationTimestamp ?? stored.creationTimestamp ?? '',
  };
}

/** What an update may not change. */
export function validateMetadataUpdate(updated: ObjectMeta, stored: ObjectMeta): FieldError[] {
  return updated.creationTimestamp === stored.creationTimestamp
    ? []
    : [fieldError.invalid('metadata.creationTimestamp', updated.creationTimestamp, 'field is immutable')];
}

/** The refusal of an update that does not say which version of the object it is made from. */
export function unconditionalUpdateError(): FieldError {
  return fieldError.invalid('metadata.resourceVersion', 0, 'must be specified for an update');
}
