/**
 * Reads the signer's answer from the status of a PodCertificateRequest.
 * https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/pod-certificate-request-v1beta1/#PodCertificateRequestStatus
 */
import type { NodeRequest } from '../kubernetes/objects.ts';
import type { Outcome } from '../lifecycle/ports.ts';

/**
 * The answer, or undefined while there is none: the API server allows at most one of the three conditions and never
 * lets it change. A time that is absent or unreadable is NaN, and a chain that is absent is empty; the checks of
 * `verifyChain` refuse both with their reason, so that there is one place where an unusable answer is refused.
 */
export function outcomeOf({ status }: NodeRequest): Outcome | undefined {
  for (const { type, status: holds, reason = '', message = '' } of status?.conditions ?? []) {
    if (holds !== 'True') {
      continue;
    }
    switch (type) {
      case 'Issued':
        return {
          type: 'issued',
          certificateChain: status?.certificateChain ?? '',
          notBefore: Date.parse(status?.notBefore ?? ''),
          notAfter: Date.parse(status?.notAfter ?? ''),
          beginRefreshAt: Date.parse(status?.beginRefreshAt ?? ''),
        };
      case 'Denied':
        return { type: 'denied', reason, message };
      case 'Failed':
        return { type: 'failed', reason, message };
      default:
    }
  }
  return undefined;
}
