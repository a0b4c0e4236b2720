/**
 * One issuer made of one for each certificate API: the operator's rules say which of them a new request goes to, and a
 * request's name which of them it was made through.
 */
import type { Issuer } from '../lifecycle/ports.ts';
import { nameEndings } from './contents-request.ts';
import { type CertificateApi, type IssuerChoice, type IssuerRules, issuerFor } from './issuer-rules.ts';

/** @param rules gives the rules as they are now */
export function issuerByRule(issuers: Readonly<Record<CertificateApi, Issuer>>, rules: () => IssuerRules): Issuer {
  const chosen = (namespace: string, signerName: string): IssuerChoice => issuerFor(rules(), namespace, signerName);
  return {
    requestName(subject, spki) {
      const { api } = chosen(subject.pod.namespace, subject.signerName);
      return issuers[api].requestName(subject, spki);
    },
    async prepare(order, signal, onWait) {
      await issuers[apiOf(order.requestName)].prepare?.(order, signal, onWait);
    },
    submit: (order, key, signal) => issuers[apiOf(order.requestName)].submit(order, key, signal),
    follow: (request, listener) => issuers[apiOf(request.requestName)].follow(request, listener),
    verify: (outcome, spki, now) => issuers.podCertificateRequest.verify(outcome, spki, now),
  };
}

/** The API that a request of this name was made through. */
export function apiOf(requestName: string): CertificateApi {
  if (requestName.endsWith(nameEndings.certificateSigningRequest)) {
    return 'certificateSigningRequest';
  }
  return requestName.endsWith(nameEndings.certManager) ? 'certManager' : 'podCertificateRequest';
}
