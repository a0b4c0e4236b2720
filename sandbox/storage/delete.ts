/**
 * Deleting objects. Pods on a node are asked to end first: they get a deletionTimestamp and stay until the kubelet
 * deletes them with a grace period of 0. Objects with finalizers stay until the last finalizer is taken off. A namespace
 * goes at once with everything in it.
 *
 * https://kubernetes.io/docs/concepts/architecture/garbage-collection/
 */

import { badRequest } from '../base/errors.ts';
import { type ApiObject, isObject, type JsonObject } from '../base/objects.ts';
import { type Api, attributesOf, storedAs, type Target } from './api.ts';
import { checkDeletePreconditions, timestamp } from './metadata.ts';
import { removeObject } from './remove.ts';
import type { Selection } from './selection.ts';
import { admit, isDryRun, kindSubject, storedObject, type WriteRequest } from './write.ts';

/** What became of a deletion: the object's last state, and whether it is gone. */
export interface Deleted {
  readonly object: ApiObject;
  readonly gone: boolean;
}

/** @param options a DeleteOptions object, decoded; empty when the request has no body @throws ApiError */
export function deleteObject(api: Api, request: WriteRequest, options: JsonObject): Deleted {
  const { target, info, user, query } = request;
  const stored = storedObject(api, request);
  const preconditions = isObject(options.preconditions) ? options.preconditions : {};
  checkDeletePreconditions(
    {
      uid: optionalText(preconditions.uid),
      resourceVersion: optionalText(preconditions.resourceVersion),
    },
    stored,
    kindSubject(target),
  );
  const attributes = attributesOf(info, user, query);
  admit(api, { phase: 'after validation', operation: 'delete', attributes, oldObject: stored });
  const asked = options.gracePeriodSeconds ?? query.get('gracePeriodSeconds') ?? undefined;
  const graceSeconds = gracePeriod(target, stored, asked === undefined ? undefined : Number(asked));
  if (isDryRun(query) || (Array.isArray(options.dryRun) && options.dryRun.includes('All'))) {
    return { object: stored, gone: graceSeconds === 0 };
  }
  return graceSeconds > 0 || (stored.metadata.finalizers ?? []).length > 0
    ? { object: markDeleted(api, target, stored, graceSeconds), gone: false }
    : { object: removeObject(api, target, stored), gone: true };
}

function optionalText(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

/** Seconds that the object is given to end: only running pods on a node get any. */
function gracePeriod(target: Target, stored: ApiObject, asked: number | undefined): number {
  if (asked !== undefined && (!Number.isInteger(asked) || asked < 0)) {
    throw badRequest(`invalid grace period: ${asked}`);
  }
  const isPod = target.type.storedAs === 'pods';
  const phase = stored.status?.phase;
  if (!isPod || !stored.spec?.nodeName || phase === 'Succeeded' || phase === 'Failed') {
    return 0;
  }
  const ownPeriod = stored.spec.terminationGracePeriodSeconds;
  return asked ?? (typeof ownPeriod === 'number' ? ownPeriod : 30);
}

/** A second deletion may shorten the time that is left, never lengthen it. */
function markDeleted(api: Api, target: Target, stored: ApiObject, graceSeconds: number): ApiObject {
  const known = stored.metadata.deletionGracePeriodSeconds;
  if (stored.metadata.deletionTimestamp !== undefined && known !== undefined && known <= graceSeconds) {
    return stored;
  }
  const deletionTimestamp = timestamp(api.now() + graceSeconds * 1000);
  const metadata = { ...stored.metadata, deletionTimestamp, deletionGracePeriodSeconds: graceSeconds };
  return api.store.update(storedAs(target), { ...stored, metadata });
}

/** Deletes all objects of a selection. @returns them as they were @throws ApiError */
export function deleteCollection(
  api: Api,
  request: WriteRequest,
  options: JsonObject,
  selection: Selection,
): readonly ApiObject[] {
  const selected = api.store.list(storedAs(request.target), selection.namespace).filter(selection.matches);
  return selected.map((object) => {
    const { namespace = '', name = '' } = object.metadata;
    return deleteObject(api, { ...request, info: { ...request.info, namespace, name } }, options).object;
  });
}
