/**
 * The messages and services that a node driver exchanges with the kubelet, as protobuf descriptors: the part of CSI that this
 * driver serves, and the kubelet's plugin registration. Field numbers are the contract; fields that are not read are
 * left out, and protobuf skips them. Descriptors in code need no file beside the program, so they survive bundling.
 *
 * https://github.com/container-storage-interface/spec/blob/master/spec.md
 * https://kubernetes.io/docs/concepts/extend-kubernetes/compute-storage-net/device-plugins/#device-plugin-registration
 */
import type { ServiceDefinition } from '@grpc/grpc-js';
import { fromJSON } from '@grpc/proto-loader';

type Namespace = Parameters<typeof fromJSON>[0];
type Nested = NonNullable<Namespace['nested']>;
type Field = readonly [type: string, id: number, more?: { readonly rule?: 'repeated'; readonly keyType?: string }];

function message(fields: Readonly<Record<string, Field>>, more: object = {}): Nested[string] {
  const entries = Object.entries(fields).map(([name, [type, id, rest]]) => [name, { type, id, ...rest }]);
  return { fields: Object.fromEntries(entries), ...more };
}

/** A service from its methods' names, each with the types of its request and response. */
function service(methods: Readonly<Record<string, readonly [request: string, response: string]>>): Nested[string] {
  const entries = Object.entries(methods).map(([name, [requestType, responseType]]) => [
    name,
    { requestType, responseType },
  ]);
  return { methods: Object.fromEntries(entries) };
}

/** A service whose methods follow CSI's naming: `Probe` takes a ProbeRequest and answers a ProbeResponse. */
function csiService(names: readonly string[]): Nested[string] {
  return service(Object.fromEntries(names.map((name) => [name, [`${name}Request`, `${name}Response`]])));
}

const repeated = { rule: 'repeated' } as const;
const stringMap = { keyType: 'string' } as const;
/** Calls that this driver does not serve need a name to be answered with UNIMPLEMENTED, and no fields. */
const unserved = ['NodeStageVolume', 'NodeUnstageVolume', 'NodeExpandVolume'] as const;
const emptyMessages = unserved.flatMap((name) => [`${name}Request`, `${name}Response`]);

/** VOLUME_CONDITION is not in CSI any more from 1.13 on; its number stays reserved. */
const capabilities = {
  UNKNOWN: 0,
  GET_VOLUME_STATS: 2,
  VOLUME_CONDITION: 4,
  VOLUME_MOUNT_GROUP: 6,
  GET_VOLUME_HEALTH: 7,
};

const csi: Nested = {
  Identity: csiService(['GetPluginInfo', 'GetPluginCapabilities', 'Probe']),
  Node: csiService([
    ...['NodePublishVolume', 'NodeUnpublishVolume', 'NodeGetCapabilities', 'NodeGetInfo'],
    ...['NodeGetVolumeHealth', 'NodeGetVolumeStats', ...unserved],
  ]),

  GetPluginInfoRequest: message({}),
  GetPluginInfoResponse: message({
    name: ['string', 1],
    vendor_version: ['string', 2],
    manifest: ['string', 3, stringMap],
  }),
  GetPluginCapabilitiesRequest: message({}),
  GetPluginCapabilitiesResponse: message({}),
  ProbeRequest: message({}),
  ProbeResponse: message({ ready: ['google.protobuf.BoolValue', 1] }),

  VolumeCapability: message(
    { block: ['BlockVolume', 1], mount: ['MountVolume', 2], access_mode: ['AccessMode', 3] },
    {
      oneofs: { access_type: { oneof: ['block', 'mount'] } },
      nested: {
        BlockVolume: message({}),
        MountVolume: message({
          fs_type: ['string', 1],
          mount_flags: ['string', 2, repeated],
          volume_mount_group: ['string', 3],
        }),
        AccessMode: message({ mode: ['int32', 1] }),
      },
    },
  ),
  NodePublishVolumeRequest: message({
    volume_id: ['string', 1],
    target_path: ['string', 4],
    volume_capability: ['VolumeCapability', 5],
    readonly: ['bool', 6],
    secrets: ['string', 7, stringMap],
    volume_context: ['string', 8, stringMap],
  }),
  NodePublishVolumeResponse: message({}),
  NodeUnpublishVolumeRequest: message({ volume_id: ['string', 1], target_path: ['string', 2] }),
  NodeUnpublishVolumeResponse: message({}),
  NodeGetCapabilitiesRequest: message({}),
  NodeGetCapabilitiesResponse: message({ capabilities: ['NodeServiceCapability', 1, repeated] }),
  NodeServiceCapability: message(
    { rpc: ['RPC', 1] },
    { nested: { RPC: message({ type: ['Type', 1] }, { nested: { Type: { values: capabilities } } }) } },
  ),
  NodeGetVolumeHealthRequest: message({ volume_id: ['string', 1], volume_publish_path: ['string', 2] }),
  NodeGetVolumeHealthResponse: message({ volume_health: ['VolumeHealth', 1] }),
  VolumeHealth: message(
    { volume_id: ['string', 1], health_statuses: ['VolumeHealthEntry', 2, repeated] },
    {
      nested: {
        VolumeHealthEntry: message({
          status: ['VolumeHealthErrorType', 1],
          reason: ['string', 2],
          message: ['string', 3],
        }),
      },
    },
  ),
  VolumeHealthErrorType: { values: { UNKNOWN_VOLUME_HEALTH_TYPE: 0, DEGRADED: 1, INACCESSIBLE: 2, DATA_LOSS: 3 } },
  NodeGetVolumeStatsRequest: message({ volume_id: ['string', 1], volume_path: ['string', 2] }),
  NodeGetVolumeStatsResponse: message({
    usage: ['VolumeUsage', 1, repeated],
    volume_condition: ['VolumeCondition', 2],
  }),
  VolumeUsage: message(
    { available: ['int64', 1], total: ['int64', 2], used: ['int64', 3], unit: ['Unit', 4] },
    { nested: { Unit: { values: { UNKNOWN: 0, BYTES: 1, INODES: 2 } } } },
  ),
  VolumeCondition: message({ abnormal: ['bool', 1], message: ['string', 2] }),
  NodeGetInfoRequest: message({}),
  NodeGetInfoResponse: message({ node_id: ['string', 1], max_volumes_per_node: ['int64', 2] }),
  ...Object.fromEntries(emptyMessages.map((name) => [name, message({})])),
};

const pluginregistration: Nested = {
  Registration: service({
    GetInfo: ['InfoRequest', 'PluginInfo'],
    NotifyRegistrationStatus: ['RegistrationStatus', 'RegistrationStatusResponse'],
  }),
  InfoRequest: message({}),
  PluginInfo: message({
    type: ['string', 1],
    name: ['string', 2],
    endpoint: ['string', 3],
    supported_versions: ['string', 4, repeated],
  }),
  RegistrationStatus: message({ plugin_registered: ['bool', 1], error: ['string', 2] }),
  RegistrationStatusResponse: message({}),
};

const options = { enums: String, longs: Number, defaults: true };
const definitions = fromJSON(
  {
    nested: {
      csi: { nested: { v1: { nested: csi } } },
      pluginregistration: { nested: pluginregistration },
      google: { nested: { protobuf: { nested: { BoolValue: message({ value: ['bool', 1] }) } } } },
    },
  },
  options,
);

/**
 * The services, for servers and clients. Field names are as on the wire; absent fields read as their defaults, absent
 * messages as null.
 */
export const identityService = definitions['csi.v1.Identity'] as ServiceDefinition;
export const nodeService = definitions['csi.v1.Node'] as ServiceDefinition;
export const registrationService = definitions['pluginregistration.Registration'] as ServiceDefinition;
