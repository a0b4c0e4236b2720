/**
 * The certificate APIs beside PodCertificateRequests, each as a resource: CertificateSigningRequests, which every cluster
 * serves, and cert-manager's CertificateRequests, which exist where cert-manager is installed.
 */
import { AgentError } from '../base/errors.ts';
import type { ApiClient } from './client.ts';
import type { CertificateRequest, CertificateSigningRequest } from './objects.ts';
import { decodeCertificateRequest, decodeCertificateSigningRequest } from './request-schemas.ts';
import { isServed } from './served.ts';
import type { RequestResource } from './simple-requests.ts';

export const signingRequestResource: RequestResource<CertificateSigningRequest> = {
  pathPrefix: '/apis/certificates.k8s.io/v1',
  resource: 'certificatesigningrequests',
  namespaced: false,
  decode: decodeCertificateSigningRequest,
  as: 'node',
  missing: 'the cluster does not serve CertificateSigningRequests (certificates.k8s.io/v1)',
};

export const certificateRequestResource: RequestResource<CertificateRequest> = {
  pathPrefix: '/apis/cert-manager.io/v1',
  resource: 'certificaterequests',
  namespaced: true,
  decode: decodeCertificateRequest,
  as: 'self',
  missing: 'the cluster does not serve CertificateRequests (cert-manager.io/v1): install cert-manager',
};

/** Resolves when the cluster serves the resource. @throws AgentError ApiMissing when it does not */
export async function assertServed(
  client: ApiClient,
  { pathPrefix, resource, missing }: Pick<RequestResource<unknown>, 'pathPrefix' | 'resource' | 'missing'>,
): Promise<void> {
  if (!(await isServed(client, pathPrefix, resource))) {
    throw new AgentError('ApiMissing', missing, { actor: 'cluster operator' });
  }
}
