/**
 * Certificates through the CertificateSigningRequest API (certificates.k8s.io/v1): one request for each key, which
 * somebody approves and its signer signs. The requests are cluster-scoped and cannot be owned by a pod, so the agent
 * deletes them once they are answered.
 *
 * https://kubernetes.io/docs/reference/access-authn-authz/certificate-signing-requests/
 */
import type { CertificateSigningRequest } from '../kubernetes/objects.ts';
import type { CertificateOrder, Hurdle, Outcome } from '../lifecycle/ports.ts';
import { capabilities } from './capabilities.ts';
import {
  conditionOf,
  hurdleOf,
  issuedOutcome,
  lifetimeOf,
  type RequestKind,
  requestLabels,
  shown,
} from './contents-request.ts';

/** The API takes no less, whatever the pod asks for. */
const { shortestLifetimeSeconds } = capabilities.certificateSigningRequest;

/** Which pod a request is for, `namespace/name`: an approver finds it by that, and compares its UID and node with the labels. */
const podAnnotation = 'podcert.io/pod';

export const certificateSigningRequests: RequestKind<CertificateSigningRequest, 'certificateSigningRequest'> = {
  api: 'certificateSigningRequest',
  kind: 'CertificateSigningRequest',
  body(order, request, choice, nodeName) {
    const { signerName } = order;
    const { namespace, name, uid } = order.identity.pod;
    const lifetime = lifetimeOf(order, choice);
    return {
      apiVersion: 'certificates.k8s.io/v1',
      kind: 'CertificateSigningRequest',
      metadata: {
        name: order.requestName,
        labels: requestLabels(nodeName, uid),
        annotations: { [podAnnotation]: `${namespace}/${name}` },
      },
      spec: {
        request,
        signerName,
        usages: choice.usages,
        ...(lifetime === undefined ? {} : { expirationSeconds: Math.max(lifetime, shortestLifetimeSeconds) }),
      },
    };
  },
  accepts: (choice) => (choice.api === 'certificateSigningRequest' ? choice : undefined),
  outline: (metadata) => ({ metadata, spec: { request: '', signerName: '' } }),
  key: (_, requestName) => requestName,
  asksForTheSame: (existing, order: CertificateOrder) => existing.spec.signerName === order.signerName,
  outcome({ status }, refreshAfter): Outcome | undefined {
    const denied = conditionOf(status, 'Denied');
    if (denied !== undefined) {
      return { type: 'denied', ...denied };
    }
    const failed = conditionOf(status, 'Failed');
    if (failed !== undefined) {
      return { type: 'failed', ...failed };
    }
    return status?.certificate === undefined ? undefined : issuedOutcome(status.certificate, refreshAfter);
  },
  hurdle({ metadata: { name }, spec: { signerName }, status }): Hurdle {
    const subject = `CertificateSigningRequest ${name}`;
    if (conditionOf(status, 'Approved') !== undefined) {
      return hurdleOf('signer', `${subject} is approved, and signer ${shown(signerName)} has not signed it`);
    }
    const how = `whoever may approve for signer ${shown(signerName)} does it with "kubectl certificate approve ${name}"`;
    return hurdleOf('approver', `${subject} waits for its approval: ${how}`);
  },
};
