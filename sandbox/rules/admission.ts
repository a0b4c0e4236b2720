/**
 * The errors with which admission refuses a change.
 *
 * https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/
 */

import type { AdmissionRequest } from '../base/cluster-rules.ts';
import { ApiError, forbidden } from '../base/errors.ts';
import { stringAt } from '../base/fields.ts';

/** A refusal names the object, or its prefix while it has no name yet. */
export function refuse({ attributes, object }: AdmissionRequest, why: string): ApiError {
  const { apiGroup, resource } = attributes;
  const named = attributes.name || stringAt(object?.metadata, 'name') || stringAt(object?.metadata, 'generateName');
  return forbidden({ group: apiGroup, resource }, named || 'Unknown', why);
}

/** What a stale cache of the server's could explain is no refusal: the node may try again. */
export function retriable(message: string): ApiError {
  return new ApiError(500, '', message);
}
