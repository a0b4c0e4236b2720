/**
 * The pods of the demonstration: one for each key type, and the two workloads.
 */
import { type KeyType, keyTypes } from '../../volumes/declaration/key-types.ts';
import type { PodRequest } from '../cluster/admin.ts';
import type { WorkloadName } from './sightings.ts';

export const demoNamespace = 'demo';
export const demoSigner = 'example.com/mesh';
/** Of the workloads' SPIFFE IDs. */
export const demoTrustDomain = 'example.com';
const volumeName = 'mtls';

/** Pods that show the key types, in the order in which they are made. */
export const keyTypePods: readonly { readonly keyType: KeyType; readonly pod: PodRequest }[] = keyTypes
  .toReversed()
  .map((keyType) => ({ keyType, pod: podOf(keyType.toLowerCase(), keyType) }));

/** The pod of a workload. */
export function workloadPod(name: WorkloadName): PodRequest {
  return podOf(name, 'ECDSAP256');
}

/** SPIFFE ID that the signer gives the workload. */
export function workloadId(name: WorkloadName): string {
  return `spiffe://${demoTrustDomain}/ns/${demoNamespace}/sa/${name}`;
}

function podOf(name: string, keyType: KeyType): PodRequest {
  return {
    name,
    namespace: demoNamespace,
    serviceAccountName: name,
    volumes: [
      {
        name: volumeName,
        sources: [
          { podCertificate: { signerName: demoSigner, keyType, credentialBundlePath: 'credentials.pem' } },
          { clusterTrustBundle: { signerName: demoSigner, labelSelector: {}, path: 'trust-anchors.pem' } },
        ],
      },
    ],
  };
}
