/** Where agents of this machine have the socket that only root can use. */
import { globSync } from 'node:fs';

/** Where the chart's agent has its probe socket. */
export const defaultSocket = '/var/lib/kubelet/plugins/csi.podcert.io/csi.sock.probe';

/** That one, then those of drivers of other names. */
export function findSockets(pattern = '/var/lib/kubelet/plugins/*/csi.sock.probe'): readonly string[] {
  return [...new Set([defaultSocket, ...globSync(pattern)])];
}
