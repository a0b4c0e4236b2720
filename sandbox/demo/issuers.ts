/**
 * Through which certificate API the demonstration's signer is asked. The pods, the workloads and the signer's authority are
 * the same with each of them: what differs is a rule of the agent's, and who answers.
 */
import type { ApiClient } from '../../agent/kubernetes/client.ts';
import type { KubernetesObject } from '../../agent/kubernetes/objects.ts';
import { resourcePath } from '../../agent/kubernetes/paths.ts';
import { asSent, createSandboxClient } from '../base/client.ts';
import type { Cluster } from '../cluster/cluster.ts';
import { startCertManager } from '../signers/cert-manager.ts';
import { startSigningRequestSigner } from '../signers/signing-requests.ts';
import { demoSigner, demoTrustDomain } from './pods.ts';

export const demoIssuerNames = ['podCertificateRequest', 'certificateSigningRequest', 'certManager'] as const;
export type DemoIssuerName = (typeof demoIssuerNames)[number];

export interface DemoIssuer {
  /** What is different with this API, for a person. */
  readonly said: readonly string[];
  /** The agent's options for it. */
  readonly agentFlags: readonly string[];
  /** Starts who answers beside the cluster's own signer. @returns how to end it */
  start(answering: Answering): Promise<() => Promise<void>>;
}

/** Who answers signs by the authority of the cluster's signer, which publishes the trust anchors too. */
export interface Answering {
  readonly cluster: Cluster;
  readonly lifetimeSeconds: number;
  readonly onProblem: (message: string) => void;
}

const clusterIssuer = 'mesh';

export const demoIssuers: Readonly<Record<DemoIssuerName, DemoIssuer>> = {
  podCertificateRequest: {
    said: [
      'The agent asks by PodCertificateRequests: the API server checks them against the pod, the signer says who the',
      'pod is and when its certificate is to be renewed.',
    ],
    agentFlags: [],
    start: async () => async () => {},
  },
  certificateSigningRequest: {
    said: [
      'The agent asks by CertificateSigningRequests: it writes the pod’s name into each and renews halfway, both by its',
      'own rule. Nothing is signed before an approver has approved it; the demonstration plays one that approves at once.',
    ],
    agentFlags: flagsOf({ certificateSigningRequest: { refreshAfter: 0.5 } }),
    start: async (answering) => {
      const options = optionsOf(answering);
      return ending(startSigningRequestSigner({ ...options, signerName: demoSigner }, 'approve and sign'), options);
    },
  },
  certManager: {
    said: [
      `The agent asks by CertificateRequests of cert-manager, to the ClusterIssuer ${clusterIssuer}: it writes the pod’s name into`,
      'each and renews halfway, both by its own rule. The demonstration plays cert-manager, whose approver approves at once,',
      'and publishes the anchors as trust-manager does.',
    ],
    agentFlags: flagsOf({ certManager: { issuer: { name: clusterIssuer, kind: 'ClusterIssuer' }, refreshAfter: 0.5 } }),
    start: async (answering) => {
      const { apiServer, admin } = answering.cluster;
      apiServer.installCertManager();
      await makeClusterIssuer(admin.client);
      const options = optionsOf(answering);
      return ending(startCertManager(options, { approver: 'approve', issuer: 'sign' }), options);
    },
  },
};

function optionsOf({ cluster, lifetimeSeconds, onProblem }: Answering) {
  const client = createSandboxClient(cluster.kubeconfigs.signer, 'demo-signer');
  const { authority } = cluster.signer(demoSigner);
  return { client, authority, lifetimeSeconds, now: Date.now, onProblem };
}

function ending(answering: { close(): void }, { client }: { readonly client: ApiClient }): () => Promise<void> {
  return async () => {
    answering.close();
    client.close();
  };
}

async function makeClusterIssuer(client: ApiClient): Promise<void> {
  const prefix = '/apis/cert-manager.io/v1';
  const resource = 'clusterissuers';
  const made = await client.request({
    decode: asSent<KubernetesObject>,
    method: 'POST',
    path: resourcePath(prefix, { resource }),
    body: { metadata: { name: clusterIssuer }, spec: { ca: { secretName: clusterIssuer } } },
  });
  await client.request({
    method: 'PUT',
    path: resourcePath(prefix, { resource, name: clusterIssuer, subresource: 'status' }),
    body: { ...made, status: { conditions: [{ type: 'Ready', status: 'True' }] } },
  });
}

/** A rule for the demonstration's signer, and the trust domain in the names that its requests carry. */
function flagsOf(api: object): readonly string[] {
  return ['--issuers', JSON.stringify([{ signers: [demoSigner], ...api }]), '--trust-domain', demoTrustDomain];
}
