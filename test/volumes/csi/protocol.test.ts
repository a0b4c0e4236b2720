/**
 * The bytes that travel. Server and client of all other tests have the same descriptors, so a field with another number would go
 * unseen there: here each message is put together by hand, with the numbers of the published contracts.
 *
 * https://github.com/container-storage-interface/spec/blob/master/csi.proto
 * https://github.com/kubernetes/kubelet/blob/master/pkg/apis/pluginregistration/v1/api.proto
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ServiceDefinition } from '@grpc/grpc-js';
import { identityService, nodeService, registrationService } from '../../../volumes/csi/protocol.ts';

/** A field that holds text or a message. */
function field(id: number, ...value: readonly (string | Buffer)[]): Buffer {
  const bytes = Buffer.concat(value.map((part) => (typeof part === 'string' ? Buffer.from(part) : part)));
  assert.ok(id < 16 && bytes.length < 128, 'number and length are one byte each');
  return Buffer.concat([Buffer.from([id * 8 + 2, bytes.length]), bytes]);
}

/** A field that holds a number, or 1 for true. */
function number(id: number, value: number): Buffer {
  assert.ok(id < 16 && value < 128, 'number and value are one byte each');
  return Buffer.from([id * 8, value]);
}

const entry = (id: number, key: string, value: string): Buffer => field(id, field(1, key), field(2, value));

interface Exchange {
  readonly request: readonly [value: object, ...bytes: readonly Buffer[]];
  readonly response: readonly [value: object, ...bytes: readonly Buffer[]];
}

const nothing: readonly [object] = [{}];
const none: Exchange = { request: nothing, response: nothing };
const ofVolume = (pathField: string): Exchange['request'] => [
  { volume_id: 'csi-1', [pathField]: '/target' },
  field(1, 'csi-1'),
  field(2, '/target'),
];

const identity: Readonly<Record<string, Exchange>> = {
  GetPluginInfo: {
    request: nothing,
    response: [
      { name: 'csi.test', vendor_version: '1.2.3', manifest: { key: 'value' } },
      ...[field(1, 'csi.test'), field(2, '1.2.3'), entry(3, 'key', 'value')],
    ],
  },
  GetPluginCapabilities: none,
  Probe: { request: nothing, response: [{ ready: { value: true } }, field(1, number(1, 1))] },
};

const node: Readonly<Record<string, Exchange>> = {
  NodePublishVolume: {
    request: [
      {
        volume_id: 'csi-1',
        target_path: '/target',
        volume_capability: {
          mount: { fs_type: 'ext4', mount_flags: ['ro', 'context=x'], volume_mount_group: '2000' },
          access_mode: { mode: 1 },
        },
        readonly: true,
        secrets: { password: 'hidden' },
        volume_context: { sources: '[]', more: '1' },
      },
      field(1, 'csi-1'),
      field(4, '/target'),
      field(
        5,
        field(2, field(1, 'ext4'), field(2, 'ro'), field(2, 'context=x'), field(3, '2000')),
        field(3, number(1, 1)),
      ),
      ...[number(6, 1), entry(7, 'password', 'hidden'), entry(8, 'sources', '[]'), entry(8, 'more', '1')],
    ],
    response: nothing,
  },
  NodeUnpublishVolume: { request: ofVolume('target_path'), response: nothing },
  NodeGetCapabilities: {
    request: nothing,
    response: [
      {
        capabilities: [
          { rpc: { type: 'GET_VOLUME_STATS' } },
          { rpc: { type: 'VOLUME_CONDITION' } },
          { rpc: { type: 'VOLUME_MOUNT_GROUP' } },
          { rpc: { type: 'GET_VOLUME_HEALTH' } },
        ],
      },
      ...[2, 4, 6, 7].map((capability) => field(1, field(1, number(1, capability)))),
    ],
  },
  NodeGetInfo: {
    request: nothing,
    response: [{ node_id: 'node-1', max_volumes_per_node: 9 }, field(1, 'node-1'), number(2, 9)],
  },
  NodeGetVolumeHealth: {
    request: ofVolume('volume_publish_path'),
    response: [
      {
        volume_health: {
          volume_id: 'csi-1',
          health_statuses: ['DEGRADED', 'INACCESSIBLE', 'DATA_LOSS'].map((status) => ({
            status,
            reason: 'Why',
            message: 'what happened',
          })),
        },
      },
      field(
        1,
        field(1, 'csi-1'),
        ...[1, 2, 3].map((status) => field(2, number(1, status), field(2, 'Why'), field(3, 'what happened'))),
      ),
    ],
  },
  NodeGetVolumeStats: {
    request: ofVolume('volume_path'),
    response: [
      {
        usage: [
          { available: 3, total: 5, used: 2, unit: 'BYTES' },
          { available: 4, total: 6, used: 1, unit: 'INODES' },
        ],
        volume_condition: { abnormal: true, message: 'expired' },
      },
      field(1, number(1, 3), number(2, 5), number(3, 2), number(4, 1)),
      field(1, number(1, 4), number(2, 6), number(3, 1), number(4, 2)),
      field(2, number(1, 1), field(2, 'expired')),
    ],
  },
  NodeStageVolume: none,
  NodeUnstageVolume: none,
  NodeExpandVolume: none,
};

const registration: Readonly<Record<string, Exchange>> = {
  GetInfo: {
    request: nothing,
    response: [
      { type: 'CSIPlugin', name: 'csi.test', endpoint: '/csi.sock', supported_versions: ['1.0.0', '1.1.0'] },
      ...[field(1, 'CSIPlugin'), field(2, 'csi.test'), field(3, '/csi.sock'), field(4, '1.0.0'), field(4, '1.1.0')],
    ],
  },
  NotifyRegistrationStatus: {
    request: [{ plugin_registered: true, error: 'name taken' }, number(1, 1), field(2, 'name taken')],
    response: nothing,
  },
};

for (const [name, service, exchanges] of [
  ['csi.v1.Identity', identityService, identity],
  ['csi.v1.Node', nodeService, node],
  ['pluginregistration.Registration', registrationService, registration],
] as const satisfies readonly (readonly [string, ServiceDefinition, Readonly<Record<string, Exchange>>])[]) {
  test(`${name} has the paths and the bytes of its contract`, () => {
    assert.deepEqual(Object.keys(service).sort(), Object.keys(exchanges).sort());
    for (const [method, { request, response }] of Object.entries(exchanges)) {
      const definition = service[method];
      assert.ok(definition !== undefined, method);
      assert.equal(definition.path, `/${name}/${method}`);
      const { requestSerialize, requestDeserialize, responseSerialize, responseDeserialize } = definition;
      for (const [[value, ...parts], write, read] of [
        [request, requestSerialize, requestDeserialize],
        [response, responseSerialize, responseDeserialize],
      ] as const) {
        const bytes = Buffer.concat(parts);
        assert.deepEqual(write(value), bytes, method);
        assert.deepEqual(read(bytes), value, method);
      }
    }
  });
}

test('what a kubelet leaves out reads as its default, and what it has beyond that is passed over', () => {
  const read = nodeService['NodePublishVolume']?.requestDeserialize;
  assert.ok(read !== undefined, 'the service has the method');
  const absent = {
    volume_id: '',
    target_path: '',
    volume_capability: null,
    readonly: false,
    secrets: {},
    volume_context: {},
  };
  assert.deepEqual(read(Buffer.alloc(0)), absent);
  // The publish context and the staging path, which are for drivers with a controller.
  assert.deepEqual(read(Buffer.concat([entry(2, 'key', 'value'), field(3, '/staged')])), absent);
  const mount = { fs_type: '', mount_flags: [], volume_mount_group: '' };
  assert.deepEqual(read(field(5, field(2))), { ...absent, volume_capability: { mount, access_mode: null } });
  assert.deepEqual(read(field(5, field(1))), { ...absent, volume_capability: { block: {}, access_mode: null } });
});
