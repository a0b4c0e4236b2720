/**
 * A node's taints, and its CSINode object.
 */
import type { ApiObject, JsonObject } from '../../../../sandbox/base/objects.ts';
import { bad, good, refused } from './answers.ts';
import type { Expected, RuleCase, UserName } from './case.ts';

const csiNodes = 'csinodes.storage.k8s.io';
const driver = { name: 'csi.example.com', nodeID: 'node-a' };
const taint = { key: 'example.com/new', effect: 'NoSchedule' };

function node(taints: readonly JsonObject[]): ApiObject {
  return { apiVersion: 'v1', kind: 'Node', metadata: { name: 'node-new' }, spec: { taints: [...taints] } };
}

function csiNode(drivers: readonly JsonObject[], name = 'node-a'): ApiObject {
  return { apiVersion: 'storage.k8s.io/v1', kind: 'CSINode', metadata: { name }, spec: { drivers: [...drivers] } };
}

function made(name: string, user: UserName, resource: string, body: ApiObject, expected: Expected): RuleCase {
  return { name, user, request: () => ({ verb: 'create', resource, version: 'v1', body }), expected };
}

function changed(name: string, before: readonly JsonObject[], after: readonly JsonObject[], expected: Expected) {
  const target = { verb: 'update', resource: csiNodes, version: 'v1', name: 'node-a' } as const;
  return {
    name,
    user: 'node-a' as const,
    request: () => ({ ...target, before: csiNode(before), body: csiNode(after) }),
    expected,
  };
}

export const nodeObjectCases: readonly RuleCase[] = [
  made('takes one taint with two effects', 'admin', 'nodes', node([taint, { ...taint, effect: 'NoExecute' }]), good),
  made(
    'refuses a taint that is there twice, and one with a bad key and no effect',
    'admin',
    'nodes',
    node([taint, taint, { key: 'a b', effect: 'Never' }]),
    bad(
      'metadata.taints[1] FieldValueDuplicate',
      'metadata.taints[2].key FieldValueInvalid',
      'metadata.taints[2].effect FieldValueNotSupported',
    ),
  ),
  made('lets a node make its own CSINode', 'node-a', csiNodes, csiNode([driver]), good),
  made(
    'refuses a driver that does not know the node, and two of one name',
    'node-a',
    csiNodes,
    csiNode([driver, { name: 'csi.example.com', nodeID: '' }]),
    bad('spec.drivers[1].nodeID FieldValueRequired', 'spec.drivers[1].name FieldValueDuplicate'),
  ),
  {
    name: 'does not let a node read the CSINode of another',
    user: 'node-a',
    request: () => ({ verb: 'get', resource: csiNodes, version: 'v1', name: 'node-b' }),
    expected: refused('can only access CSINode with the same name as the requesting node'),
  },
  changed('lets a node take a driver out and put it in', [driver], [{ ...driver, name: 'other.example.com' }], good),
  changed(
    'refuses a driver that is changed in place',
    [driver],
    [{ ...driver, nodeID: 'another' }],
    bad('spec.drivers FieldValueInvalid'),
  ),
];
