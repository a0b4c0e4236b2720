/** Requests, pods and a policy for the tests of what is decided about them. */
import { generateKeyPairSync } from 'node:crypto';
import type { Pod, PodCertificateRequest } from '../../../agent/kubernetes/objects.ts';
import type { Evidence } from '../../../signer/decision/pod.ts';
import { type Policy, realTiming } from '../../../signer/decision/policy.ts';
import { keyTypes } from '../../../volumes/declaration/key-types.ts';

export const now = Date.parse('2026-11-26T12:00:00.500Z');
export const farEnd = now + 1e10;

export const policy: Policy = {
  signerName: 'example.com/mesh',
  trustDomain: 'mesh.example',
  dnsNames: 'service-account',
  clusterDomain: 'cluster.local',
  keyTypes,
  leafMs: 86_400_000,
  timing: realTiming,
};

export const pod = {
  metadata: { namespace: 'shop', name: 'web-0', uid: 'pod-uid' },
  spec: { nodeName: 'node-1', serviceAccountName: 'web' },
  status: { phase: 'Pending' },
} satisfies Pod;

export const evidence: Evidence = { pod, serviceAccountUID: 'account-uid' };

export const publicKey = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({
  type: 'spki',
  format: 'der',
});

export function request(more: Partial<PodCertificateRequest['spec']> = {}): PodCertificateRequest {
  return {
    metadata: { namespace: 'shop', name: 'req-1', uid: 'request-uid' },
    spec: {
      signerName: policy.signerName,
      podName: 'web-0',
      podUID: 'pod-uid',
      serviceAccountName: 'web',
      serviceAccountUID: 'account-uid',
      nodeName: 'node-1',
      nodeUID: 'node-uid',
      maxExpirationSeconds: 86_400,
      pkixPublicKey: publicKey.toString('base64'),
      proofOfPossession: 'checked by the API server',
      ...more,
    },
  };
}
