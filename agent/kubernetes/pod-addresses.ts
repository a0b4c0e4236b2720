/** The addresses that a pod has of its own. */
import { isIP } from 'node:net';
import type { Pod } from './objects.ts';

/** The pod's own addresses, in their order; undefined for a pod on the node's network, whose addresses are everybody's there. */
export function addressesOf({ spec, status }: Pod): readonly string[] | undefined {
  return spec?.hostNetwork === true
    ? undefined
    : (status?.podIPs ?? []).flatMap(({ ip = '' }) => (isIP(ip) > 0 ? [ip] : []));
}
