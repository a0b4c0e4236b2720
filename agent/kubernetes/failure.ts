/**
 * Turns what can go wrong in a call to the API server into the agent's typed error: one table of HTTP codes, one of
 * network faults.
 *
 * https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/
 */

import { messageOf } from '../../volumes/base/errors.ts';
import { type Actor, AgentError, type ErrorCode } from '../base/errors.ts';
import type { Status } from './objects.ts';
import type { CallWords } from './paths.ts';

/** An error reply of the API server; the `cause` of the AgentError made of it. */
export interface ApiFailure {
  readonly kind: 'ApiFailure';
  readonly httpStatus: number;
  /** metav1.Status reason (`AlreadyExists`, `Invalid`, `Expired` …); absent when the reply was no Status. */
  readonly reason?: string;
  readonly message: string;
  /** What the reply is about, by metav1.Status details: resource (plural) and name. Absent when they were not both sent. */
  readonly about?: { readonly kind: string; readonly name: string };
  /** metav1.Status causes: which field is wrong, and how. */
  readonly causes: readonly { readonly reason?: string; readonly message?: string; readonly field?: string }[];
}

const longestMessage = 1024;

/**
 * Longest wait that a server may ask one caller for, in a header or a Status. More is a mistake, or meant to silence
 * the agent.
 */
const longestRetryAfterMs = 300_000;

/**
 * What HTTP status codes mean to the agent. Of the codes that are not listed, 4xx mean Rejected and all others
 * Unavailable.
 */
const meanings: Readonly<Record<number, readonly [ErrorCode, Actor]>> = {
  400: ['Rejected', 'pod author'],
  401: ['Forbidden', 'cluster operator'],
  403: ['Forbidden', 'cluster operator'],
  404: ['NotFound', 'nobody'],
  408: ['Unavailable', 'nobody'],
  409: ['Conflict', 'nobody'],
  410: ['Unavailable', 'nobody'],
  413: ['Rejected', 'pod author'],
  422: ['Rejected', 'pod author'],
  429: ['Unavailable', 'nobody'],
};

/** What a policy of the cluster does not take; most webhooks say that with 403, a ValidatingAdmissionPolicy with 422. */
const refusedByPolicy = ['Rejected', 'cluster operator'] as const;

/** How the API server begins what a webhook says, and what a policy says. */
const policyWords =
  /^admission webhook "[^"]*" denied the request|^\S+ "[^"]*" is forbidden: ValidatingAdmissionPolicy '[^']*' with binding '[^']*' denied/;

/** OpenSSL's and Node's words for a server certificate that is not trusted or not the server's. */
const tlsFaults = new Set([
  'CERT_HAS_EXPIRED',
  'CERT_NOT_YET_VALID',
  'CERT_REJECTED',
  'CERT_SIGNATURE_FAILURE',
  'CERT_UNTRUSTED',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'ERR_TLS_CERT_ALTNAME_INVALID',
  'INVALID_CA',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
]);

/** The API server's reply behind an error, where there is one. */
export function apiFailureOf(error: unknown): ApiFailure | undefined {
  const cause = error instanceof AgentError ? error.cause : undefined;
  return isApiFailure(cause) ? cause : undefined;
}

/**
 * True when the node authorizer did not let a node read an object because nothing connects the two. A node gets this
 * answer, and never a 404, for an object that does not exist, and for a moment also for one that has just been created;
 * a missing role is worded differently.
 * https://kubernetes.io/docs/reference/access-authn-authz/node/
 */
export function isUnrelatedToNode(error: unknown): boolean {
  const failure = apiFailureOf(error);
  return (
    failure?.httpStatus === 403 && /no relationship found between node '[^']*' and this object/.test(failure.message)
  );
}

/**
 * True when an admission webhook or a ValidatingAdmissionPolicy refused what the caller had permission for. No permission
 * that somebody could give would help.
 * https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/
 */
function isRefusedByPolicy({ httpStatus, message }: ApiFailure): boolean {
  return httpStatus >= 400 && httpStatus < 500 && policyWords.test(message);
}

/** True when the server's certificate was not accepted: the CA may have been rotated. */
export function isTlsFault(error: unknown): boolean {
  return tlsFaults.has(codeOf(error));
}

/**
 * An error reply.
 * @param said a metav1.Status, or the text that a proxy wrote instead
 * @param retryAfterMs from the Retry-After header, where there was one.
 */
export function replyError(
  call: CallWords,
  httpStatus: number,
  said: Status | string,
  retryAfterMs?: number,
): AgentError {
  const [status, text] = typeof said === 'string' ? [undefined, said.trim()] : [said, ''];
  const failure: ApiFailure = {
    kind: 'ApiFailure',
    httpStatus,
    ...(status?.reason === undefined ? {} : { reason: status.reason }),
    message: shorten(status?.message ?? (text || 'no message')),
    ...aboutOf(status),
    causes: status?.details?.causes ?? [],
  };
  const [code, actor] = isRefusedByPolicy(failure)
    ? refusedByPolicy
    : meaningOf(isNamespaceEnding(failure) ? 503 : httpStatus);
  const seconds = status?.details?.retryAfterSeconds;
  const wait = retryAfterMs ?? (typeof seconds === 'number' && seconds > 0 ? seconds * 1000 : undefined);
  return new AgentError(code, wordsFor(call, failure), {
    actor,
    cause: failure,
    ...(wait === undefined ? {} : { retryAfterMs: Math.min(wait, longestRetryAfterMs) }),
  });
}

/** The error that an `ERROR` frame of a watch carries: a metav1.Status without an HTTP reply around it. */
export function frameError(call: CallWords, status: Status | undefined): AgentError {
  return replyError(call, status?.code ?? 500, status ?? '');
}

/** No usable reply at all: connection refused or broken, time limit reached, reply unreadable. */
export function networkError(call: CallWords, fault: unknown): AgentError {
  if (fault instanceof AgentError) {
    return fault;
  }
  const actor: Actor = isTlsFault(fault) ? 'cluster operator' : 'nobody';
  const words = messageOf(fault) || codeOf(fault);
  return new AgentError('Unavailable', `cannot ${call.verb} ${call.resource}: ${words}`, { actor, cause: fault });
}

/** The caller ended the call. */
export function abortedError(call: CallWords): AgentError {
  return new AgentError('Aborted', `${call.verb} ${call.resource} was ended by its caller`, { actor: 'nobody' });
}

/** True for a call that its caller, or the end of its client, has ended. */
export function isAborted(error: unknown): boolean {
  return error instanceof AgentError && error.code === 'Aborted';
}

function meaningOf(httpStatus: number): readonly [ErrorCode, Actor] {
  const meaning = meanings[httpStatus];
  if (meaning !== undefined) {
    return meaning;
  }
  return httpStatus >= 400 && httpStatus < 500 ? ['Rejected', 'cluster operator'] : ['Unavailable', 'nobody'];
}

function wordsFor(call: CallWords, failure: ApiFailure): string {
  const what = `${call.verb} ${call.resource}`;
  if (failure.httpStatus === 401) {
    return `the API server does not accept the credentials of ${call.who} (${what}): ${failure.message}`;
  }
  if (failure.httpStatus === 403 && isImpersonationOfUsers(call, failure)) {
    return `the API server does not let the agent act as ${failure.about?.name} (${what}), because it knows no constrained impersonation: that is in Kubernetes 1.36 and newer, with the feature ConstrainedImpersonation on. Do not allow the agent to impersonate users: that is the right to be anybody. Use identity.mode serviceAccount, in which signers have to look up the pod (docs/security.md)`;
  }
  if (isNamespaceEnding(failure)) {
    return `cannot ${what}: the namespace is being deleted, and nothing new can be made in it [HTTP ${failure.httpStatus}]`;
  }
  if (failure.httpStatus === 403 && !isRefusedByPolicy(failure)) {
    return `the API server does not let ${call.who} ${what}: ${failure.message}`;
  }
  const fields = failure.causes.flatMap((cause) =>
    cause.field === undefined || failure.message.includes(cause.field)
      ? []
      : [`${cause.field}: ${cause.message ?? cause.reason ?? 'invalid'}`],
  );
  const detail = fields.length === 0 ? '' : ` (${shorten(fields.join('; '))})`;
  return `cannot ${what}: ${failure.message}${detail} [HTTP ${failure.httpStatus}]`;
}

/** A namespace that is being deleted lets nobody make anything in it: no permission is missing, and its pods go too. */
function isNamespaceEnding({ httpStatus, causes }: ApiFailure): boolean {
  return httpStatus === 403 && causes.some(({ reason }) => reason === 'NamespaceTerminating');
}

/**
 * No call of the agent is about users. A refusal that is about users comes from the check of classic impersonation,
 * which precedes the call.
 */
function isImpersonationOfUsers(call: CallWords, { about }: ApiFailure): boolean {
  return about?.kind === 'users' && !call.kind.startsWith('users');
}

function aboutOf(status: Status | undefined): Pick<ApiFailure, 'about'> {
  const { kind, name } = status?.details ?? {};
  return kind === undefined || name === undefined ? {} : { about: { kind, name } };
}

function isApiFailure(value: unknown): value is ApiFailure {
  return typeof value === 'object' && value !== null && 'kind' in value && value.kind === 'ApiFailure';
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
}

function shorten(text: string): string {
  return text.length <= longestMessage ? text : `${text.slice(0, longestMessage)} …`;
}
