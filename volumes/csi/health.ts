/**
 * How a volume is, told to the kubelet in the two ways that CSI has had for it: a call of its own (from 1.13 on), and a
 * condition beside the usage of its file system (1.3 to 1.12), which kubelets ask for every minute or two, for each volume,
 * once a driver says that it has it. Both are alpha, and kubelets heed them with the feature gate CSIVolumeHealth.
 *
 * https://github.com/container-storage-interface/spec/blob/master/spec.md#nodegetvolumehealth
 */
import { statfs } from 'node:fs/promises';
import path from 'node:path';
import { status, type UntypedServiceImplementation } from '@grpc/grpc-js';
import type { Calls } from './calls.ts';
import type { VolumeDriver, VolumeFinding } from './driver.ts';
import { CallError } from './status.ts';

interface HealthRequest {
  readonly volume_id: string;
  readonly volume_publish_path: string;
}

interface StatsRequest {
  readonly volume_id: string;
  readonly volume_path: string;
}

/** The calls for it. @param condition whether the older way is offered */
export function createHealthCalls(
  driver: VolumeDriver,
  calls: Calls,
  condition: boolean,
): UntypedServiceImplementation {
  const health = {
    NodeGetVolumeHealth: calls.handle('NodeGetVolumeHealth', async (request: HealthRequest) => {
      const { volume_id, volume_publish_path: target } = request;
      const findings = findingsFor(driver, volume_id, target === '' ? undefined : target);
      // The volume can be read, whatever is in it: none of this is INACCESSIBLE.
      const health_statuses = findings.map(({ reason, message }) => ({ status: 'DEGRADED', reason, message }));
      return { volume_health: { volume_id, health_statuses } };
    }),
  };
  if (!condition) {
    return health;
  }
  return {
    ...health,
    NodeGetVolumeStats: calls.handle('NodeGetVolumeStats', async (request: StatsRequest) => {
      const { volume_id, volume_path: target } = request;
      if (target === '') {
        throw new CallError(status.INVALID_ARGUMENT, 'volume_path is missing');
      }
      const findings = findingsFor(driver, volume_id, target);
      const message = findings.map((finding) => `${finding.reason}: ${finding.message}`).join('; ');
      return { usage: await usageOf(target), volume_condition: { abnormal: findings.length > 0, message } };
    }),
  };
}

/** @throws CallError NotFound for what is no volume of this driver */
function findingsFor(driver: VolumeDriver, volumeId: string, target: string | undefined): readonly VolumeFinding[] {
  if (volumeId === '') {
    throw new CallError(status.INVALID_ARGUMENT, 'volume_id is missing');
  }
  if (target !== undefined && (!path.isAbsolute(target) || path.normalize(target) !== target)) {
    throw new CallError(
      status.INVALID_ARGUMENT,
      'the path must be an absolute path without ".", ".." or doubled slashes',
    );
  }
  const findings = driver.health(volumeId, target);
  if (findings === undefined) {
    const where = target === undefined ? '' : ` at ${target}`;
    throw new CallError(status.NOT_FOUND, `there is no volume ${volumeId}${where}`);
  }
  return findings;
}

/** Of a path that is known to be a volume. */
async function usageOf(target: string): Promise<readonly object[]> {
  const { bsize, blocks, bfree, bavail, files, ffree } = await statfs(target);
  return [
    { unit: 'BYTES', total: blocks * bsize, available: bavail * bsize, used: (blocks - bfree) * bsize },
    { unit: 'INODES', total: files, available: ffree, used: files - ffree },
  ];
}
