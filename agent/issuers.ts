/**
 * The certificate APIs that a cluster may have, put together into one issuer: each with its calls and its live copy of the
 * node's requests. The copies of the APIs beside PodCertificateRequests are opened with the first request there.
 */
import type { ApiSide } from './api-side.ts';
import { issuerByRule } from './issuance/by-rule.ts';
import { certificateRequests } from './issuance/cert-manager.ts';
import { certificateSigningRequests } from './issuance/certificate-signing-request.ts';
import { createContentsIssuer, nodeLabel, nodeLabelValue } from './issuance/contents-request.ts';
import { type IssuerRules, issuerFor } from './issuance/issuer-rules.ts';
import type { PodTokens } from './issuance/pod-account.ts';
import { createPodCertificateIssuer } from './issuance/pod-certificate-request.ts';
import type { CertificateRequest, CertificateSigningRequest } from './kubernetes/objects.ts';
import { createRequestApi } from './kubernetes/requests.ts';
import { decodeCertificateRequest, decodeCertificateSigningRequest } from './kubernetes/schemas.ts';
import { createSimpleRequestApi, type RequestResource, watchWhileFollowed } from './kubernetes/simple-requests.ts';
import type { Issuer } from './lifecycle/ports.ts';
import type { Logger } from './observe/log/log.ts';
import { warnOnce } from './observe/log/repetition.ts';

const signingRequests: RequestResource<CertificateSigningRequest> = {
  pathPrefix: '/apis/certificates.k8s.io/v1',
  resource: 'certificatesigningrequests',
  namespaced: false,
  decode: decodeCertificateSigningRequest,
  as: 'node',
  missing: 'the cluster does not serve CertificateSigningRequests (certificates.k8s.io/v1)',
};

const certManagerRequests: RequestResource<CertificateRequest> = {
  pathPrefix: '/apis/cert-manager.io/v1',
  resource: 'certificaterequests',
  namespaced: true,
  decode: decodeCertificateRequest,
  as: 'self',
  missing: 'the cluster does not serve CertificateRequests (cert-manager.io/v1): install cert-manager',
};

export interface IssuerOptions {
  readonly nodeName: string;
  readonly trustDomain: string;
  /** Gives the rules as they are now. */
  readonly rules: () => IssuerRules;
  /** Where tokens of pods come from. */
  readonly tokens: PodTokens;
  readonly log: Logger;
}

export function createIssuer(
  { client, discovery, requests }: ApiSide,
  { nodeName, trustDomain, rules, tokens, log }: IssuerOptions,
): { readonly issuer: Issuer; stop(): void } {
  const labelSelector = `${nodeLabel}=${nodeLabelValue(nodeName)}`;
  const onError = warnOnce(log, 'the watch of certificate requests was interrupted');
  const shared = {
    nodeName,
    tokens,
    trustDomain: () => trustDomain,
    choice: (namespace: string, signerName: string) => issuerFor(rules(), namespace, signerName),
    onFault: warnOnce(log, 'an answered certificate request could not be removed'),
  };
  const signing = watchWhileFollowed(client, signingRequests, labelSelector, onError);
  const certManager = watchWhileFollowed(client, certManagerRequests, labelSelector, onError);
  const issuer = issuerByRule(
    {
      podCertificateRequest: createPodCertificateIssuer(createRequestApi(client, discovery), requests),
      certificateSigningRequest: createContentsIssuer({
        ...shared,
        kind: certificateSigningRequests,
        calls: createSimpleRequestApi(client, signingRequests),
        cache: signing,
      }),
      certManager: createContentsIssuer({
        ...shared,
        kind: certificateRequests,
        calls: createSimpleRequestApi(client, certManagerRequests),
        cache: certManager,
      }),
    },
    rules,
  );
  return {
    issuer,
    stop() {
      signing.stop();
      certManager.stop();
    },
  };
}
