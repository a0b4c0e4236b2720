/**
 * Through which certificate API the demonstration's signer is asked. The pods, the workloads and the signer's authority are
 * the same with each of them: what differs is a rule of the agent's, and who answers.
 */
import { createSandboxClient } from '../base/client.ts';
import type { Cluster } from '../cluster/cluster.ts';
import { startSigningRequestSigner } from '../signers/signing-requests.ts';
import { demoSigner, demoTrustDomain } from './pods.ts';

export const demoIssuerNames = ['podCertificateRequest', 'certificateSigningRequest'] as const;
export type DemoIssuerName = (typeof demoIssuerNames)[number];

export interface DemoIssuer {
  /** What is different with this API, for a person. */
  readonly said: readonly string[];
  /** The agent's options for it. */
  readonly agentFlags: readonly string[];
  /** Starts who answers beside the cluster's own signer. @returns how to end it */
  start(answering: Answering): () => Promise<void>;
}

export interface Answering {
  readonly cluster: Cluster;
  readonly lifetimeSeconds: number;
  readonly onProblem: (message: string) => void;
}

export const demoIssuers: Readonly<Record<DemoIssuerName, DemoIssuer>> = {
  podCertificateRequest: {
    said: [
      'The agent asks by PodCertificateRequests: the API server checks them against the pod, the signer says who the',
      'pod is and when its certificate is to be renewed.',
    ],
    agentFlags: [],
    start: () => async () => {},
  },
  certificateSigningRequest: {
    said: [
      'The agent asks by CertificateSigningRequests: it writes the pod’s name into each and renews halfway, both by its',
      'own rule. Nothing is signed before an approver has approved it; the demonstration plays one that approves at once.',
    ],
    agentFlags: flagsOf({ certificateSigningRequest: { refreshAfter: 0.5 } }),
    start: ({ cluster, lifetimeSeconds, onProblem }) => {
      const client = createSandboxClient(cluster.kubeconfigs.signer, 'demo-signer');
      const { authority } = cluster.signer(demoSigner);
      const options = { client, signerName: demoSigner, authority, lifetimeSeconds, now: Date.now, onProblem };
      const signer = startSigningRequestSigner(options, 'approve and sign');
      return async () => {
        signer.close();
        client.close();
      };
    },
  },
};

/** A rule for the demonstration's signer, and the trust domain in the names that its requests carry. */
function flagsOf(api: object): readonly string[] {
  return ['--issuers', JSON.stringify([{ signers: [demoSigner], ...api }]), '--trust-domain', demoTrustDomain];
}
