/**
 * Keeps the files of all volumes within what the node can give, and those of each pod within its share.
 *
 * What counts is what is used, as the kernel says, and what has been set aside for a write that is under way: a new set of
 * files lies beside the old one, which stays until the next change. Of the volumes of other pods it counts what was seen after their last
 * change of files, as long as that leaves no doubt: asking about all of them at each change would cost the more the more there are.
 *
 * A privileged container can make its volume larger and fill it. Its own pod answers for all of that; to the node's sum it adds no more
 * than the agent may have written there, since what a container writes counts in the container's own memory.
 */
import fs from 'node:fs';
import os from 'node:os';
import { VolumeError } from '../base/errors.ts';
import { maxEntryBytes, maxMemoryBytes, maxPodParts, maxProcessBytes, maxSmallBytes, maxSmallParts } from './limits.ts';

export interface Budget {
  /**
   * From now on the volume counts.
   * @param unaskedBytes what may be written into it without a reservation at any time, at most
   * @param firstBytes how large it is made, for what is written before the first reservation
   */
  add(targetPath: string, podUID: string, unaskedBytes: number, firstBytes: number): void;
  forget(targetPath: string): void;
  /**
   * Sets so many bytes aside, beyond what the volume uses now.
   * @throws VolumeError OverShare or NoSpace that names the limit
   */
  reserve(targetPath: string, bytes: number): Reservation;
}

/** Memory that is set aside. */
export interface Reservation {
  /** How large the volume has to be for it, and how large it is. */
  readonly sizeBytes: number;
  readonly haveBytes: number;
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

/** A volume that counts. */
interface Counted {
  podUID: string;
  unaskedBytes: number;
  firstBytes: number;
  /** Bytes that it uses once its write is done; 0 while nothing is written. */
  reserved: number;
  /** Bytes that the agent has reserved for it, as far as they were seen to be used afterwards. */
  granted: number;
  /** Bytes of memory that it was seen to use last. */
  used: number;
  /** Bytes of files that it was seen to hold last, and those that it could hold. */
  held: number;
  size: number;
}

/** What the kernel says of a volume. */
type Seen = Pick<Counted, 'used' | 'held' | 'size'>;

export function createBudget({ node, pod }: Shares): Budget {
  const volumes = new Map<string, Counted>();

  const sum = (bytesOf: (volume: Counted) => number): number => {
    let bytes = 0;
    for (const volume of volumes.values()) {
      bytes += bytesOf(volume);
    }
    return bytes;
  };

  const measure = (accept: (volume: Counted) => boolean): void => {
    for (const [path, volume] of volumes) {
      if (accept(volume)) {
        Object.assign(volume, look(path));
      }
    }
  };

  /** All volumes are looked at only where what they were seen to use last leaves it open whether there is room. */
  const takenOfNode = (bytes: number, limit: number): number => {
    if (sum(ownOf) + sum(({ unaskedBytes }) => unaskedBytes) + bytes > limit) {
      measure(() => true);
    }
    return sum(ownOf);
  };

  /**
   * Who has written what lies in a volume of an earlier run of the agent is not known. It counts as the agent's own: else files that are
   * its own would be forgotten, and their memory given away twice. But over all volumes of a pod that is no more than one pod may have: the
   * agent has written no more there, and any other pod may take as much.
   */
  const foundIn = (podUID: string, { used }: Seen): number => {
    const others = sum((volume) => (volume.podUID === podUID ? volume.granted : 0));
    return Math.min(used, Math.max(0, pod - others));
  };

  return {
    add(targetPath, podUID, unaskedBytes, firstBytes) {
      const told = { podUID, unaskedBytes, firstBytes };
      const known = volumes.get(targetPath);
      if (known !== undefined) {
        // The same: a reservation that is under way ends with it.
        Object.assign(known, told);
        return;
      }
      const seen = look(targetPath);
      volumes.set(targetPath, { ...told, reserved: 0, granted: foundIn(podUID, seen), ...seen });
    },
    forget(targetPath) {
      volumes.delete(targetPath);
    },
    reserve(targetPath, bytes) {
      const volume = volumes.get(targetPath);
      if (volume === undefined) {
        throw new VolumeError('Gone', `the volume at ${targetPath} is not there any more`);
      }
      measure(({ podUID }) => podUID === volume.podUID);
      const ofPod = sum((other) => (other.podUID === volume.podUID ? takenOf(other) : 0)) + bytes;
      // What is small may take the last of it.
      const limit = bytes > maxSmallBytes ? node - Math.floor(node / maxSmallParts) : node;
      const ofNode = takenOfNode(bytes, limit) + bytes;
      if (ofPod > pod) {
        const have = `the files of the pod's volumes would take ${mebibytes(ofPod)} of memory while they are exchanged`;
        const mend = 'its author has to project fewer or smaller trust bundles';
        throw new VolumeError('OverShare', `${have}, more than the ${mebibytes(pod)} that one pod may have: ${mend}`);
      }
      if (ofNode > limit) {
        const have = `the files of all volumes of the node would take ${mebibytes(ofNode)} of memory`;
        const kept = limit < node ? ` beside the ${mebibytes(node - limit)} that are kept for certificates` : '';
        const more = `more than the ${mebibytes(limit)} that the agent's memory limit leaves for them${kept}`;
        throw new VolumeError('NoSpace', `${have}, ${more}: the cluster operator has to raise it`);
      }
      volume.reserved = volume.used + bytes;
      volume.granted += bytes;
      return {
        sizeBytes: volume.held + bytes,
        haveBytes: volume.size,
        release() {
          volume.reserved = 0;
          Object.assign(volume, look(targetPath));
          volume.granted = Math.min(volume.granted, volume.used);
        },
      };
    },
  };
}

function takenOf({ used, reserved }: Counted): number {
  return Math.max(used, reserved);
}

/** As much of it as the agent may have written. */
function ownOf(volume: Counted): number {
  return Math.min(takenOf(volume), volume.firstBytes + volume.granted);
}

/** What a volume takes of the node's memory; nothing when it is gone. */
function look(targetPath: string): Seen {
  try {
    const { blocks, bfree, bsize, files, ffree } = fs.statfsSync(targetPath);
    const held = (blocks - bfree) * bsize;
    return { used: held + (files - ffree) * maxEntryBytes, held, size: blocks * bsize };
  } catch {
    return { used: 0, held: 0, size: 0 };
  }
}

function mebibytes(bytes: number): string {
  return `${Math.ceil((bytes / 1024 / 1024) * 10) / 10} MiB`;
}
