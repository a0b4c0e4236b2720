/**
 * The status a signer writes for a request: an issued chain with its times, or a refusal.
 *
 * https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/pod-certificate-request-v1beta1/
 */
import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import type { Condition, PodCertificateRequest } from '../../agent/kubernetes/objects.ts';
import { keyTypeOf } from '../../volumes/declaration/key-types.ts';
import type { Authority } from './authority.ts';
import type { Behaviour } from './behaviours.ts';
import { dnsNames, requestedKey, spiffeId } from './request.ts';
import type { RequestStatus } from './signer-api.ts';

/** How long certificates live and when they want to be refreshed. */
export interface Lifetimes {
  /** Whole seconds from notBefore to notAfter, unless the request asks for less. */
  readonly lifetimeSeconds: number;
  /** Where between notBefore (0) and notAfter (1) the refresh begins. */
  readonly refreshAtFraction: number;
  /** Least distance of beginRefreshAt from notBefore and from notAfter; 600 on a real cluster. */
  readonly refreshMarginSeconds: number;
}

/** What an answer is made from. */
export interface AnswerContext {
  readonly authority: Authority;
  readonly trustDomain: string;
  /** The user annotation whose value is the path of the SPIFFE ID; absent: none is believed. */
  readonly pathAnnotation?: string | undefined;
  readonly lifetimes: Lifetimes;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

/** The answer to write. */
export interface Answer {
  readonly status: RequestStatus;
  readonly isCertificate: boolean;
}

/** Composes the answer of a signer that behaves like this; undefined when it leaves the request alone. */
export async function composeAnswer(
  request: PodCertificateRequest,
  behaviour: Behaviour,
  context: AnswerContext,
): Promise<Answer | undefined> {
  switch (behaviour.type) {
    case 'silent':
      return undefined;
    case 'denying':
      return refusal('Denied', behaviour.reason, behaviour.message, context.now);
    case 'failing':
      return refusal('Failed', behaviour.reason, behaviour.message, context.now);
    case 'instant':
    case 'slow':
    case 'onlyKeyTypes':
    case 'wrongKey':
    case 'wrongOrder':
    case 'garbage':
    case 'clockSkewed':
      return await composeCertificate(request, behaviour, context);
    default:
      return behaviour satisfies never;
  }
}

async function composeCertificate(
  request: PodCertificateRequest,
  behaviour: Behaviour,
  context: AnswerContext,
): Promise<Answer> {
  const key = requestedKey(request);
  if (key.type === 'unusable') {
    return refusal('Denied', 'UnusableRequest', key.message, context.now);
  }
  if (behaviour.type === 'onlyKeyTypes') {
    const keyType = keyTypeOf(createPublicKey({ key: Buffer.from(key.publicKey), format: 'der', type: 'spki' }));
    if (keyType === undefined || !behaviour.supported.includes(keyType)) {
      const message = `key type ${keyType ?? 'of the request'} is not supported, use ${behaviour.supported[0]}`;
      return refusal('Denied', 'UnsupportedKeyType', message, context.now);
    }
  }
  const skewMs = behaviour.type === 'clockSkewed' ? behaviour.skewMs : 0;
  const times = certificateTimes(request, context.lifetimes, context.now + skewMs);
  const leaf = await context.authority.issue({
    publicKey: behaviour.type === 'wrongKey' ? someOtherKey() : key.publicKey,
    uris: [spiffeId(context.trustDomain, request, context.pathAnnotation)],
    dnsNames: dnsNames(request),
    notBefore: times.notBefore,
    notAfter: times.notAfter,
  });
  return {
    status: {
      conditions: [condition('Issued', 'Issued', 'signed by the sandbox', context.now)],
      certificateChain: writeChain(leaf, context.authority.intermediatePem, behaviour),
      notBefore: rfc3339(times.notBefore),
      notAfter: rfc3339(times.notAfter),
      beginRefreshAt: rfc3339(times.beginRefreshAt),
    },
    isCertificate: true,
  };
}

function writeChain(leaf: string, intermediate: string, behaviour: Behaviour): string {
  if (behaviour.type === 'wrongOrder') {
    return intermediate + leaf;
  }
  if (behaviour.type === 'garbage') {
    const nonsense = Buffer.from('this is not a certificate').toString('base64');
    return `-----BEGIN CERTIFICATE-----\n${nonsense}\n-----END CERTIFICATE-----\n`;
  }
  return leaf + intermediate;
}

function refusal(type: 'Denied' | 'Failed', reason: string, message: string, now: number): Answer {
  return { status: { conditions: [condition(type, reason, message, now)] }, isCertificate: false };
}

function condition(type: string, reason: string, message: string, now: number): Condition {
  return { type, status: 'True', reason, message, lastTransitionTime: rfc3339(now) };
}

/** Times of a certificate made at `now`, on whole seconds as certificates and Kubernetes' times are. */
function certificateTimes(request: PodCertificateRequest, lifetimes: Lifetimes, now: number) {
  const longest = request.spec.maxExpirationSeconds ?? Number.POSITIVE_INFINITY;
  const lifetimeSeconds = Math.min(lifetimes.lifetimeSeconds, longest);
  const earliest = Math.ceil(lifetimes.refreshMarginSeconds);
  const latest = Math.floor(lifetimeSeconds - lifetimes.refreshMarginSeconds);
  const refreshSeconds = Math.round(lifetimeSeconds * lifetimes.refreshAtFraction);
  const notBefore = Math.floor(now / 1000) * 1000;
  return {
    notBefore,
    notAfter: notBefore + lifetimeSeconds * 1000,
    beginRefreshAt: notBefore + Math.min(Math.max(refreshSeconds, earliest), latest) * 1000,
  };
}

function someOtherKey(): Uint8Array {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ type: 'spki', format: 'der' });
}

/** A time as Kubernetes writes it: RFC 3339, whole seconds, UTC. */
function rfc3339(milliseconds: number): string {
  return `${new Date(milliseconds).toISOString().slice(0, 19)}Z`;
}
