/**
 * CSI's Node service: the kubelet's calls become requests to the driver. Each call checks its fields first, in one list, and
 * reports all that is wrong with them at once, because the messages end up in the pod's events.
 *
 * https://github.com/container-storage-interface/spec/blob/master/spec.md#node-service-rpc
 */
import path from 'node:path';
import { status, type UntypedServiceImplementation } from '@grpc/grpc-js';
import { VolumeError } from '../base/errors.ts';
import { readMountFlags } from '../base/selinux.ts';
import type { PodReference } from '../base/volume.ts';
import { isDnsLabel, isDnsSubdomain } from '../declaration/names.ts';
import { createDeclarationReader, describeFaults, parseDeclaration, type Verdict } from '../declaration/sources.ts';
import { isPodUID, parseTargetPath, type TargetPath } from '../mounts/target-path.ts';
import type { Calls } from './calls.ts';
import type { PublishRequest, VolumeDriver } from './driver.ts';
import { createHealthCalls } from './health.ts';
import type { CallSubject } from './refusals.ts';
import { CallError, statusOfOutcome, tentative } from './status.ts';

export interface NodePublishVolumeRequest {
  readonly volume_id: string;
  readonly target_path: string;
  readonly volume_capability: {
    readonly block: object | null;
    readonly mount: { readonly volume_mount_group: string; readonly mount_flags?: readonly string[] } | null;
  } | null;
  readonly readonly: boolean;
  readonly secrets: Readonly<Record<string, string>>;
  readonly volume_context: Readonly<Record<string, string>>;
}

export interface NodeUnpublishVolumeRequest {
  readonly volume_id: string;
  readonly target_path: string;
}

const podName = 'csi.storage.k8s.io/pod.name';
const podNamespace = 'csi.storage.k8s.io/pod.namespace';
const podUID = 'csi.storage.k8s.io/pod.uid';
const serviceAccountName = 'csi.storage.k8s.io/serviceAccount.name';
const handedTokens = 'csi.storage.k8s.io/serviceAccount.tokens';
const ephemeral = 'csi.storage.k8s.io/ephemeral';

/** CSI's limit for identifiers. */
const maxVolumeIdLength = 128;
/** Linux' gid_t without its last value, which means "unchanged". */
const maxGroupId = 0xffff_fffe;

export interface NodeServiceOptions {
  readonly driver: VolumeDriver;
  readonly nodeName: string;
  /** Whether kubelets before 1.37 can ask how volumes are. */
  readonly volumeCondition: boolean;
  readonly calls: Calls;
}

/** The implementation for `csi.v1.Node`; what it does not list answers UNIMPLEMENTED. */
export function createNodeService(options: NodeServiceOptions): UntypedServiceImplementation {
  const { driver, nodeName, volumeCondition, calls } = options;
  const condition = volumeCondition ? ['GET_VOLUME_STATS', 'VOLUME_CONDITION'] : [];
  const capabilities = ['VOLUME_MOUNT_GROUP', 'GET_VOLUME_HEALTH', ...condition].map((type) => ({ rpc: { type } }));
  const readDeclaration = createDeclarationReader();
  return {
    NodePublishVolume: calls.handle(
      'NodePublishVolume',
      async (request: NodePublishVolumeRequest, context) => {
        // Asked first: a volume that is not intact is given up before it is made anew.
        const isRepeated = driver.holds(request.target_path);
        try {
          const outcome = await driver.publish(
            readPublish(request, await readDeclaration(request.volume_context)),
            context.deadline,
            context.signal,
          );
          const failed = statusOfOutcome(outcome);
          if (failed !== undefined) {
            throw new CallError(failed.code, failed.details);
          }
          return {};
        } catch (error) {
          throw isRepeated ? tentative(error) : error;
        }
      },
      subjectOf,
    ),
    NodeUnpublishVolume: calls.handle(
      'NodeUnpublishVolume',
      async (request: NodeUnpublishVolumeRequest) => {
        refuseIf(identityFaults(request));
        await driver.unpublish(request.volume_id, request.target_path);
        return {};
      },
      subjectOf,
    ),
    ...createHealthCalls(driver, calls, volumeCondition),
    NodeGetCapabilities: calls.handle('NodeGetCapabilities', async () => ({ capabilities })),
    NodeGetInfo: calls.handle('NodeGetInfo', async () => ({ node_id: nodeName })),
  };
}

function subjectOf(request: NodePublishVolumeRequest | NodeUnpublishVolumeRequest): CallSubject {
  const { [podNamespace]: namespace, [podName]: pod } = 'volume_context' in request ? request.volume_context : {};
  return {
    targetPath: request.target_path,
    ...(namespace === undefined ? {} : { namespace }),
    ...(pod === undefined ? {} : { pod }),
  };
}

/** What the kubelet adds to a volume's attributes (`podInfoOnMount`). */
export function podInfo({ namespace, name, uid, serviceAccountName: account }: PodReference): Record<string, string> {
  return {
    [podName]: name,
    [podNamespace]: namespace,
    [podUID]: uid,
    [serviceAccountName]: account,
    [ephemeral]: 'true',
  };
}

/**
 * The call as the driver wants it.
 * @param declared what its declaration says
 * @throws CallError InvalidArgument that lists every fault
 */
export function readPublish(
  request: NodePublishVolumeRequest,
  declared: Verdict = parseDeclaration(request.volume_context),
): PublishRequest {
  const context = request.volume_context;
  const pod: PodReference = {
    namespace: context[podNamespace] ?? '',
    name: context[podName] ?? '',
    uid: context[podUID] ?? '',
    serviceAccountName: context[serviceAccountName] ?? '',
  };
  const target = readTarget(request.target_path);
  const group = request.volume_capability?.mount?.volume_mount_group ?? '';
  const flags = readMountFlags(request.volume_capability?.mount?.mount_flags ?? []);
  // From Kubernetes 1.36 on the kubelet puts them where nothing prints them.
  const tokens = request.secrets[handedTokens] ?? context[handedTokens];
  refuseIf([
    ...identityFaults(request),
    request.target_path !== '' && typeof target === 'string' && target,
    capabilityFault(request),
    !request.readonly && 'readonly is not set: write "readOnly: true" beside "driver" in the pod\'s csi volume',
    context[ephemeral] !== 'true' &&
      `${ephemeral} is not "true": use the driver as an inline csi volume of a pod; where it is one, the cluster operator has to ` +
        'put back the chart\'s CSIDriver object ("volumeLifecycleModes: [Ephemeral]", "podInfoOnMount: true")',
    ...podFaults(pod),
    typeof target === 'object' && pod.uid !== '' && target.podUID !== pod.uid && `target_path is not of pod ${pod.uid}`,
    !isGroup(group) && `volume_mount_group must be a numeric group id, not ${JSON.stringify(group.slice(0, 64))}`,
    !flags.ok && `volume_capability.mount.mount_flags ${flags.message}`,
    !declared.ok && describeFaults(declared.faults),
  ]);
  // Everything below was checked above; the compiler does not see that through the list.
  if (typeof target === 'string' || !declared.ok || !flags.ok) {
    throw new CallError(status.INVALID_ARGUMENT, 'the request is invalid');
  }
  return {
    volumeId: request.volume_id,
    targetPath: request.target_path,
    volumeName: target.volumeName,
    pod,
    declaration: declared.declaration,
    ...(group === '' ? {} : { mountGroup: Number(group) }),
    ...(flags.context === undefined ? {} : { seLinuxContext: flags.context }),
    ...(tokens === undefined ? {} : { tokens: () => tokens }),
  };
}

function refuseIf(faults: readonly (string | false)[]): void {
  const found = faults.filter((fault) => fault !== false);
  if (found.length > 0) {
    throw new CallError(status.INVALID_ARGUMENT, found.join('; '));
  }
}

function identityFaults(request: NodeUnpublishVolumeRequest): readonly (string | false)[] {
  return [
    request.volume_id === '' && 'volume_id is missing',
    (request.volume_id.length > maxVolumeIdLength || /[^\w.-]/.test(request.volume_id)) &&
      `volume_id must be at most ${maxVolumeIdLength} letters, digits, ".", "_" and "-"`,
    request.target_path === '' && 'target_path is missing',
  ];
}

function capabilityFault({ volume_capability: capability }: NodePublishVolumeRequest): string | false {
  if (capability === null) {
    return 'volume_capability is missing';
  }
  // What is not set of a oneof is null in a message that was made here, and undefined in one that was decoded.
  if (capability.block != null) {
    return 'volume_capability must be mount: the volume holds files';
  }
  return capability.mount == null && 'volume_capability must be mount';
}

function podFaults(pod: PodReference): readonly (string | false)[] {
  if (pod.name === '' || pod.namespace === '' || pod.uid === '' || pod.serviceAccountName === '') {
    return [
      'the pod is not named: the cluster operator has to put back the chart\'s CSIDriver object ("podInfoOnMount: true")',
    ];
  }
  return [
    !isDnsLabel(pod.namespace) && `${podNamespace} is not a namespace's name`,
    !isDnsSubdomain(pod.name) && `${podName} is not a pod's name`,
    !isPodUID(pod.uid) && `${podUID} is not a pod's UID`,
    !isDnsSubdomain(pod.serviceAccountName) && `${serviceAccountName} is not a service account's name`,
  ];
}

/** What the path says, whatever the kubelet's root; the volume store compares that. Or what is wrong with it. */
function readTarget(targetPath: string): TargetPath | string {
  const root = targetPath.split('/').slice(0, -6).join('/');
  if (!path.isAbsolute(targetPath) || path.normalize(targetPath) !== targetPath) {
    return 'target_path must be an absolute path without ".", ".." or doubled slashes';
  }
  try {
    return parseTargetPath(root, targetPath);
  } catch (error) {
    if (error instanceof VolumeError) {
      return error.message;
    }
    throw error;
  }
}

function isGroup(text: string): boolean {
  return text === '' || (/^\d{1,10}$/.test(text) && Number(text) <= maxGroupId);
}
