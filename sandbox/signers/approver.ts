/**
 * An approver of CertificateSigningRequests for pods: looks at each request to the signers that it is responsible for, approves
 * what the pod may have and denies what differs, saying what that is. Requests that do not claim to be for a pod are left to
 * somebody else, and nothing is signed here.
 */
import type { ApiClient } from '../../agent/kubernetes/client.ts';
import { createListWatch } from '../../agent/kubernetes/list-watch.ts';
import type { Condition } from '../../agent/kubernetes/objects.ts';
import { corePrefix, resourcePath } from '../../agent/kubernetes/paths.ts';
import { asSent, whenFound } from '../base/client.ts';
import {
  type ApprovalRules,
  type ApprovedPod,
  faultsOf,
  podOf,
  type StampedRequest,
  saysItIsForAPod,
} from './approval.ts';
import { attend } from './attend.ts';

export interface ApproverOptions extends ApprovalRules {
  readonly client: ApiClient;
  /** Names of signers, or `domain/*`. */
  readonly signers: readonly string[];
  /** Hears of each decision. */
  readonly onDecision?: (requestName: string, isApproved: boolean, message: string) => void;
  /** Hears of what went wrong; the request is looked at again. */
  readonly onProblem: (message: string) => void;
}

const prefix = '/apis/certificates.k8s.io/v1';
const resource = 'certificatesigningrequests';
/** Pause before requests are looked at again after something went wrong. */
const retryMs = 5_000;
const longestMessage = 1_000;

/** Decides until closed. */
export function startApprover(options: ApproverOptions): { close(): void } {
  const { client, onProblem } = options;
  const watch = createListWatch<StampedRequest>({
    client,
    decode: asSent<StampedRequest>,
    path: async () => resourcePath(prefix, { resource }),
    onError: (error) => onProblem(error.message),
  });
  let retry: NodeJS.Timeout | undefined;
  const attendance = attend(
    watch,
    (request) => decide(options, request),
    (problem) => {
      onProblem(problem);
      retry ??= setTimeout(() => {
        retry = undefined;
        attendance.lookAgain();
      }, retryMs).unref();
    },
  );
  return {
    close() {
      clearTimeout(retry);
      watch.stop();
    },
  };
}

async function decide(options: ApproverOptions, request: StampedRequest): Promise<void> {
  const { spec, status, metadata } = request;
  const isDecided = status?.conditions?.some(({ type }) => ['Approved', 'Denied', 'Failed'].includes(type)) ?? false;
  if (isDecided || !isOurs(options.signers, spec.signerName) || !saysItIsForAPod(request)) {
    return;
  }
  const place = podOf(request);
  const path = place && resourcePath(corePrefix, { resource: 'pods', ...place });
  const pod =
    path === undefined
      ? undefined
      : await options.client.request({ method: 'GET', path, decode: asSent<ApprovedPod> }).catch(whenFound);
  const faults = await faultsOf(request, pod, options);
  const isApproved = faults.length === 0;
  const message = isApproved
    ? 'requester, pod, names, usages and key agree'
    : faults.join('; ').slice(0, longestMessage);
  const condition: Condition = isApproved
    ? { type: 'Approved', status: 'True', reason: 'PodVerified', message }
    : { type: 'Denied', status: 'True', reason: 'PodMismatch', message };
  const conditions = [...(status?.conditions ?? []), condition];
  const body = {
    ...{ ...request, apiVersion: 'certificates.k8s.io/v1', kind: 'CertificateSigningRequest' },
    status: { ...status, conditions },
  };
  const approval = resourcePath(prefix, { resource, name: metadata.name, subresource: 'approval' });
  await options.client.request({ method: 'PUT', path: approval, body });
  options.onDecision?.(metadata.name, isApproved, message);
}

function isOurs(signers: readonly string[], signerName: string): boolean {
  const [domain = ''] = signerName.split('/');
  return signers.includes(signerName) || signers.includes(`${domain}/*`);
}
