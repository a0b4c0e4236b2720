/**
 * What an API server offers of that which the suite is about.
 */
import type { PodCertificateApi, ServedApi } from '../../agent/kubernetes/discovery.ts';
import { createDiscovery } from '../../agent/kubernetes/discovery.ts';
import { type KubernetesVersion, kubernetesVersions } from '../../sandbox/base/cluster-rules.ts';
import { call, type Target } from '../sandbox/serving/client.ts';
import type { Access } from './access.ts';

export interface Offers {
  /** As the server says it: `v1.36.2`. */
  readonly gitVersion: string;
  /** The nearest one that the cases know. */
  readonly kubernetes: KubernetesVersion;
  /** Every way to make a request: each served version, and each kind of evidence that it takes. */
  readonly requestApis: readonly PodCertificateApi[];
  readonly bundleApi: ServedApi | undefined;
  /** Whether a service account may act as the node it runs on (1.36 and newer). */
  readonly constrainedImpersonation: boolean;
}

const group = 'certificates.k8s.io';

/** @throws AgentError ApiMissing, saying what to switch on, where PodCertificateRequests are not served */
export async function findOffers(access: Access): Promise<Offers> {
  const { target } = access.admin;
  const discovery = createDiscovery({ client: access.client(access.admin) });
  const preferred = await discovery.podCertificateRequests();
  const bundleApi = await discovery.clusterTrustBundles().catch(() => undefined);
  const { body } = await call(target, '/version');
  const minor = Number.parseInt(String(body['minor']), 10);
  const kubernetes = nearest(minor);
  const requestApis: PodCertificateApi[] = [];
  for (const version of ['v1', 'v1beta1', 'v1alpha1']) {
    if (await serves(target, version, 'podcertificaterequests')) {
      requestApis.push(...apisOf(version, preferred));
    }
  }
  const constrainedImpersonation = minor >= 36;
  return { gitVersion: String(body['gitVersion']), kubernetes, requestApis, bundleApi, constrainedImpersonation };
}

function nearest(minor: number): KubernetesVersion {
  const known = kubernetesVersions.findLast((version) => Number(version.slice(2)) <= minor);
  return known ?? kubernetesVersions[0];
}

async function serves(target: Target, version: string, resource: string): Promise<boolean> {
  const { body } = await call(target, `/apis/${group}/${version}`);
  const resources = Array.isArray(body['resources']) ? body['resources'] : [];
  return resources.some(
    (each) => typeof each === 'object' && each !== null && 'name' in each && each.name === resource,
  );
}

/** @param preferred what the agent would use: of v1beta1 it says whether the server knows stub requests */
function apisOf(version: string, preferred: PodCertificateApi): readonly PodCertificateApi[] {
  const api = { apiVersion: `${group}/${version}`, pathPrefix: `/apis/${group}/${version}` };
  const userAnnotations = version !== 'v1alpha1';
  const stub = { ...api, evidence: 'stub', userAnnotations } as const;
  const keyAndProof = { ...api, evidence: 'keyAndProof', userAnnotations } as const;
  if (version === 'v1') {
    return [stub];
  }
  const knowsStub = version === 'v1beta1' && preferred.evidence === 'stub';
  if (!knowsStub) {
    return [keyAndProof];
  }
  // Where v1 is served signers read v1, which has no field for a key without a stub request.
  return preferred.apiVersion.endsWith('/v1') ? [stub] : [stub, keyAndProof];
}

/** The versions that serve PodCertificateRequests, newest first: `v1beta1`. */
export function versionsOf({ requestApis }: Offers): readonly string[] {
  return [...new Set(requestApis.map(({ apiVersion }) => apiVersion.slice(apiVersion.indexOf('/') + 1)))];
}
