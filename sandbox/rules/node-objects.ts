/**
 * What is checked about a node's taints, and about its CSINode object.
 *
 * https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/
 * https://kubernetes.io/docs/reference/kubernetes-api/config-and-storage-resources/csi-node-v1/
 */
import { type FieldError, fieldError } from '../base/errors.ts';
import { byteLength, objectAt, objectsAt, sameJson, stringAt } from '../base/fields.ts';
import { dnsSubdomain, labelKey, labelValueFaults } from '../base/names.ts';
import type { ApiObject, JsonObject } from '../base/objects.ts';
import { invalids } from './metadata.ts';

const taintEffects = ['NoSchedule', 'PreferNoSchedule', 'NoExecute'];

/** A key may occur with each effect once. The real server, too, looks for taints in `metadata` when it names them. */
export function taintFaults(node: ApiObject): FieldError[] {
  const taints = objectsAt(objectAt(node, 'spec'), 'taints');
  const names = taints.map((taint) => `${stringAt(taint, 'key')}:${stringAt(taint, 'effect')}`);
  return taints.flatMap((taint, index) => {
    const field = `metadata.taints[${index}]`;
    const [key, value, effect] = [stringAt(taint, 'key'), stringAt(taint, 'value'), stringAt(taint, 'effect')];
    return [
      ...invalids(`${field}.key`, key, labelKey(key)),
      ...invalids(`${field}.value`, value, labelValueFaults(value)),
      ...(taintEffects.includes(effect) ? [] : [fieldError.notSupported(`${field}.effect`, effect, taintEffects)]),
      ...(names.indexOf(names[index] ?? '') < index ? [fieldError.duplicate(field, taint)] : []),
    ];
  });
}

const longestNodeId = 192;

function driversOf(csiNode: ApiObject): readonly JsonObject[] {
  return objectsAt(objectAt(csiNode, 'spec'), 'drivers');
}

export function driverFaults(csiNode: ApiObject): FieldError[] {
  const drivers = driversOf(csiNode);
  const names = drivers.map((driver) => stringAt(driver, 'name'));
  return drivers.flatMap((driver, index) => {
    const field = `spec.drivers[${index}]`;
    const [name, nodeId] = [stringAt(driver, 'name'), stringAt(driver, 'nodeID')];
    return [
      ...(name === ''
        ? [fieldError.required(`${field}.name`, '')]
        : invalids(`${field}.name`, name, dnsSubdomain(name))),
      ...(nodeId === '' ? [fieldError.required(`${field}.nodeID`, '')] : []),
      ...(byteLength(nodeId) > longestNodeId
        ? [fieldError.invalid(`${field}.nodeID`, nodeId, `must be ${longestNodeId} characters or less`)]
        : []),
      ...(names.indexOf(name) < index ? [fieldError.duplicate(`${field}.name`, name)] : []),
    ];
  });
}

/** A driver may be taken out and put in again, but not changed in place. */
export function driverUpdateFaults(csiNode: ApiObject, old: ApiObject): FieldError[] {
  return driversOf(old).flatMap((before) => {
    const now = driversOf(csiNode).find(({ name }) => name === before['name']);
    return now === undefined || sameJson(withoutAllocatable(now), withoutAllocatable(before))
      ? []
      : [fieldError.invalid('spec.drivers', now, 'field is immutable')];
  });
}

function withoutAllocatable({ allocatable: _, ...driver }: JsonObject): JsonObject {
  return driver;
}
