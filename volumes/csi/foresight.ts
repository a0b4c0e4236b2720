/**
 * The publish call that the kubelet is going to make for an inline volume of a pod, made of the pod's spec and judged by the very
 * checks that the call itself will have to pass.
 *
 * https://github.com/container-storage-interface/spec/blob/master/spec.md#nodepublishvolume
 */
import { createHash } from 'node:crypto';
import path from 'node:path';
import { createDeclarationReader } from '../declaration/sources.ts';
import type { Foresight } from './driver.ts';
import { podInfo, readPublish } from './node.ts';
import { CallError } from './status.ts';

export function createForesight(kubeletRoot: string): Foresight {
  const readDeclaration = createDeclarationReader();
  return async (pod, name, { readOnly, attributes }) => {
    const request = {
      volume_id: `csi-${createHash('sha256').update(`${pod.uid}${name}`).digest('hex')}`,
      target_path: path.join(kubeletRoot, 'pods', pod.uid, 'volumes/kubernetes.io~csi', name, 'mount'),
      volume_capability: { block: null, mount: { volume_mount_group: '' } },
      readonly: readOnly,
      secrets: {},
      // As the kubelet does: what it says itself goes before what the pod's author has written.
      volume_context: { ...attributes, ...podInfo(pod) },
    };
    try {
      return readPublish(request, await readDeclaration(request.volume_context));
    } catch (error) {
      if (error instanceof CallError) {
        return undefined;
      }
      throw error;
    }
  };
}
