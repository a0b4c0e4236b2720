/**
 * Through which certificate API the demonstration's signer is asked. The pods, the workloads and the signer's authority are
 * the same with each of them: what differs is a rule of the agent's, and who answers.
 */
import { createSandboxClient } from '../base/client.ts';
import type { Admin } from '../cluster/admin.ts';
import type { Cluster } from '../cluster/cluster.ts';
import { agentAccount, agentNamespace } from '../cluster/permissions.ts';
import { defaultUris, defaultUsages } from '../signers/approval.ts';
import { startApprover } from '../signers/approver.ts';
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
      'own rule. Nothing is signed before an approver has compared it with the pod; sandbox/approver.ts is one.',
    ],
    agentFlags: flagsOf({ certificateSigningRequest: { refreshAfter: 0.5 } }),
    start: async (answering) => {
      const options = optionsOf(answering);
      const endApprover = approveFor(answering);
      const signer = startSigningRequestSigner({ ...options, signerName: demoSigner }, 'sign when approved');
      const endSigner = ending(signer, options);
      return async () => {
        await endApprover();
        await endSigner();
      };
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
      await makeClusterIssuer(admin);
      const options = optionsOf(answering);
      return ending(startCertManager(options, { approver: 'approve', issuer: 'sign' }), options);
    },
  },
};

/** The approver, which knows by whom the agent's requests are made, whether or not it impersonates its node. */
function approveFor({ cluster, onProblem }: Answering): () => Promise<void> {
  const client = createSandboxClient(cluster.kubeconfigs.approver, 'demo-approver');
  const approver = startApprover({
    ...{ client, signers: [demoSigner], trustDomain: demoTrustDomain, uris: defaultUris, dnsNames: [] },
    ...{ usages: defaultUsages, maxLifetimeSeconds: 86_400, allowPodIPs: false, allowPodAccounts: false },
    agentAccount: `${agentNamespace}/${agentAccount}`,
    onProblem,
  });
  return ending(approver, { client });
}

function optionsOf({ cluster, lifetimeSeconds, onProblem }: Answering) {
  const client = createSandboxClient(cluster.kubeconfigs.signer, 'demo-signer');
  const { authority } = cluster.signer(demoSigner);
  return { client, authority, lifetimeSeconds, now: Date.now, onProblem };
}

interface Closing {
  close(): void;
}

function ending(answering: Closing, { client }: { readonly client: Closing }): () => Promise<void> {
  return async () => {
    answering.close();
    client.close();
  };
}

async function makeClusterIssuer({ create, client }: Admin): Promise<void> {
  const prefix = '/apis/cert-manager.io/v1';
  const issuer = { metadata: { name: clusterIssuer }, spec: { ca: { secretName: clusterIssuer } } };
  const made = await create(prefix, { resource: 'clusterissuers' }, issuer);
  const status = { conditions: [{ type: 'Ready', status: 'True' }] };
  const path = `${prefix}/clusterissuers/${clusterIssuer}/status`;
  await client.request({ method: 'PUT', path, body: { ...made, status } });
}

/** A rule for the demonstration's signer, and the trust domain in the names that its requests carry. */
function flagsOf(api: object): readonly string[] {
  return ['--issuers', JSON.stringify([{ signers: [demoSigner], ...api }]), '--trust-domain', demoTrustDomain];
}
