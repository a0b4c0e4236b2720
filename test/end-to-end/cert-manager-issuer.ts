/** cert-manager beside a test's node: its issuers, what answers for them, and what the API server holds of requests. */
import type { CertificateRequest } from '../../agent/kubernetes/objects.ts';
import { resourcePath } from '../../agent/kubernetes/paths.ts';
import { asSent, createSandboxClient } from '../../sandbox/base/client.ts';
import { createAuthority } from '../../sandbox/signers/authority.ts';
import { type CertManagerBehaviour, startCertManager } from '../../sandbox/signers/cert-manager.ts';
import { withinBound } from '../support/bounded.ts';
import { eachWithFields } from '../support/fields.ts';
import type { Closing, TestNode } from './node.ts';

const prefix = '/apis/cert-manager.io/v1';
const resource = 'certificaterequests.cert-manager.io';

/** Starts it; what goes wrong with it is in `problems`. */
export async function startIssuers(
  t: Closing,
  node: Pick<TestNode, 'cluster'>,
  behaviour: CertManagerBehaviour,
  lifetimeSeconds = 3600,
) {
  const client = createSandboxClient(node.cluster.kubeconfigs.signer, 'cert-manager');
  t.after(async () => client.close());
  const authority = await createAuthority('mesh', Date.now());
  const problems: string[] = [];
  const onProblem = (problem: string): void => void problems.push(problem);
  const options = { client, authority: () => authority, lifetimeSeconds, now: Date.now, onProblem };
  const certManager = startCertManager(options, behaviour);
  t.after(async () => certManager.close());
  return { certManager, authority, problems };
}

/** Makes an issuer of a namespace, or of the cluster, ready or not; an existing one becomes so. */
export async function putIssuer(
  { cluster }: Pick<TestNode, 'cluster'>,
  name: string,
  isReady: boolean,
  namespace?: string,
): Promise<void> {
  const { client, ensure } = cluster.admin;
  const location = namespace === undefined ? { resource: 'clusterissuers' } : { resource: 'issuers', namespace };
  await ensure(prefix, location, { metadata: { name }, spec: { ca: { secretName: name } } });
  const path = resourcePath(prefix, { ...location, name });
  const issuer = await client.request({ method: 'GET', path, decode: asSent<object> });
  const conditions = [{ type: 'Ready', status: isReady ? 'True' : 'False' }];
  await client.request({ method: 'PUT', path: `${path}/status`, body: { ...issuer, status: { conditions } } });
}

export type StampedRequest = CertificateRequest & { readonly spec: { readonly username?: string } };

export function certificateRequests({ cluster }: TestNode): readonly StampedRequest[] {
  return eachWithFields<StampedRequest>(cluster.apiServer.store.list(resource), 'metadata', 'spec');
}

/** Resolves with the requests when the API server holds such ones as are wanted. */
export function untilRequests(
  node: TestNode,
  what: string,
  accept: (requests: readonly StampedRequest[]) => boolean,
): Promise<readonly StampedRequest[]> {
  const { promise, resolve } = Promise.withResolvers<readonly StampedRequest[]>();
  const look = (): void => {
    const requests = certificateRequests(node);
    if (accept(requests)) {
      resolve(requests);
    }
  };
  const unsubscribe = node.cluster.apiServer.store.subscribe(look);
  look();
  return withinBound(promise, () => `${what}; there are ${JSON.stringify(certificateRequests(node))}`).finally(
    unsubscribe,
  );
}

/** Every request that was ever made, by its first version. */
export function requestsMade(node: TestNode): readonly StampedRequest[] {
  const made: StampedRequest[] = [];
  node.cluster.apiServer.store.subscribe((event) => {
    if (event.type === 'ADDED' && event.resource === resource) {
      made.push(...eachWithFields<StampedRequest>([structuredClone(event.object)], 'metadata', 'spec'));
    }
  });
  return made;
}

export async function deleteRequest(node: TestNode, { metadata }: CertificateRequest): Promise<void> {
  const { namespace = '', name } = metadata;
  const path = resourcePath(prefix, { resource: 'certificaterequests', namespace, name });
  await node.cluster.admin.client.request({ method: 'DELETE', path });
}
