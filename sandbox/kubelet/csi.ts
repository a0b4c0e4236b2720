/**
 * The kubelet's calls to a CSI driver, and what it reads from the code of an error.
 *
 * https://github.com/container-storage-interface/spec/blob/master/spec.md#nodepublishvolume
 */
import { status } from '@grpc/grpc-js';
import { nodeService } from '../../volumes/csi/protocol.ts';
import { type CallResult, callUnary } from './grpc.ts';
import type { CsiDriver, CsiResult, PublishRequest } from './surroundings.ts';

export interface CsiDriverOptions {
  readonly driverName: string;
  /** The driver's socket now; undefined while it is not registered. */
  readonly endpoint: () => string | undefined;
  /** Default: the kubelet's two minutes. */
  readonly deadlineMs?: number | undefined;
}

const kubeletDeadlineMs = 120_000;
/** SINGLE_NODE_WRITER: what the kubelet says for every inline volume. */
const accessMode = 1;

/** Codes after which the call may have had an effect; every other code is final. */
const uncertainCodes: ReadonlySet<status> = new Set([
  status.CANCELLED,
  status.DEADLINE_EXCEEDED,
  status.UNAVAILABLE,
  status.RESOURCE_EXHAUSTED,
  status.ABORTED,
]);

export function createCsiDriver(options: CsiDriverOptions): CsiDriver {
  const { driverName, endpoint, deadlineMs = kubeletDeadlineMs } = options;

  const callNode = async (method: string, request: object, signal: AbortSignal): Promise<CallResult> => {
    const socket = endpoint();
    if (socket === undefined) {
      const message = `driver name ${driverName} not found in the list of registered CSI drivers`;
      return { type: 'error', code: status.NOT_FOUND, message };
    }
    return await callUnary(nodeService, method, request, { socket, deadlineMs, signal });
  };

  /** The pod's fsGroup, for a driver that says that it sees to the group itself. */
  const mountGroup = async (fsGroup: number | undefined, signal: AbortSignal): Promise<CallResult | string> => {
    if (fsGroup === undefined) {
      return '';
    }
    const result = await callNode('NodeGetCapabilities', {}, signal);
    if (result.type === 'error') {
      return result;
    }
    return JSON.stringify(result.reply).includes('"VOLUME_MOUNT_GROUP"') ? String(fsGroup) : '';
  };

  return {
    publish: async (request, signal) => {
      const group = await mountGroup(request.fsGroup, signal);
      if (typeof group !== 'string') {
        return outcomeOf(group);
      }
      return outcomeOf(await callNode('NodePublishVolume', publishMessage(request, group), signal));
    },
    unpublish: async (volumeId, targetPath, signal) => {
      const message = { volume_id: volumeId, target_path: targetPath };
      return outcomeOf(await callNode('NodeUnpublishVolume', message, signal));
    },
  };
}

function publishMessage(request: PublishRequest, volumeMountGroup: string): object {
  return {
    volume_id: request.volumeId,
    target_path: request.targetPath,
    volume_capability: {
      mount: { fs_type: '', mount_flags: [], volume_mount_group: volumeMountGroup },
      access_mode: { mode: accessMode },
    },
    readonly: request.readOnly,
    volume_context: request.volumeContext,
    secrets: request.secrets ?? {},
  };
}

function outcomeOf(result: CallResult): CsiResult {
  if (result.type === 'reply') {
    return { type: 'done' };
  }
  return { type: 'error', final: !uncertainCodes.has(result.code), message: result.message };
}
