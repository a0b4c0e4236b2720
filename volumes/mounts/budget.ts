/**
 * Keeps the files of all volumes within what the node can give, and those of each pod within its share.
 *
 * What counts is what is used, as the kernel says at the moment, and what has been set aside for a write that is under way: a new set of
 * files lies beside the old one, which stays until the next change.
 */
import fs from 'node:fs';
import os from 'node:os';
import { VolumeError } from '../base/errors.ts';
import { maxEntryBytes, maxMemoryBytes, maxPodParts, maxProcessBytes } from './limits.ts';

export interface Budget {
  /** From now on the volume counts. */
  add(targetPath: string, podUID: string): void;
  forget(targetPath: string): void;
  /**
   * Sets so many bytes aside, beyond what the volume uses now.
   * @throws VolumeError OverShare or NoSpace that names the limit
   */
  reserve(targetPath: string, bytes: number): Reservation;
}

/** Memory that is set aside. */
export interface Reservation {
  /** How large the volume has to be for it. */
  readonly sizeBytes: number;
  /** Ends the setting aside. */
  release(): void;
}

/** Bytes for the files of all volumes, and for those of one pod. */
export interface Shares {
  readonly node: number;
  readonly pod: number;
}

/** @param limit of the container's memory, bytes; 0 or more than the machine has: none */
export function sharesOf(limit: number): Shares {
  const total = limit > 0 && limit < os.totalmem() ? limit : maxMemoryBytes;
  const node = Math.max(total - maxProcessBytes, Math.floor(total / 4));
  return { node, pod: Math.floor(node / maxPodParts) };
}

export function createBudget({ node, pod }: Shares): Budget {
  const volumes = new Map<string, { readonly podUID: string; reserved: number }>();

  return {
    add(targetPath, podUID) {
      volumes.set(targetPath, { podUID, reserved: volumes.get(targetPath)?.reserved ?? 0 });
    },
    forget(targetPath) {
      volumes.delete(targetPath);
    },
    reserve(targetPath, bytes) {
      const volume = volumes.get(targetPath);
      if (volume === undefined) {
        throw new VolumeError('Gone', `the volume at ${targetPath} is not there any more`);
      }
      let ofNode = bytes;
      let ofPod = bytes;
      for (const [path, { podUID, reserved }] of volumes) {
        const taken = Math.max(usedBytes(path), reserved);
        ofNode += taken;
        ofPod += podUID === volume.podUID ? taken : 0;
      }
      if (ofPod > pod) {
        const have = `the files of the pod's volumes would take ${mebibytes(ofPod)} of memory while they are exchanged`;
        const mend = 'its author has to project fewer or smaller trust bundles';
        throw new VolumeError('OverShare', `${have}, more than the ${mebibytes(pod)} that one pod may have: ${mend}`);
      }
      if (ofNode > node) {
        const have = `the files of all volumes of the node would take ${mebibytes(ofNode)} of memory`;
        const limit = `more than the ${mebibytes(node)} that the agent's memory limit leaves for them`;
        throw new VolumeError('NoSpace', `${have}, ${limit}: the cluster operator has to raise it`);
      }
      volume.reserved = usedBytes(targetPath) + bytes;
      const { blocks, bfree, bsize } = fs.statfsSync(targetPath);
      const sizeBytes = (blocks - bfree) * bsize + bytes;
      return {
        sizeBytes,
        release() {
          volume.reserved = 0;
        },
      };
    },
  };
}

/** What a volume takes of the node's memory; nothing when it is gone. */
function usedBytes(targetPath: string): number {
  try {
    const { blocks, bfree, bsize, files, ffree } = fs.statfsSync(targetPath);
    return (blocks - bfree) * bsize + (files - ffree) * maxEntryBytes;
  } catch {
    return 0;
  }
}

function mebibytes(bytes: number): string {
  return `${Math.ceil((bytes / 1024 / 1024) * 10) / 10} MiB`;
}
