/**
 * Selects the objects that a list or watch is about: the selectors of a query, checked and ready to match.
 */

import { badRequest } from '../base/errors.ts';
import type { ApiObject } from '../base/objects.ts';
import type { Query, Target } from './api.ts';
import type { ResourceInfo } from './request-info.ts';
import {
  type FieldRequirement,
  matchesFields,
  matchesLabels,
  parseFieldSelector,
  parseLabelSelector,
} from './selectors.ts';

export interface Selection {
  /** `undefined` for all namespaces. */
  readonly namespace: string | undefined;
  matches(object: ApiObject): boolean;
}

/** @throws ApiError 400 for a selector that cannot be read or names a field that cannot be selected by */
export function selectionOf(target: Target, info: ResourceInfo, query: Query): Selection {
  const labels = parseLabelSelector(query.get('labelSelector') ?? '');
  const fields = parseFieldSelector(query.get('fieldSelector') ?? '');
  checkFields(target, fields);
  const namespace = target.type.namespaced ? info.namespace || undefined : '';
  return {
    namespace,
    matches: (object) =>
      (namespace === undefined || (object.metadata.namespace ?? '') === namespace) &&
      matchesLabels(labels, object.metadata.labels) &&
      matchesFields(fields, target.type.fields(object)),
  };
}

function checkFields(target: Target, fields: readonly FieldRequirement[]): void {
  const known = target.type.fields({ metadata: {} });
  for (const { field } of fields) {
    if (!Object.hasOwn(known, field)) {
      const isPlain = Object.keys(known).every((name) => name.startsWith('metadata.'));
      throw badRequest(
        isPlain
          ? `${JSON.stringify(field)} is not a known field selector: only "metadata.name", "metadata.namespace"`
          : `field label not supported: ${field}`,
      );
    }
  }
}
