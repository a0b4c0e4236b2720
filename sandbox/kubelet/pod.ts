/**
 * The parts of a pod that the sandbox's kubelet reads, and the places of its volumes below the kubelet's root.
 *
 * https://kubernetes.io/docs/concepts/storage/ephemeral-volumes/#csi-ephemeral-volumes
 */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { Container, KubernetesObject } from '../../agent/kubernetes/objects.ts';

export interface CsiVolumeSource {
  readonly driver: string;
  readonly readOnly?: boolean;
  readonly volumeAttributes?: Readonly<Record<string, string>>;
}

/** A pod with the fields that the agent does not need and a kubelet does. */
export interface BoundPod extends KubernetesObject {
  readonly metadata: KubernetesObject['metadata'] & { readonly deletionTimestamp?: string };
  readonly spec?: {
    readonly nodeName?: string;
    readonly serviceAccountName?: string;
    readonly securityContext?: { readonly fsGroup?: number; readonly runAsUser?: number };
    readonly containers?: readonly (Container & { readonly image?: string })[];
    readonly volumes?: readonly { readonly name: string; readonly csi?: CsiVolumeSource }[];
  };
  readonly status?: { readonly phase?: string };
}

/** An inline CSI volume of a pod and where it lies. */
export interface PodVolume {
  readonly name: string;
  /** CSI volume_id. */
  readonly volumeId: string;
  /** `<root>/pods/<uid>/volumes/kubernetes.io~csi/<name>`: holds `vol_data.json` and the target. */
  readonly directory: string;
  /** `<directory>/mount`. The driver makes it. */
  readonly targetPath: string;
}

/** Where the volumes of a pod lie. */
export function podVolumesDirectory(root: string, podUID: string): string {
  return join(root, 'pods', podUID, 'volumes', 'kubernetes.io~csi');
}

export function podVolume(root: string, podUID: string, name: string): PodVolume {
  const directory = join(podVolumesDirectory(root, podUID), name);
  const volumeId = `csi-${createHash('sha256')
    .update(podUID + name)
    .digest('hex')}`;
  return { name, volumeId, directory, targetPath: join(directory, 'mount') };
}

/**
 * What a kubelet does with a pod:
 * - `run`: its volumes are published and its containers run.
 * - `end`: its containers have ended or are to end; its volumes are unpublished, and when it is deleted it goes.
 */
export type Wish = { readonly type: 'run' } | { readonly type: 'end'; readonly deleted: boolean };

export function wishFor(pod: BoundPod): Wish {
  if (pod.metadata.deletionTimestamp !== undefined) {
    return { type: 'end', deleted: true };
  }
  const phase = pod.status?.phase;
  return phase === 'Succeeded' || phase === 'Failed' ? { type: 'end', deleted: false } : { type: 'run' };
}
