/** What a pod's object says about the pod. */
import { isIP } from 'node:net';
import { longestAddress, mostPodAddresses } from '../../volumes/base/limits.ts';
import type { Pod } from './objects.ts';

/** Set on the API server's copy of a static pod, with the UID that the kubelet knows it by. */
export const mirrorAnnotation = 'kubernetes.io/config.mirror';

/**
 * The pod's own addresses, in their order; undefined for a pod on the node's network, whose addresses are everybody's there. One of the
 * node's is none of the pod's, whatever its status says.
 */
export function addressesOf({ spec, status }: Pod): readonly string[] | undefined {
  if (spec?.hostNetwork === true) {
    return undefined;
  }
  const ofNode = new Set((status?.hostIPs ?? []).map(({ ip }) => ip));
  const own = (status?.podIPs ?? []).flatMap(({ ip = '' }) => (isIP(ip) > 0 && !ofNode.has(ip) ? [ip] : []));
  return own.filter((ip) => ip.length <= longestAddress).slice(0, mostPodAddresses);
}
