/** Where agents of this machine have the socket that only root can use. */
import { globSync } from 'node:fs';
import { errorText } from '../base/redact.ts';

/** Where the chart's agent has its probe socket. */
export const defaultSocket = '/var/lib/kubelet/plugins/csi.podcert.io/csi.sock.probe';

const advice: Readonly<Record<string, string>> = {
  ENOENT: 'where kubelet-root or driver-name is another, say --socket KUBELET-ROOT/plugins/DRIVER/csi.sock.probe',
  EACCES: 'only root can ask there',
  ECONNREFUSED: 'no agent is running',
};

/** Why nobody has answered on a socket, and what to do about it. */
export function silenceText(socket: string, error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return [`${socket}: ${errorText(error)}`, advice[code]].filter((part) => part !== undefined).join('; ');
}

/** That one, then those of drivers of other names. */
export function findSockets(pattern = '/var/lib/kubelet/plugins/*/csi.sock.probe'): readonly string[] {
  return [...new Set([defaultSocket, ...globSync(pattern)])];
}
