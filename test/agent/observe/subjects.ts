/** A volume, a credential and a log that keeps its lines, for the tests of this room. */

import type { VolumeSnapshot } from '../../../agent/lifecycle/volume-status.ts';
import { createLogger, type Logger, type LogLevel } from '../../../agent/observe/log/log.ts';
import type { StatusSources } from '../../../agent/observe/status/document.ts';
import type { VolumeRecord } from '../../../volumes/base/volume.ts';
import type { PodCertificateSource } from '../../../volumes/declaration/types.ts';

const source: PodCertificateSource = {
  kind: 'podCertificate',
  index: 0,
  signerName: 'example.com/mesh',
  keyType: 'ECDSAP256',
  userAnnotations: {},
  credentialBundlePath: 'credentials.pem',
};

export const volume: VolumeRecord = {
  volumeId: 'csi-1',
  targetPath: '/var/lib/kubelet/pods/u-1/volumes/kubernetes.io~csi/mtls/mount',
  volumeName: 'mtls',
  pod: { namespace: 'shop', name: 'web-0', uid: 'u-1', serviceAccountName: 'web' },
  declaration: { sources: [source] },
  owner: { kind: 'none' },
};

export const credential = { volume, source: 0, signerName: 'example.com/mesh', keyType: 'ECDSAP256' } as const;

/** What every log line about `credential` carries. */
export const credentialFields = {
  namespace: 'shop',
  pod: 'web-0',
  podUID: 'u-1',
  volume: 'mtls',
  source: 0,
  signerName: 'example.com/mesh',
  keyType: 'ECDSAP256',
};

export type Entry = Readonly<Record<string, unknown>>;

/** A JSON logger and the lines it has written, parsed. */
export function createLogProbe(level: LogLevel = 'debug'): { readonly log: Logger; readonly entries: () => Entry[] } {
  const lines: string[] = [];
  const log = createLogger({ level, format: 'json', destination: { write: (line) => lines.push(line) } });
  return { log, entries: () => lines.map((line) => JSON.parse(line) as Entry) };
}

/** What a status is made from: an agent on node-1 that started an hour ago and holds the given volumes. */
export function statusSources(volumes: readonly VolumeSnapshot[] = []): Omit<StatusSources, 'ready'> {
  const now = Date.UTC(2026, 10, 22, 10, 0, 0);
  const names = { version: '1.2.3', nodeName: 'node-1', driverName: 'csi.example.com' };
  return { ...names, startedAt: now - 3_600_000, now: () => now, volumes: () => volumes };
}
