/**
 * Which objects a list or watch is about: the selectors of a query, checked and ready to match.
 */
import type { Query, Target } from './api.ts';
import { badRequest } from './errors.ts';
import type { ApiObject } from './objects.ts';
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
  checkFields(target, fields, query.get('fieldSelector') ?? '');
  // A watch on one object by path is a watch on its name.
  const named: readonly FieldRequirement[] =
    info.name === '' ? [] : [{ field: 'metadata.name', operator: '=', value: info.name }];
  const required = [...fields, ...named];
  const namespace = target.type.namespaced ? info.namespace || undefined : '';
  return {
    namespace,
    matches: (object) =>
      (namespace === undefined || (object.metadata.namespace ?? '') === namespace) &&
      matchesLabels(labels, object.metadata.labels) &&
      matchesFields(required, target.type.fields(object)),
  };
}

function checkFields(target: Target, fields: readonly FieldRequirement[], selector: string): void {
  const known = target.type.fields({ metadata: {} });
  for (const { field } of fields) {
    if (!Object.hasOwn(known, field)) {
      const isPlain = Object.keys(known).every((name) => name.startsWith('metadata.'));
      throw badRequest(
        `Unable to find ${JSON.stringify(`${target.type.group === '' ? '' : `${target.type.group}/`}${target.version}, Resource=${target.type.resource}`)} that match label selector "", field selector ${JSON.stringify(selector)}: ` +
          (isPlain
            ? `${JSON.stringify(field)} is not a known field selector: only "metadata.name", "metadata.namespace"`
            : `field label not supported: ${field}`),
      );
    }
  }
}
