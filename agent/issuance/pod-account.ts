/**
 * Requests on behalf of a pod's own service account: where its tokens come from, as an interface, and what is said when the
 * API server does not let the account in.
 */
import type { PodReference } from '../../volumes/base/volume.ts';
import type { CallOptions } from '../base/call.ts';
import { AgentError, type AgentErrorOptions } from '../base/errors.ts';
import type { Bearer } from '../kubernetes/bearer.ts';
import { apiFailureOf } from '../kubernetes/failure.ts';
import type { CertificateApi } from './issuer-rules.ts';

type ContentsApi = Exclude<CertificateApi, 'podCertificateRequest'>;

/** Where tokens of pods' service accounts come from. An empty audience is that of the API server itself. */
export interface PodTokens {
  /**
   * Resolves when a token is at hand or can be asked for.
   * @param onWait told what is waited for, where something is
   * @throws AgentError TokenMissing when waiting does not help; Aborted
   */
  ready(pod: PodReference, audience: string, signal: AbortSignal, onWait: (what: string) => void): Promise<void>;
  /** A token for one call, to be forgotten after it. @throws AgentError, TokenMissing among others */
  bearer(pod: PodReference, audience: string, call: CallOptions): Promise<Bearer>;
}

/** The account as messages name it. */
export function accountOf({ namespace, serviceAccountName }: PodReference): string {
  return `service account ${namespace}/${serviceAccountName}`;
}

/** An audience as messages say that it has to stand in tokenRequests. */
export function listedAudience(audience: string): string {
  return audience === '' ? 'the empty audience' : `audience ${audience}`;
}

export function tokenMissing(pod: PodReference, why: string, more: Partial<AgentErrorOptions> = {}): AgentError {
  const message = `there is no usable token of ${accountOf(pod)} to make the request with: ${why}`;
  return new AgentError('TokenMissing', message, { actor: 'cluster operator', ...more });
}

/** RBAC's words for an account that lacks a permission; another authorizer has others. */
const lacksPermission = /\bcannot create resource\b/;

/** Where the requests of an API are made, in the words of RBAC. */
const resources: Readonly<Record<ContentsApi, string>> = {
  certificateSigningRequest: 'certificatesigningrequests.certificates.k8s.io',
  certManager: 'certificaterequests.cert-manager.io',
};

/** What a request made with a pod's token is refused with, for those who can mend it; any other error stays as it is. */
export function refusalOfAccount(error: unknown, pod: PodReference, api: ContentsApi): unknown {
  const failure = apiFailureOf(error);
  // By the code: a namespace that is being deleted refuses everybody, and a policy may have nothing against the account.
  const isRefusal = error instanceof AgentError && error.code === 'Forbidden';
  if (!isRefusal || (failure?.httpStatus !== 401 && failure?.httpStatus !== 403)) {
    return error;
  }
  const refuse = (message: string): AgentError =>
    new AgentError('AccountForbidden', message, { actor: 'cluster operator', cause: failure });
  const account = accountOf(pod);
  if (failure.httpStatus === 401) {
    const audience = 'the audience in the rule has to be one of the API server itself, or absent';
    return refuse(`the API server does not accept the token of ${account} (${failure.message}): ${audience}`);
  }
  const what = `create ${resources[api]}`;
  if (!lacksPermission.test(failure.message)) {
    return refuse(`the API server does not let ${account} ${what}: ${failure.message}`);
  }
  const where = api === 'certManager' ? ` in namespace ${pod.namespace}` : '';
  const lacks = `${account} has no permission to ${what}${where}, and the rule for this signer says "as: pod"`;
  return refuse(`${lacks}: either the workload may make such requests by itself, or the rule has to say "as: agent"`);
}
