/**
 * Certificates through cert-manager's CertificateRequests (cert-manager.io/v1): one request for each key, approved by an
 * approver and answered by an issuer. A request is never answered twice, so one that failed is replaced by another. It is
 * owned by its pod and goes with it.
 *
 * https://cert-manager.io/docs/usage/certificaterequest/
 */
import type { CertificateRequest } from '../kubernetes/objects.ts';
import type { Outcome } from '../lifecycle/ports.ts';
import { conditionOf, issuedOutcome, type RequestKind, requestLabels } from './contents-request.ts';

export const certificateRequests: RequestKind<CertificateRequest, 'certManager'> = {
  api: 'certManager',
  kind: 'CertificateRequest',
  body(order, request, choice, nodeName) {
    const { identity, maxExpirationSeconds } = order;
    const { name, namespace, uid } = identity.pod;
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
        ...(maxExpirationSeconds === undefined ? {} : { duration: `${maxExpirationSeconds}s` }),
      },
    };
  },
  accepts: (choice) => (choice.api === 'certManager' ? choice : undefined),
  key: (namespace, requestName) => `${namespace}/${requestName}`,
  asksForTheSame: ({ spec: { issuerRef } }, _, { issuer }) =>
    issuerRef.name === issuer.name && (issuerRef.kind ?? 'Issuer') === issuer.kind,
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
    return isReady ? issuedOutcome(status.certificate, refreshAfter) : undefined;
  },
};
