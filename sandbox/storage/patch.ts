/**
 * Patches: merge patch (RFC 7396), JSON patch (RFC 6902) and Kubernetes' strategic merge patch.
 *
 * https://kubernetes.io/docs/tasks/manage-kubernetes-objects/update-api-object-kubectl-patch/
 */

import { ApiError, badRequest, messageOf, unsupportedMediaType } from '../base/errors.ts';
import { isObject, type Json, type JsonObject } from '../base/objects.ts';
import type { Api } from './api.ts';
import { type Body, parseBody } from './body.ts';
import { toStored } from './conversion.ts';
import { applyJsonPatch } from './json-patch.ts';
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
  const patcher = patcherFor(body);
  const old = storedObject(api, request);
  const patched = patcher(presented(api, request.target, old));
  const { object, warnings } = decodeFor(api, request, patched);
  const given = toStored(request.target, object);
  checkIdentity(given.metadata, request.target.type.namespaced ? request.info.namespace : '', request.info.name);
  return { ...updateObject(api, request, old, given), warnings };
}

function patcherFor(body: Body): (target: JsonObject) => Json {
  const parsed = (): Json => parseBody({ ...body, mediaType: 'application/json' }, 'patch');
  const objectPatch = (): JsonObject => {
    const patch = parsed();
    if (!isObject(patch)) {
      throw badRequest('error decoding patch: json: cannot unmarshal into Go value of type map[string]interface {}');
    }
    return patch;
  };
  switch (body.mediaType) {
    case mediaTypes.json: {
      const operations = parsed();
      if (!Array.isArray(operations)) {
        throw badRequest('error decoding patch: json: cannot unmarshal into Go value of type jsonpatch.Patch');
      }
      return (target) => {
        try {
          return applyJsonPatch(target, operations);
        } catch (error) {
          const why = messageOf(error);
          throw new ApiError(
            422,
            'Invalid',
            `the server rejected our request due to an error in our request: ${why}`,
            {},
          );
        }
      };
    }
    case mediaTypes.merge: {
      const patch = objectPatch();
      return (target) => mergePatch(target, patch);
    }
    case mediaTypes.strategic: {
      const patch = objectPatch();
      return (target) => strategicMerge(target, patch);
    }
    default:
      throw unsupportedMediaType(
        `the body of the request was in an unknown format - accepted media types include: ${Object.values(mediaTypes).join(', ')}`,
      );
  }
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
