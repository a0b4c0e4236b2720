/**
 * Issuance through an API whose request carries a full PKCS#10 request, with names and usages of the agent's making:
 * CertificateSigningRequests, and cert-manager's CertificateRequests. What the two have in common is here; what differs
 * is described by a `RequestKind` each.
 */

import { createHash, X509Certificate } from 'node:crypto';
import { longestChainBytes } from '../../volumes/base/limits.ts';
import type { PodReference } from '../../volumes/base/volume.ts';
import type { CallOptions } from '../base/call.ts';
import { cut } from '../base/cut.ts';
import { AgentError } from '../base/errors.ts';
import { type Validity, validityOf } from '../base/validity.ts';
import type { Condition, ObjectMeta } from '../kubernetes/objects.ts';
import type { CertificateOrder, Hurdle, Issuer, Outcome, PrivateKey } from '../lifecycle/ports.ts';
import { certificationRequestInfo } from './certification-request.ts';
import { verifyChain } from './chain.ts';
import { type Claims, type ContentsRequest, createClaims, isOutline } from './claims.ts';
import { createFollowing } from './following.ts';
import { type HurdleEvents, tellWithEvents } from './hurdle-events.ts';
import { type CertificateApi, defaultRefreshAfter, type IssuerChoice, type RequestSettings } from './issuer-rules.ts';
import { leftovers, podLabel } from './leftovers.ts';
import { type PodTokens, refusalOfAccount } from './pod-account.ts';
import { callFor, type RequestCache, type SimpleRequestApi } from './request-calls.ts';
import { requestNameFor } from './request-name.ts';
import { namesFor } from './template.ts';

export type { ContentsRequest } from './claims.ts';

type ContentsApi = Exclude<CertificateApi, 'podCertificateRequest'>;
/** How a rule asks through an API of this sort. */
export type ChoiceOf<A extends ContentsApi> = ContentsChoices[A];

interface ContentsChoices {
  readonly certificateSigningRequest: Extract<IssuerChoice, { readonly api: 'certificateSigningRequest' }>;
  readonly certManager: Extract<IssuerChoice, { readonly api: 'certManager' }>;
}

/** What differs between the APIs. */
export interface RequestKind<T extends ContentsRequest, A extends ContentsApi = ContentsApi> {
  readonly api: A;
  /** The object's kind, for messages. */
  readonly kind: string;
  /** @param request PKCS#10 request, PEM, base64 */
  body(order: CertificateOrder, request: string, choice: ChoiceOf<A>, nodeName: string): T;
  /** A request of which no more is known than that it is there. */
  outline(metadata: ObjectMeta): T;
  /** The key of a request in the live copy. */
  key(namespace: string, requestName: string): string;
  /** Whether an existing request of this name and public key asks the same signer. */
  asksForTheSame(existing: T, order: CertificateOrder, choice: ChoiceOf<A>): boolean;
  /** The choice, when it is for this API. */
  accepts(choice: IssuerChoice): ChoiceOf<A> | undefined;
  /** The answer, or undefined while there is none. */
  outcome(request: T, refreshAfter: number): Outcome | undefined;
  /** What a request without an answer waits for. */
  hurdle(request: T): Hurdle;
}

/**
 * How the names of the other APIs' requests end. A pending request is found again by its name alone after a restart, so the
 * name tells which API it was made through; names of PodCertificateRequests hold no dot.
 */
export const nameEndings: Readonly<Record<ContentsApi, string>> = {
  certificateSigningRequest: '.csr',
  certManager: '.cr',
};

/** Label by which an agent selects the requests of its node. */
export const nodeLabel = 'podcert.io/node';
const longestLabelValue = 63;

/** A node's name as a label's value, which holds less than a name may have. */
export function nodeLabelValue(nodeName: string): string {
  if (nodeName.length <= longestLabelValue) {
    return nodeName;
  }
  return createHash('sha256').update(nodeName).digest('hex').slice(0, 40);
}

export function requestLabels(nodeName: string, podUID: string): Readonly<Record<string, string>> {
  return { [nodeLabel]: nodeLabelValue(nodeName), [podLabel]: podUID };
}

/** The lifetime to ask for, in seconds: the shorter of the pod's and the rule's, as far as they say one. */
export function lifetimeOf({ maxExpirationSeconds }: CertificateOrder, { lifetimeSeconds }: RequestSettings) {
  const wishes = [maxExpirationSeconds, lifetimeSeconds].filter((seconds) => seconds !== undefined);
  return wishes.length === 0 ? undefined : Math.min(...wishes);
}

/** The condition of a type, when it has the given status. */
export function conditionOf(
  status: { readonly conditions?: readonly Condition[] } | undefined,
  type: string,
  holds = 'True',
): { readonly reason: string; readonly message: string } | undefined {
  const condition = status?.conditions?.find((each) => each.type === type && each.status === holds);
  return condition && { reason: condition.reason ?? '', message: condition.message ?? '' };
}

/** After that the next list shows what became of a request. */
const longestReadMs = 60_000;
const longestDetail = 1024;
const longestShown = 100;

/** A name that somebody else chose, as the agent's own sentences carry it. */
export function shown(name: string): string {
  return cut(name, longestShown);
}

/** What a request waits for, with what the other side says about it, if it says anything. */
export function hurdleOf(turn: Hurdle['turn'], text: string, detail = ''): Hurdle {
  return detail === '' ? { turn, text } : { turn, text, detail: detail.slice(0, longestDetail) };
}

/**
 * An issued certificate, whose times only the leaf tells. A leaf that cannot be read has no times, and the checks on the
 * chain refuse it with their reason.
 * @param certificate PEM, base64, leaf first
 * @param ca PEM, base64, the issuer's trust anchors where its API gives them
 */
export function issuedOutcome(certificate: string, refreshAfter: number, ca?: string): Outcome {
  const certificateChain = Buffer.from(certificate, 'base64').toString('utf8');
  // What is refused for its length is not read: these APIs let a signer write a megabyte, and OpenSSL takes long over some.
  const isTooLong = Buffer.byteLength(certificateChain) > longestChainBytes;
  const { notBefore, notAfter } = isTooLong ? unknownValidity : leafValidity(certificateChain);
  const beginRefreshAt = notBefore + Math.round((notAfter - notBefore) * refreshAfter);
  const anchors = ca === undefined ? {} : { anchors: Buffer.from(ca, 'base64').toString('utf8') };
  return { type: 'issued', certificateChain, notBefore, notAfter, beginRefreshAt, ...anchors };
}

const unknownValidity: Validity = { notBefore: Number.NaN, notAfter: Number.NaN };

function leafValidity(chain: string): Validity {
  try {
    return validityOf(new X509Certificate(chain));
  } catch {
    return unknownValidity;
  }
}

export interface ContentsIssuerOptions<T extends ContentsRequest, A extends ContentsApi> {
  readonly kind: RequestKind<T, A>;
  readonly calls: SimpleRequestApi<T>;
  readonly cache: RequestCache<T> & { list(): readonly T[] };
  /** What the live copy keeps whole; by default it keeps all. */
  readonly claims?: Claims<T>;
  readonly nodeName: string;
  /** The trust domain of SPIFFE IDs; asked for with every request. */
  readonly trustDomain: () => string;
  /** How the rules in force ask a signer. @throws AgentError */
  readonly choice: (namespace: string, signerName: string) => IssuerChoice;
  /** Where tokens of pods come from, for rules that say "as: pod". */
  readonly tokens: PodTokens;
  /** What others say in their events about a request that waits, where somebody does. */
  readonly events?: HurdleEvents;
  /** Takes a fault of what nobody waits for: the removal of an answered request. */
  readonly onFault: (error: AgentError) => void;
}

export function createContentsIssuer<T extends ContentsRequest, A extends ContentsApi>(
  options: ContentsIssuerOptions<T, A>,
): Issuer {
  const { kind, calls, cache, nodeName, claims = createClaims<T>(kind.outline) } = options;
  /** Of the requests that are followed, by key. */
  const refreshAfter = new Map<string, number>();
  const outcomeOf = (request: T): Outcome | undefined => {
    const known = refreshAfter.get(kind.key(request.metadata.namespace ?? '', request.metadata.name));
    return kind.outcome(request, known ?? defaultRefreshAfter);
  };
  const following = createFollowing(cache, outcomeOf, kind.hurdle);

  async function requestFor(order: CertificateOrder, key: PrivateKey, { usages, template }: RequestSettings) {
    const names = namesFor(template, order.identity, options.trustDomain(), order.names);
    const info = await certificationRequestInfo(key.spki, names, usages);
    return pemInBase64(await key.signedRequest(info));
  }

  function choiceFor({ namespace }: PodReference, signerName: string): ChoiceOf<A> {
    const choice = kind.accepts(options.choice(namespace, signerName));
    if (choice === undefined) {
      const message = `signer ${signerName} is asked through another API than ${kind.kind}s by now`;
      throw new AgentError('Conflict', message, { actor: 'nobody' });
    }
    return choice;
  }

  /** Makes the request, on whose behalf the rule says. */
  async function create(body: T, { requester }: RequestSettings, pod: PodReference, call: CallOptions): Promise<void> {
    if (requester.as === 'agent') {
      return calls.create(body, call);
    }
    const bearer = await options.tokens.bearer(pod, requester.audience, call);
    await calls.create(body, { ...call, bearer }).catch((error: unknown) => {
      throw refusalOfAccount(error, pod, kind.api);
    });
  }

  async function submit(order: CertificateOrder, key: PrivateKey, signal: AbortSignal): Promise<void> {
    const { pod } = order.identity;
    const { namespace } = pod;
    const choice = choiceFor(pod, order.signerName);
    const call = callFor(order, signal);
    claims.claim(kind.key(namespace, order.requestName));
    following.expect(kind.key(namespace, order.requestName));
    try {
      const body = kind.body(order, await requestFor(order, key, choice), choice, nodeName);
      await create(body, choice, pod, call);
    } catch (error) {
      if (!(error instanceof AgentError && error.code === 'Conflict')) {
        throw error;
      }
      const known = cache.get(kind.key(namespace, order.requestName));
      const existing =
        known === undefined || isOutline(known) ? await calls.get(namespace, order.requestName, call) : known;
      if (!holdsKey(existing, key.spki) || !kind.asksForTheSame(existing, order, choice)) {
        const message = `a ${kind.kind} ${order.requestName} exists that this agent did not make`;
        throw new AgentError('Conflict', message, { actor: 'nobody', cause: error });
      }
    }
    following.submitted(kind.key(namespace, order.requestName));
  }

  /** How to read a request of an earlier run, which the live copy may have taken for somebody else's. */
  function missedBy(namespace: string, requestName: string): (() => Promise<T>) | undefined {
    const key = kind.key(namespace, requestName);
    const known = cache.get(key);
    const wasClaimed = claims.claim(key);
    const isMissed = known === undefined ? !wasClaimed && cache.lists().taken > 0 : isOutline(known);
    return isMissed
      ? () => calls.get(namespace, requestName, { priority: 'first', signal: AbortSignal.timeout(longestReadMs) })
      : undefined;
  }

  /** By the rules in force; a rule that has changed meanwhile says nothing about a request of the old one. */
  function refreshAfterOf(namespace: string, signerName: string): number {
    try {
      const choice: RequestSettings | undefined = kind.accepts(options.choice(namespace, signerName));
      return choice?.refreshAfter ?? defaultRefreshAfter;
    } catch (error) {
      if (error instanceof AgentError) {
        return defaultRefreshAfter;
      }
      throw error;
    }
  }

  /**
   * It has no owner, or one that may live for long, and nobody is to approve it any more. With it goes what an earlier removal
   * has left of this source.
   */
  function removeUseless(namespace: string, requestName: string): void {
    const useless = cache.get(kind.key(namespace, requestName));
    const others = useless === undefined ? [] : leftovers(useless, cache.list());
    const left = others
      .map(({ metadata }) => metadata.name)
      .filter((name) => !refreshAfter.has(kind.key(namespace, name)));
    claims.release(kind.key(namespace, requestName));
    for (const name of [requestName, ...left]) {
      calls.remove(namespace, name).catch(options.onFault);
    }
  }

  return {
    requestName: ({ pod, volumeName, sourceIndex }, spki) =>
      requestNameFor(pod.uid, volumeName, sourceIndex, spki) + nameEndings[kind.api],
    async prepare({ pod, signerName }, signal, onWait) {
      const { requester }: RequestSettings = choiceFor(pod, signerName);
      if (requester.as === 'pod') {
        await options.tokens.ready(pod, requester.audience, signal, onWait);
      }
    },
    submit,
    follow({ namespace, requestName, signerName }, listener, onHurdle) {
      const key = kind.key(namespace, requestName);
      refreshAfter.set(key, refreshAfterOf(namespace, signerName));
      const teller = options.events && onHurdle && tellWithEvents(options.events, { namespace, requestName }, onHurdle);
      const onOutcome = (outcome: Outcome): void => {
        refreshAfter.delete(key);
        claims.release(key);
        teller?.end();
        listener(outcome);
      };
      const end = following.follow(key, onOutcome, teller?.hinder ?? onHurdle, missedBy(namespace, requestName));
      return () => {
        refreshAfter.delete(key);
        claims.release(key);
        teller?.end();
        end();
      };
    },
    abandon: ({ namespace, requestName }) => removeUseless(namespace, requestName),
    verify: (outcome, spki, now) => verifyChain(outcome, spki, now),
  };
}

function holdsKey({ spec }: ContentsRequest, spki: Uint8Array): boolean {
  const [, body = ''] = Buffer.from(spec.request, 'base64')
    .toString('latin1')
    .split(/-----(?:BEGIN|END) [A-Z ]+-----/, 3);
  return Buffer.from(body, 'base64').includes(Buffer.from(spki));
}

/** RFC 7468 text, in base64 as the API carries bytes. */
function pemInBase64(der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  const text = ['-----BEGIN CERTIFICATE REQUEST-----', ...lines, '-----END CERTIFICATE REQUEST-----', ''].join('\n');
  return Buffer.from(text).toString('base64');
}
