/**
 * What a pod may ask for through each certificate API, in one table: whoever asks for more is told so, instead of getting
 * less than was asked for. docs/issuers.md shows the same table, and the tests that run over all APIs read it.
 */
import { type KeyType, keyTypes } from '../../volumes/declaration/key-types.ts';
import { AgentError } from '../base/errors.ts';
import type { CertificateOrder } from '../lifecycle/ports.ts';
import type { CertificateApi } from './issuer-rules.ts';

export interface Capabilities {
  /** As messages and documents name it. */
  readonly title: string;
  readonly keyTypes: readonly KeyType[];
  /** Whether the request carries names: those of the rule's template, and those that a pod asks for. */
  readonly names: boolean;
  /** Whether trust anchors come with a certificate, for a source with a `caPath` or a `truststorePath`. */
  readonly anchors: boolean;
  /** Whether `userAnnotations` reach whoever issues. Elsewhere they are left out, since nobody is meant to read them. */
  readonly userAnnotations: boolean;
  /** The shortest lifetime that can be asked for, in seconds. */
  readonly shortestLifetimeSeconds: number;
  /** Who says when a certificate is to be renewed. */
  readonly refreshTime: 'signer' | 'refreshAfter';
  /** Whether the cluster removes a request with its pod, which owns it. Elsewhere the agent removes it. */
  readonly ownedByPod: boolean;
  /** Who compares the request with the pod that it is for. */
  readonly identityCheckedBy: 'API server' | 'approver';
}

export const capabilities: Readonly<Record<CertificateApi, Capabilities>> = {
  podCertificateRequest: {
    title: 'PodCertificateRequest',
    keyTypes,
    names: false,
    anchors: false,
    userAnnotations: true,
    shortestLifetimeSeconds: 3600,
    refreshTime: 'signer',
    ownedByPod: true,
    identityCheckedBy: 'API server',
  },
  certificateSigningRequest: {
    title: 'CertificateSigningRequest',
    keyTypes,
    names: true,
    anchors: false,
    userAnnotations: false,
    shortestLifetimeSeconds: 600,
    refreshTime: 'refreshAfter',
    ownedByPod: false,
    identityCheckedBy: 'approver',
  },
  certManager: {
    title: 'cert-manager',
    keyTypes,
    names: true,
    anchors: true,
    userAnnotations: false,
    shortestLifetimeSeconds: 600,
    refreshTime: 'refreshAfter',
    ownedByPod: true,
    identityCheckedBy: 'approver',
  },
};

/** @throws AgentError Rejected when the API cannot carry what the pod asks for, saying which field that is */
export function refuseWhatCannotBe(api: CertificateApi, { signerName, names, wantsAnchors }: CertificateOrder): void {
  const { title, names: carriesNames, anchors } = capabilities[api];
  if (wantsAnchors === true && !anchors) {
    throw refusal(
      `caPath and truststorePath: signer ${signerName} is asked by ${title}, which gives no trust anchors; take a clusterTrustBundle source`,
    );
  }
  if (names !== undefined && !carriesNames) {
    throw refusal(
      `dnsNames, uris, ipAddresses and commonName: signer ${signerName} is asked by ${title}, which carries none`,
    );
  }
}

function refusal(message: string): AgentError {
  return new AgentError('Rejected', `the source cannot be served with ${message}`, { actor: 'pod author' });
}
