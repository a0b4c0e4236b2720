/**
 * Creating and updating objects: decode, default, admit, validate, store, in the real server's order. Everything from
 * the read of the old object to the write of the new one is synchronous, so that nothing can come in between.
 *
 * https://kubernetes.io/docs/reference/using-api/api-concepts/#api-verbs
 */

import type { AdmissionRequest, ResourceAttributes, UserInfo, ValidationRequest } from '../base/cluster-rules.ts';
import {
  alreadyExists,
  type ErrorSubject,
  type FieldError,
  invalid,
  methodNotAllowed,
  notFound,
} from '../base/errors.ts';
import type { ApiObject, Json, JsonObject } from '../base/objects.ts';
import { type Api, attributesOf, type Query, rulesContext, storedAs, type Target } from './api.ts';
import { type DecodedBody, decodeBody } from './body.ts';
import { present, toStored } from './conversion.ts';
import {
  checkIdentity,
  checkPreconditions,
  metadataForCreate,
  metadataForUpdate,
  nameForCreate,
  timestamp,
  unconditionalUpdateError,
  validateMetadataUpdate,
} from './metadata.ts';
import { removeWhenFinalized } from './remove.ts';
import type { ResourceInfo } from './request-info.ts';
import { groupResource } from './resource-type.ts';

/** A request to write, decoded as far as the path goes. */
export interface WriteRequest {
  readonly target: Target;
  readonly info: ResourceInfo;
  readonly user: UserInfo;
  readonly query: Query;
}

export interface Written {
  readonly code: number;
  /** In the stored form. */
  readonly object: ApiObject;
  readonly warnings: readonly string[];
}

export function subjectOf(target: Target): ErrorSubject {
  return { group: target.type.group, resource: target.type.resource };
}

/** @throws ApiError */
export function createObject(api: Api, request: WriteRequest, body: Json): Written {
  const { target, info, query, user } = request;
  if (info.name !== '' || (target.type.namespaced && info.namespace === '')) {
    throw methodNotAllowed();
  }
  const { object, warnings } = decodeFor(api, request, body);
  const given = toStored(target, object);
  const namespace = target.type.namespaced ? info.namespace : '';
  if (namespace !== '' && api.store.get('namespaces', '', namespace) === undefined) {
    throw notFound({ group: '', resource: 'namespaces' }, namespace);
  }
  const attempt = { ...given, metadata: metadataForCreate(given.metadata, namespace, api.now()) };
  target.type.prepareForCreate(attempt, user);
  const name = given.metadata.name ?? '';
  const attributes = { ...attributesOf(info, user, query), name };
  api.rules.default(validationRequest(request, attempt), rulesContext(api));
  admit(api, { phase: 'before validation', operation: 'create', attributes, object: attempt });
  attempt.metadata.name = nameForCreate(attempt.metadata);
  const errors = api.rules.validateCreate(validationRequest(request, attempt), rulesContext(api));
  refuseInvalid(target, attempt, errors);
  admit(api, { phase: 'after validation', operation: 'create', attributes, object: attempt });
  const { name: finalName = '' } = attempt.metadata;
  if (api.store.get(storedAs(target), namespace, finalName) !== undefined) {
    throw alreadyExists(subjectOf(target), finalName);
  }
  const stored = isDryRun(query) ? attempt : api.store.create(storedAs(target), attempt);
  return { code: 201, object: stored, warnings };
}

/** A full replacement (PUT), of the object or of one of its status subresources. @throws ApiError */
export function replaceObject(api: Api, request: WriteRequest, body: Json): Written {
  const { info, target } = request;
  const { object, warnings } = decodeFor(api, request, body);
  const given = toStored(target, object);
  checkIdentity(given.metadata, target.type.namespaced ? info.namespace : '', info.name);
  return { ...updateObject(api, request, storedObject(api, request), given), warnings };
}

/**
 * Stores a new state of an object, as it came from the client.
 * @param old what is stored now
 * @throws ApiError
 */
export function updateObject(api: Api, request: WriteRequest, old: ApiObject, given: ApiObject): Written {
  const { target, info, user, query } = request;
  const { resourceVersion } = given.metadata;
  const isUnconditional = resourceVersion === undefined || resourceVersion === '' || resourceVersion === '0';
  if (isUnconditional && !target.type.unconditionalUpdate) {
    throw invalid(subjectOf(target), info.name, [unconditionalUpdateError()]);
  }
  checkPreconditions(given.metadata, old, subjectOf(target));
  const isStatus = target.type.statusSubresources.includes(info.subresource);
  const updated = structuredClone(isStatus ? withStatusOf(old, given) : withoutStatusOf(target, old, given));
  const attributes = attributesOf(info, user, query);
  if (isStatus) {
    target.type.prepareForStatusUpdate(updated, old, timestamp(api.now()));
  } else {
    // Of a status update only the status counts; the rest stays as it was stored, in whatever version that was.
    api.rules.default(validationRequest(request, updated), rulesContext(api));
  }
  const admission = { operation: 'update', attributes, object: updated, oldObject: old } as const;
  admit(api, { phase: 'before validation', ...admission });
  const validate = isStatus ? api.rules.validateStatusUpdate : api.rules.validateUpdate;
  const errors = [
    ...validateMetadataUpdate(updated.metadata, old.metadata),
    ...validate(validationRequest(request, updated), old, rulesContext(api)),
  ];
  refuseInvalid(target, updated, errors);
  admit(api, { phase: 'after validation', ...admission });
  if (isDryRun(query)) {
    return { code: 200, object: updated, warnings: [] };
  }
  return {
    code: 200,
    object: removeWhenFinalized(api, target, api.store.update(storedAs(target), updated)),
    warnings: [],
  };
}

/** Through a status subresource, only the status changes. */
function withStatusOf(old: ApiObject, given: ApiObject): ApiObject {
  const { status: _, ...rest } = old;
  return { ...rest, status: given.status ?? {} };
}

/** Outside of it, everything else does. */
function withoutStatusOf(target: Target, old: ApiObject, given: ApiObject): ApiObject {
  const metadata = metadataForUpdate(given.metadata, old.metadata);
  if (target.type.statusSubresources.length === 0) {
    return { ...given, metadata };
  }
  const { status: _, ...rest } = given;
  return { ...rest, metadata, status: old.status ?? {} };
}

/** The stored object that a request names. @throws ApiError 404 */
export function storedObject(api: Api, request: Pick<WriteRequest, 'target' | 'info'>): ApiObject {
  const { target, info } = request;
  const namespace = target.type.namespaced ? info.namespace : '';
  const stored = api.store.get(storedAs(target), namespace, info.name);
  if (stored === undefined) {
    throw notFound(subjectOf(target), info.name);
  }
  return stored;
}

export function decodeFor(api: Api, request: WriteRequest, body: Json): DecodedBody {
  const { type, version } = request.target;
  const expected = { group: type.group, version, kind: type.kind, schema: type.schema(version, api.kubernetes) };
  return decodeBody(body, expected, request.query);
}

function validationRequest(request: WriteRequest, object: ApiObject): ValidationRequest {
  const { type, version } = request.target;
  return { user: request.user, resource: groupResource(type), version, object };
}

/** Errors about an object's content name its kind, not its resource. */
export function kindSubject(target: Target): ErrorSubject {
  return { group: target.type.group, resource: target.type.kind };
}

function refuseInvalid(target: Target, object: ApiObject, errors: readonly FieldError[]): void {
  if (errors.length > 0) {
    throw invalid(kindSubject(target), object.metadata.name ?? '', errors);
  }
}

/** @throws ApiError when the rules refuse */
export function admit(api: Api, request: AdmissionRequest & { readonly attributes: ResourceAttributes }): void {
  const refusal = api.rules.admit(request, rulesContext(api));
  if (refusal !== undefined) {
    throw refusal;
  }
}

export function isDryRun(query: Query): boolean {
  return query.getAll('dryRun').includes('All');
}

/** The current state as the client would send it back: the base of a patch. */
export function presented(api: Api, target: Target, stored: ApiObject): JsonObject {
  return structuredClone(present(api, target, stored));
}
