/**
 * Kubernetes' strategic merge patch: like a merge patch, but lists of objects are merged by a key, and directives say
 * when they are not.
 *
 * https://github.com/kubernetes/community/blob/master/contributors/devel/sig-api-machinery/strategic-merge-patch.md
 */
import { isDeepStrictEqual } from 'node:util';
import { isObject, type Json, type JsonObject } from '../base/objects.ts';

/** Lists that are merged, and by which field of their items; every other list is replaced as a whole. */
const mergeKeys: ReadonlyMap<string, string> = new Map([
  ['containers', 'name'],
  ['initContainers', 'name'],
  ['ephemeralContainers', 'name'],
  ['volumes', 'name'],
  ['env', 'name'],
  ['ports', 'containerPort'],
  ['volumeMounts', 'mountPath'],
  ['volumeDevices', 'devicePath'],
  ['imagePullSecrets', 'name'],
  ['secrets', 'name'],
  ['hostAliases', 'ip'],
  ['topologySpreadConstraints', 'topologyKey'],
  ['readinessGates', 'conditionType'],
  ['conditions', 'type'],
  ['addresses', 'type'],
  ['taints', 'key'],
  ['podIPs', 'ip'],
  ['ownerReferences', 'uid'],
]);
/** Lists of plain values that are merged as sets. */
const mergedSets: ReadonlySet<string> = new Set(['finalizers']);

const elementOrder = '$setElementOrder/';
const deleteFromSet = '$deleteFromPrimitiveList/';

/** @returns the merged object; the given ones stay as they were */
export function strategicMerge(target: JsonObject, patch: JsonObject): JsonObject {
  if (patch.$patch === 'replace') {
    return withoutDirectives(patch);
  }
  if (patch.$patch === 'delete') {
    return {};
  }
  const merged: JsonObject = keepOnly({ ...target }, patch.$retainKeys);
  for (const [field, value] of Object.entries(patch)) {
    const removedFrom = field.startsWith(deleteFromSet) ? field.slice(deleteFromSet.length) : undefined;
    if (removedFrom !== undefined) {
      merged[removedFrom] = without(merged[removedFrom], value);
    } else if (!field.startsWith('$')) {
      mergeField(merged, field, value);
    }
  }
  for (const [field, order] of Object.entries(patch)) {
    if (field.startsWith(elementOrder) && Array.isArray(order)) {
      const name = field.slice(elementOrder.length);
      merged[name] = ordered(merged[name], order, mergeKeys.get(name));
    }
  }
  return merged;
}

function withoutDirectives(patch: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(patch).filter(([field]) => !field.startsWith('$')));
}

function keepOnly(object: JsonObject, fields: Json | undefined): JsonObject {
  return Array.isArray(fields)
    ? Object.fromEntries(Object.entries(object).filter(([field]) => fields.includes(field)))
    : object;
}

function without(list: Json | undefined, removed: Json | undefined): Json[] {
  return Array.isArray(list) ? list.filter((item) => !(Array.isArray(removed) && removed.includes(item))) : [];
}

function mergeField(merged: JsonObject, field: string, value: Json | undefined): void {
  const current = merged[field];
  const key = mergeKeys.get(field);
  if (value === null || value === undefined) {
    delete merged[field];
  } else if (isObject(value)) {
    merged[field] = strategicMerge(isObject(current) ? current : {}, value);
  } else if (Array.isArray(value) && key !== undefined) {
    merged[field] = mergeList(Array.isArray(current) ? current : [], value, key);
  } else if (Array.isArray(value) && mergedSets.has(field)) {
    merged[field] = [...new Set([...(Array.isArray(current) ? current : []), ...value])];
  } else {
    merged[field] = value;
  }
}

function mergeList(current: readonly Json[], patch: readonly Json[], key: string): Json[] {
  const isReplaced = patch.some((item) => isObject(item) && item.$patch === 'replace');
  let merged: Json[] = isReplaced ? [] : [...current];
  for (const item of patch) {
    if (!isObject(item) || item.$patch === 'replace') {
      continue;
    }
    const at = merged.findIndex((known) => isObject(known) && isDeepStrictEqual(known[key], item[key]));
    const known = merged[at];
    if (item.$patch === 'delete') {
      merged = merged.filter((_, position) => position !== at);
    } else if (isObject(known)) {
      merged[at] = strategicMerge(known, item);
    } else {
      merged.push(strategicMerge({}, item));
    }
  }
  return merged;
}

/** The items named first, in the order given; the others keep theirs behind them. */
function ordered(list: Json | undefined, order: readonly Json[], key: string | undefined): Json[] {
  const items = Array.isArray(list) ? list : [];
  const identity = (item: Json | undefined): Json | undefined =>
    key !== undefined && isObject(item) ? item[key] : item;
  const places = order.map(identity);
  const place = (item: Json): number => {
    const at = places.findIndex((known) => isDeepStrictEqual(known, identity(item)));
    return at < 0 ? places.length : at;
  };
  return items.toSorted((a, b) => place(a) - place(b));
}
