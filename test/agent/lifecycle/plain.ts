/** Plain objects of the lifecycle, for tests that need neither files nor keys. */
import type { Attempt, Trust } from '../../../agent/lifecycle/credential-state.ts';
import type { CertificateRecord, VolumeRecord } from '../../../volumes/base/volume.ts';
import type { PodCertificateSource, Source } from '../../../volumes/declaration/types.ts';

export const minute = 60_000;
export const hour = 60 * minute;

export const now = Date.UTC(2026, 10, 26);

export function podCertificate(index: number, bundle: string): PodCertificateSource {
  return {
    kind: 'podCertificate',
    index,
    signerName: 'example.com/mesh',
    keyType: 'ECDSAP256',
    userAnnotations: {},
    credentialBundlePath: bundle,
  };
}

export function trustBundle(index: number, path: string, optional = false): Source {
  const select = { by: 'signer', signerName: 'example.com/mesh' } as const;
  return { kind: 'clusterTrustBundle', index, select, optional, path };
}

export function recordWith(sources: readonly Source[]): VolumeRecord {
  return {
    ...{ volumeId: 'csi-mtls', targetPath: '/volume', volumeName: 'mtls', owner: { kind: 'none' } },
    pod: { namespace: 'shop', name: 'web', uid: 'uid', serviceAccountName: 'web' },
    declaration: { sources },
  };
}

/** Valid for 25 hours, of which one is over. */
export const certificate: CertificateRecord = {
  ...{ requestName: 'req-1', keyType: 'ECDSAP256', serialNumber: '0A', notBefore: now - hour },
  ...{ notAfter: now + 24 * hour, beginRefreshAt: now + 12 * hour, refreshAt: now + 13 * hour },
};

export const trust: Trust = { verdict: 'unknown', anchors: 0, earlyRefreshes: 0, isTold: false };

/** For a first certificate. */
export const attempt: Attempt = {
  ...{ keyType: 'ECDSAP256', current: undefined, trust, warned: 'nothing', failures: 0, lastFailure: undefined },
  ...{ startedAt: now - hour, since: now - minute },
};
