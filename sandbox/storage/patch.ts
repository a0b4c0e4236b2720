/**
 * Patches: merge patch (RFC 7396), JSON patch (RFC 6902) and Kubernetes' strategic merge patch.
 *
 * https://kubernetes.io/docs/tasks/manage-kubernetes-objects/update-api-object-kubectl-patch/
 */
import { applyPatch, type Operation } from 'rfc6902';
import { ApiError, badRequest, messageOf, unsupportedMediaType } from '../base/errors.ts';
import { isObject, type Json, type JsonObject } from '../base/objects.ts';
import type { Api } from './api.ts';
import { type Body, parseBody } from './body.ts';
import { toStored } from './conversion.ts';
import { checkIdentity } from './metadata.ts';
import { strategicMerge } from './strategic-merge.ts';
import { decodeFor, presented, storedObject, updateObject, type WriteRequest, type Written } from './write.ts';

const mediaTypes = {
  json: 'application/json-patch+json',
  merge: 'application/merge-patch+json',
  strategic: 'application/strategic-merge-patch+json',
};

/** @throws ApiError 400, 404, 409, 415, 422 */
export function patchObject(api: Api, request: WriteRequest, body: Body): Written {
  const patcher = patcherFor(body, request.target.type.strategicMerge);
  const old = storedObject(api, request);
  const patched = patcher(presented(api, request.target, old));
  const { object, warnings } = decodeFor(api, request, patched);
  const given = toStored(request.target, object);
  checkIdentity(given.metadata, request.target.type.namespaced ? request.info.namespace : '', request.info.name);
  return { ...updateObject(api, request, old, given), warnings };
}

function patcherFor(body: Body, strategic: boolean): (target: JsonObject) => Json {
  const parsed = (): Json => parseBody({ ...body, mediaType: 'application/json' }, 'patch');
  const objectPatch = (): JsonObject => {
    const patch = parsed();
    if (!isObject(patch)) {
      throw badRequest('error decoding patch: json: cannot unmarshal into Go value of type map[string]interface {}');
    }
    return patch;
  };
  const known = Object.values(mediaTypes).filter((type) => strategic || type !== mediaTypes.strategic);
  if (!known.includes(body.mediaType)) {
    throw unsupportedMediaType(
      `the body of the request was in an unknown format - accepted media types include: ${known.join(', ')}`,
    );
  }
  switch (body.mediaType) {
    case mediaTypes.json: {
      const operations = parsed();
      if (!Array.isArray(operations)) {
        throw badRequest('error decoding patch: json: cannot unmarshal into Go value of type jsonpatch.Patch');
      }
      return (target) => applyJsonPatch(target, operations);
    }
    case mediaTypes.merge: {
      const patch = objectPatch();
      return (target) => mergePatch(target, patch);
    }
    default: {
      const patch = objectPatch();
      return (target) => strategicMerge(target, patch);
    }
  }
}

/**
 * @returns the changed document; the given one stays as it was
 * @throws ApiError 422 when an operation is none or cannot be done
 */
export function applyJsonPatch(document: Json, operations: readonly Json[]): Json {
  // One level above the document, so that an operation may replace it as a whole.
  const root = structuredClone({ document });
  try {
    const failure = applyPatch(root, operations.map(belowRoot)).find((error) => error !== null);
    if (failure !== undefined) {
      throw failure;
    }
  } catch (error) {
    const why = messageOf(error);
    throw new ApiError(422, 'Invalid', `the server rejected our request due to an error in our request: ${why}`, {});
  }
  return root.document;
}

function belowRoot(operation: Json): Operation {
  if (!isObject(operation) || typeof operation.path !== 'string') {
    throw new TypeError('an operation without a path');
  }
  const from = typeof operation.from === 'string' ? { from: inDocument(operation.from) } : {};
  // The library judges which operation it is, and whether it is whole.
  return { ...operation, path: inDocument(operation.path), ...from } as Operation;
}

function inDocument(pointer: string): string {
  if (pointer !== '' && !pointer.startsWith('/')) {
    throw new RangeError(`not a JSON pointer: ${pointer}`);
  }
  return `/document${pointer}`;
}

/** RFC 7396: null removes, objects merge, anything else replaces. */
export function mergePatch(target: Json | undefined, patch: Json): Json {
  if (!isObject(patch)) {
    return patch;
  }
  const merged: JsonObject = isObject(target) ? { ...target } : {};
  for (const [field, value] of Object.entries(patch)) {
    if (value === null || value === undefined) {
      delete merged[field];
    } else {
      merged[field] = mergePatch(merged[field], value);
    }
  }
  return merged;
}
