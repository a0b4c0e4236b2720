/**
 * The address at which a pod may be asked: the first of its own, as the API server gives them now. Whoever could write a wrong one into a pod's
 * status must not turn the agent, which runs on the node, against the node itself or what only nodes reach.
 */
import { BlockList, isIPv6 } from 'node:net';
import { networkInterfaces } from 'node:os';
import type { PodIdentity } from '../lifecycle/ports.ts';

/** Where to ask, or why not there; `later`: it may be known by then. */
export type Address =
  | { readonly type: 'known'; readonly ip: string }
  | { readonly type: 'later' | 'never'; readonly detail: string };

/** One list for each family: a rule for IPv6 also holds for IPv4 addresses in the clothes of IPv6, which all of them can wear. */
const special = {
  ipv4: listOf('ipv4', [
    ['0.0.0.0', 8],
    ['127.0.0.0', 8],
    ['169.254.0.0', 16],
    // Multicast, reserved and broadcast.
    ['224.0.0.0', 3],
  ]),
  ipv6: listOf('ipv6', [
    // Unspecified, loopback, and IPv4 addresses written as IPv6.
    ['::', 64],
    ['64:ff9b::', 96],
    ['fe80::', 10],
    ['ff00::', 8],
  ]),
};

function listOf(family: 'ipv4' | 'ipv6', networks: readonly (readonly [string, number])[]): BlockList {
  const list = new BlockList();
  for (const [network, prefix] of networks) {
    list.addSubnet(network, prefix, family);
  }
  return list;
}

/** @param own the addresses of this machine, or of the agent's own pod */
export function addressOf({ podIPs }: Pick<PodIdentity, 'podIPs'>, own = ownAddresses()): Address {
  if (podIPs === undefined) {
    return { type: 'never', detail: hostNetworkRefusal };
  }
  const [ip] = podIPs;
  if (ip === undefined) {
    return { type: 'later', detail: 'the pod has no address yet' };
  }
  const family = isIPv6(ip) ? 'ipv6' : 'ipv4';
  if (special[family].check(ip, family) || own.includes(ip)) {
    const detail = `the address in the pod's status, ${ip}, is none that a pod has: it is the node's own, local or special`;
    return { type: 'never', detail };
  }
  return { type: 'known', ip };
}

export const hostNetworkRefusal =
  "the pod is on the node's network (hostNetwork: true), where its address is the node's and other programs listen";

function ownAddresses(): readonly string[] {
  return Object.values(networkInterfaces()).flatMap((addresses) => (addresses ?? []).map(({ address }) => address));
}
