/**
 * The parts of a pod that the rules read.
 *
 * https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/
 */

import { objectAt, objectsAt, stringAt } from '../base/fields.ts';
import type { ApiObject, JsonObject } from '../base/objects.ts';

/** Marks the API's image of a pod that the kubelet runs from a file. */
export const mirrorPodAnnotation = 'kubernetes.io/config.mirror';

export function isMirrorPod(pod: ApiObject): boolean {
  return Object.hasOwn(objectAt(pod.metadata, 'annotations'), mirrorPodAnnotation);
}

/** `spec.nodeName`, of a pod or of a PodCertificateRequest. */
export function nodeNameOf(object: ApiObject): string {
  return stringAt(objectAt(object, 'spec'), 'nodeName');
}

/** True when a podCertificate source is projected. @param signerName absent: of any signer */
export function mountsPodCertificate(pod: ApiObject, signerName?: string): boolean {
  return projectedSources(pod, 'podCertificate').some(
    (source) => signerName === undefined || stringAt(source, 'signerName') === signerName,
  );
}

/** True when a cluster adds a token of the pod's service account by itself: unless the pod or the account says no. */
export function automountsToken(pod: ApiObject, serviceAccount: ApiObject | undefined): boolean {
  const asked = objectAt(pod, 'spec')['automountServiceAccountToken'];
  return (asked ?? serviceAccount?.['automountServiceAccountToken'] ?? true) === true;
}

/** The audiences of the projected tokens; the empty string for the API server's own. */
export function tokenAudiences(pod: ApiObject): string[] {
  return projectedSources(pod, 'serviceAccountToken').map((source) => stringAt(source, 'audience'));
}

/** The drivers of the pod's inline CSI volumes. */
export function csiDrivers(pod: ApiObject): string[] {
  return objectsAt(objectAt(pod, 'spec'), 'volumes')
    .map((volume) => stringAt(objectAt(volume, 'csi'), 'driver'))
    .filter((driver) => driver !== '');
}

function projectedSources(pod: ApiObject, kind: string): JsonObject[] {
  return objectsAt(objectAt(pod, 'spec'), 'volumes')
    .flatMap((volume) => objectsAt(objectAt(volume, 'projected'), 'sources'))
    .filter((source) => Object.hasOwn(source, kind))
    .map((source) => objectAt(source, kind));
}
