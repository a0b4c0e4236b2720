/** Volumes in every state, for the tests of the status. */
import type { CredentialSnapshot } from '../../../../agent/lifecycle/notices.ts';
import type { VolumeSnapshot } from '../../../../agent/lifecycle/volume-status.ts';
import type { ClusterTrustBundleSource } from '../../../../volumes/declaration/types.ts';
import { credential, volume } from '../subjects.ts';

export const now = Date.UTC(2026, 10, 22, 10, 0, 0);
export const hours = 3_600_000;

export const anchors: ClusterTrustBundleSource = {
  kind: 'clusterTrustBundle',
  index: 1,
  select: { by: 'signer', signerName: 'example.com/mesh' },
  optional: true,
  path: 'ca.pem',
};

/** A pod of this name with one credential, changed as given. */
export function podWith(name: string, given: Partial<CredentialSnapshot>, message?: string): VolumeSnapshot {
  const { declaration } = volume;
  const record = {
    ...volume,
    pod: { ...volume.pod, name },
    declaration: { sources: [...declaration.sources, anchors] },
  };
  return {
    volume: record,
    status: message === undefined ? { type: 'ready' } : { type: 'refused', message, retryAt: 0 },
    credentials: [{ ...credential, volume: record, state: 'not_yet_issued', ...given }],
  };
}

export const fresh: Partial<CredentialSnapshot> = {
  state: 'fresh',
  requestName: 'pc-1',
  serialNumber: '4ABCDEF0123456789ABCDEF012345678',
  notBefore: now - 6 * hours,
  notAfter: now + 18 * hours,
  beginRefreshAt: now + 10 * hours,
  refreshAt: now + 10.05 * hours,
};

/** A volume of trust anchors alone, which waits for them. */
export const anchorsOnly: VolumeSnapshot = {
  volume: {
    ...volume,
    volumeName: 'trust',
    pod: { ...volume.pod, name: 'client' },
    declaration: {
      sources: [{ ...anchors, index: 0, optional: false, select: { by: 'name', name: 'example.com:mesh:roots' } }],
    },
  },
  status: { type: 'waiting', message: 'sources[0]: no ClusterTrustBundle of this name' },
  credentials: [],
};
