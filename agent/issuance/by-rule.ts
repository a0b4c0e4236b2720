/**
 * Combines the issuers of all certificate APIs into one. The operator's rules choose the API for a new request; the
 * name of an existing request tells through which API it was made.
 */
import { AgentError } from '../base/errors.ts';
import type { CertificateOrder, Issuer } from '../lifecycle/ports.ts';
import { refuseWhatCannotBe } from './capabilities.ts';
import { nameEndings } from './contents-request.ts';
import { readIssuedAnchors } from './issued-anchors.ts';
import { type CertificateApi, type IssuerChoice, type IssuerRules, issuerFor } from './issuer-rules.ts';
import { podIPs } from './template-variables.ts';

/**
 * @param rules gives the rules as they are now
 * @param onMissing hears of an API that a request was to be made through and that the cluster does not serve
 */
export function issuerByRule(
  issuers: Readonly<Record<CertificateApi, Issuer>>,
  rules: () => IssuerRules,
  onMissing: (api: CertificateApi) => void = () => undefined,
): Issuer {
  const chosen = (namespace: string, signerName: string): IssuerChoice => issuerFor(rules(), namespace, signerName);

  /** A request of an earlier rule that its API cannot serve makes way for one of the rule in force. */
  function refuseUnservable(api: CertificateApi, order: CertificateOrder): void {
    try {
      refuseWhatCannotBe(api, order);
    } catch (cause) {
      if (chosen(order.identity.pod.namespace, order.signerName).api === api) {
        throw cause;
      }
      const message = `signer ${order.signerName} is asked through another API by now`;
      throw new AgentError('Conflict', message, { actor: 'nobody', cause });
    }
  }

  return {
    requestName(subject, spki) {
      const { api } = chosen(subject.pod.namespace, subject.signerName);
      return issuers[api].requestName(subject, spki);
    },
    async prepare(request, signal, onWait) {
      await issuers[apiOf(request.requestName)].prepare?.(request, signal, onWait);
    },
    async submit(order, key, signal) {
      const api = apiOf(order.requestName);
      refuseUnservable(api, order);
      try {
        await issuers[api].submit(order, key, signal);
      } catch (error) {
        if (error instanceof AgentError && error.code === 'ApiMissing') {
          onMissing(api);
        }
        throw error;
      }
    },
    follow: (request, ...listeners) => issuers[apiOf(request.requestName)].follow(request, ...listeners),
    verify(outcome, spki, now, withAnchors = false) {
      const chain = issuers.podCertificateRequest.verify(outcome, spki, now);
      return withAnchors ? { ...chain, anchors: readIssuedAnchors(outcome.anchors) } : chain;
    },
    abandon: (request) => issuers[apiOf(request.requestName)].abandon?.(request),
    beginsAhead: (namespace, signerName) =>
      isSo(() => issuers[chosen(namespace, signerName).api].beginsAhead?.(namespace, signerName) === true),
    namesAddresses: (namespace, signerName) =>
      isSo(() => {
        const choice = chosen(namespace, signerName);
        return choice.api !== 'podCertificateRequest' && choice.template.ipAddresses.includes(podIPs);
      }),
  };
}

/** False also where the rules name no API for this signer. */
function isSo(look: () => boolean): boolean {
  try {
    return look();
  } catch (error) {
    if (error instanceof AgentError) {
      return false;
    }
    throw error;
  }
}

/** The API that a request of this name was made through. */
export function apiOf(requestName: string): CertificateApi {
  if (requestName.endsWith(nameEndings.certificateSigningRequest)) {
    return 'certificateSigningRequest';
  }
  return requestName.endsWith(nameEndings.certManager) ? 'certManager' : 'podCertificateRequest';
}
