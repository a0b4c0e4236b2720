/**
 * Converts between the one stored form of an object and the API version in which a client reads or writes it.
 */

import { type ApiObject, isObject, type JsonObject } from '../base/objects.ts';
import { type Api, apiVersionOf, type Target } from './api.ts';
import { project } from './decode.ts';

/** Field names of events.k8s.io/v1 and their names in core/v1, in which events are stored. */
const eventFields: readonly (readonly [string, string])[] = [
  ['regarding', 'involvedObject'],
  ['note', 'message'],
  ['reportingController', 'reportingComponent'],
  ['deprecatedSource', 'source'],
  ['deprecatedFirstTimestamp', 'firstTimestamp'],
  ['deprecatedLastTimestamp', 'lastTimestamp'],
  ['deprecatedCount', 'count'],
];

function renamed(object: JsonObject, names: ReadonlyMap<string, string>): JsonObject {
  return Object.fromEntries(Object.entries(object).map(([field, value]) => [names.get(field) ?? field, value]));
}

/** The object in the version of the target, complete with apiVersion and kind. */
export function present(api: Api, target: Target, stored: ApiObject): ApiObject {
  const { apiVersion: _, kind: __, metadata: ___, ...content } = stored;
  const converted =
    target.type.group === 'events.k8s.io'
      ? renamed(content, new Map(eventFields.map(([newer, older]) => [older, newer])))
      : content;
  const projected = project(target.type.schema(target.version, api.kubernetes), converted);
  return {
    kind: target.type.kind,
    apiVersion: apiVersionOf(target),
    metadata: stored.metadata,
    ...(isObject(projected) ? projected : {}),
  };
}

/** The form in which an object of the target's version is stored: no apiVersion, kind, or field ownership. */
export function toStored(target: Target, object: JsonObject): ApiObject {
  const { apiVersion: _, kind: __, metadata, ...content } = object;
  const { managedFields: ___, selfLink: ____, ...kept } = isObject(metadata) ? metadata : {};
  const converted = target.type.group === 'events.k8s.io' ? renamed(content, new Map(eventFields)) : content;
  return { metadata: kept, ...converted };
}
