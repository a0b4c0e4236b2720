/**
 * Certificates through cert-manager's CertificateRequests (cert-manager.io/v1): one request for each key, approved by an
 * approver and answered by an issuer. A request is never answered twice, so one that failed is replaced by another. It is
 * owned by its pod and goes with it.
 *
 * https://cert-manager.io/docs/usage/certificaterequest/
 */
import type { CertificateRequest } from '../kubernetes/objects.ts';
import type { Hurdle, Outcome } from '../lifecycle/ports.ts';
import {
  conditionOf,
  hurdleOf,
  issuedOutcome,
  lifetimeOf,
  type RequestKind,
  requestLabels,
  shown,
} from './contents-request.ts';

export const certificateRequests: RequestKind<CertificateRequest, 'certManager'> = {
  api: 'certManager',
  kind: 'CertificateRequest',
  body(order, request, choice, nodeName) {
    const { name, namespace, uid } = order.identity.pod;
    const lifetime = lifetimeOf(order, choice);
    return {
      apiVersion: 'cert-manager.io/v1',
      kind: 'CertificateRequest',
      metadata: {
        name: order.requestName,
        namespace,
        labels: requestLabels(nodeName, uid),
        ownerReferences: [{ apiVersion: 'v1', kind: 'Pod', name, uid }],
      },
      spec: {
        request,
        issuerRef: choice.issuer,
        usages: choice.usages,
        isCA: false,
        ...(lifetime === undefined ? {} : { duration: `${lifetime}s` }),
      },
    };
  },
  accepts: (choice) => (choice.api === 'certManager' ? choice : undefined),
  outline: (metadata) => ({ metadata, spec: { request: '', issuerRef: { name: '' } } }),
  key: (namespace, requestName) => `${namespace}/${requestName}`,
  asksForTheSame: ({ spec: { issuerRef } }, _, { issuer }) =>
    issuerRef.name === issuer.name &&
    (issuerRef.kind ?? 'Issuer') === issuer.kind &&
    (issuerRef.group ?? 'cert-manager.io') === issuer.group,
  outcome({ status }, refreshAfter): Outcome | undefined {
    const invalid = conditionOf(status, 'InvalidRequest');
    if (invalid !== undefined) {
      return { type: 'failed', ...invalid, reason: invalid.reason || 'InvalidRequest' };
    }
    const denied = conditionOf(status, 'Denied');
    if (denied !== undefined) {
      return { type: 'denied', ...denied };
    }
    const unready = conditionOf(status, 'Ready', 'False');
    if (unready?.reason === 'Failed') {
      return { type: 'failed', ...unready };
    }
    if (unready?.reason === 'Denied') {
      return { type: 'denied', ...unready };
    }
    const isReady = conditionOf(status, 'Ready') !== undefined && status?.certificate !== undefined;
    return isReady ? issuedOutcome(status.certificate, refreshAfter, status.ca) : undefined;
  },
  hurdle({ metadata: { namespace = '', name }, spec: { issuerRef }, status }): Hurdle {
    const subject = `CertificateRequest ${namespace}/${name}`;
    const said = conditionOf(status, 'Ready', 'False')?.message;
    if (conditionOf(status, 'Approved') !== undefined) {
      const issuer = `${shown(issuerRef.kind ?? 'Issuer')} ${shown(issuerRef.name)}`;
      return hurdleOf('signer', `${subject} is approved, and ${issuer} has not issued its certificate`, said);
    }
    const how = `an approver does it, or "cmctl approve -n ${namespace} ${name}"`;
    const policies = 'with approver-policy, a CertificateRequestPolicy must match that the requester may use';
    return hurdleOf('approver', `${subject} waits for its approval: ${how}; ${policies}`, said);
  },
};
