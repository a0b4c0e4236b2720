/** A signer of CertificateSigningRequests beside a test's node, and what the API server holds of them. */
import type { CertificateSigningRequest } from '../../agent/kubernetes/objects.ts';
import { createSandboxClient } from '../../sandbox/base/client.ts';
import { createAuthority } from '../../sandbox/signers/authority.ts';
import { type SigningBehaviour, startSigningRequestSigner } from '../../sandbox/signers/signing-requests.ts';
import { withinBound } from '../support/bounded.ts';
import type { Closing, TestNode } from './node.ts';

/** Starts a signer; what goes wrong with it is in `problems`. */
export async function startSigner(
  t: Closing,
  node: TestNode,
  signerName: string,
  behaviour: SigningBehaviour,
  lifetimeSeconds = 3600,
) {
  const client = createSandboxClient(node.cluster.kubeconfigs.signer, 'signing-request-signer');
  t.after(async () => client.close());
  const authority = await createAuthority('approved', Date.now());
  const problems: string[] = [];
  const onProblem = (problem: string): void => void problems.push(problem);
  const signer = startSigningRequestSigner(
    { client, signerName, authority: () => authority, lifetimeSeconds, now: Date.now, onProblem },
    behaviour,
  );
  t.after(async () => signer.close());
  return { signer, problems };
}

export function signingRequests(node: TestNode): readonly CertificateSigningRequest[] {
  return JSON.parse(
    JSON.stringify(node.cluster.apiServer.store.list('certificatesigningrequests.certificates.k8s.io')),
  );
}

/** Resolves when the API server holds as many requests as are wanted. */
export function untilRequests(node: TestNode, count: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const look = (): void => {
    if (signingRequests(node).length === count) {
      resolve();
    }
  };
  const unsubscribe = node.cluster.apiServer.store.subscribe(look);
  look();
  return withinBound(promise, () => `${count} requests, not ${signingRequests(node).length}`).finally(unsubscribe);
}
