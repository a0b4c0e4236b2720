/**
 * Puts the certificate APIs that a cluster may have together into one issuer, each with its calls and its live copy of
 * the node's requests. APIs other than PodCertificateRequests are watched only once a request is made there, but for one where no others
 * are in use: an agent without any watch would not notice that the API server has gone.
 */
import type { ApiSide } from './api-side.ts';
import { apiOf, issuerByRule } from './issuance/by-rule.ts';
import { certificateRequests } from './issuance/cert-manager.ts';
import type { CertificateReader } from './issuance/certificate.ts';
import { certificateSigningRequests } from './issuance/certificate-signing-request.ts';
import { createClaims } from './issuance/claims.ts';
import { createContentsIssuer, nodeLabel, nodeLabelValue } from './issuance/contents-request.ts';
import { audiencesFor, type CertificateApi, type IssuerRules, issuerFor } from './issuance/issuer-rules.ts';
import { createPodCertificateIssuer } from './issuance/pod-certificate-request.ts';
import { certificateRequestResource, signingRequestResource } from './kubernetes/certificate-resources.ts';
import type { ListWatchHealth } from './kubernetes/list-watch.ts';
import { saidInEvents } from './kubernetes/object-events.ts';
import { createRequestApi } from './kubernetes/requests.ts';
import { createSimpleRequestApi, watchOwnRequests } from './kubernetes/simple-requests.ts';
import type { Issuer, TokenDesk } from './lifecycle/ports.ts';
import type { WatchSnapshot } from './lifecycle/snapshots.ts';
import type { Logger } from './observe/log/log.ts';
import { warnOnce } from './observe/log/repetition.ts';
import { createTokenSource } from './pod-tokens.ts';
import type { Clock } from './time/clock.ts';

export interface IssuerOptions {
  readonly nodeName: string;
  readonly trustDomain: string;
  /** Gives the rules as they are now. */
  readonly rules: () => IssuerRules;
  /** Whether calls as the node impersonate it. */
  readonly impersonateNode: boolean;
  /** The wall clock. */
  readonly clock: Clock;
  readonly log: Logger;
  /** Reads the certificates of answers. */
  readonly reader?: CertificateReader;
}

export interface Issuers {
  readonly issuer: Issuer;
  /** Why the answers to these requests cannot arrive, where something keeps them away. */
  hindrance(requestNames: readonly string[]): string | undefined;
  /** Takes the tokens that the kubelet hands over, where they are of use. */
  readonly tokenDesk: TokenDesk | undefined;
  /** The live copies that are open, but for that of PodCertificateRequests. */
  watches(): readonly WatchSnapshot[];
  /** Which APIs are in use. One of them is watched all the time: that of PodCertificateRequests by whoever gave its copy. */
  inUse(apis: readonly CertificateApi[]): void;
  /** The state of that watch; nothing before it is known which APIs are in use. */
  standingWatch(): ListWatchHealth | undefined;
  stop(): void;
}

/** What they need of the API server. */
export type IssuerCalls = Pick<ApiSide, 'client' | 'discovery'> & {
  readonly requests: Omit<ApiSide['requests'], 'hold'>;
  readonly certificateApis: Pick<ApiSide['certificateApis'], 'missed'>;
};

export function createIssuer(
  { client, discovery, requests, certificateApis }: IssuerCalls,
  { nodeName, trustDomain, rules, clock, impersonateNode, log, reader }: IssuerOptions,
): Issuers {
  const labelSelector = `${nodeLabel}=${nodeLabelValue(nodeName)}`;
  const onError = warnOnce(log, 'the watch of certificate requests was interrupted');
  const source = createTokenSource({
    impersonateNode,
    client,
    clock,
    audiences: (namespace, signerNames) => audiencesFor(rules(), namespace, signerNames),
  });
  const shared = {
    nodeName,
    tokens: source.tokens,
    trustDomain: () => trustDomain,
    choice: (namespace: string, signerName: string) => issuerFor(rules(), namespace, signerName),
    onFault: warnOnce(log, 'an answered certificate request could not be removed'),
  };
  const signingClaims = createClaims(certificateSigningRequests.outline);
  const certManagerClaims = createClaims(certificateRequests.outline);
  const signing = watchOwnRequests(client, signingRequestResource, labelSelector, onError, signingClaims.keep);
  const { keep } = certManagerClaims;
  const certManager = watchOwnRequests(client, certificateRequestResource, labelSelector, onError, keep);
  const watches = { podCertificateRequest: requests, certificateSigningRequest: signing, certManager };
  let standing: CertificateApi | undefined;
  const issuer = issuerByRule(
    {
      podCertificateRequest: createPodCertificateIssuer(createRequestApi(client, discovery), requests, reader),
      certificateSigningRequest: createContentsIssuer({
        ...shared,
        kind: certificateSigningRequests,
        calls: createSimpleRequestApi(client, signingRequestResource),
        cache: signing,
        claims: signingClaims,
      }),
      certManager: createContentsIssuer({
        ...shared,
        kind: certificateRequests,
        calls: createSimpleRequestApi(client, certificateRequestResource),
        cache: certManager,
        claims: certManagerClaims,
        events: {
          clock,
          read: async (namespace, requestName, signal) => {
            const request = certManager.get(`${namespace}/${requestName}`);
            return request && (await saidInEvents(client, request.metadata, signal));
          },
        },
      }),
    },
    rules,
    certificateApis.missed,
  );
  return {
    issuer,
    hindrance: (requestNames) =>
      requestNames
        .map((name) => watches[apiOf(name)].health()?.lastError?.message)
        .find((reason) => reason !== undefined),
    watches: () =>
      [
        { name: signingRequestResource.resource, health: signing.health() },
        { name: certificateRequestResource.resource, health: certManager.health() },
      ].flatMap(({ name, health }) => (health === undefined ? [] : [{ name, ...health }])),
    inUse(apis) {
      const next = apis.includes('podCertificateRequest') ? 'podCertificateRequest' : apis[0];
      if (next === standing) {
        return;
      }
      standing = next;
      signing.hold(standing === 'certificateSigningRequest');
      certManager.hold(standing === 'certManager');
    },
    standingWatch: () => standing && watches[standing].health(),
    tokenDesk: source.desk,
    stop() {
      source.stop();
      signing.stop();
      certManager.stop();
    },
  };
}
