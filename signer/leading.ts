/**
 * What the replica that leads does: keeps the CA, and answers requests with it. It ends with the signal, in the midst of a call if need be: whoever
 * leads next finds each request either answered or as it was.
 */

import type { AgentError } from '../agent/base/errors.ts';
import { createQueue } from '../agent/base/queue.ts';
import type { ApiClient } from '../agent/kubernetes/client.ts';
import type { Discovery } from '../agent/kubernetes/discovery.ts';
import type { KubernetesObject } from '../agent/kubernetes/objects.ts';
import type { Logger } from '../agent/observe/log/log.ts';
import { onceAWhile, warnOnce } from '../agent/observe/log/repetition.ts';
import type { Clock } from '../agent/time/clock.ts';
import { sleep } from '../agent/time/sleep.ts';
import { messageOf } from '../volumes/base/errors.ts';
import { attend } from './api/attend.ts';
import { bundleName, publishBundle } from './api/bundle.ts';
import type { Lookup } from './api/lookup.ts';
import {
  answerPodCertificateRequest,
  type OpenRequest,
  readPodCertificateRequest,
  watchPodCertificateRequests,
} from './api/pod-certificate-requests.ts';
import { createSecretStore } from './api/secret.ts';
import {
  type OpenSigningRequest,
  readSigningRequest,
  watchSigningRequests,
  writeApproval,
  writeCertificate,
  writeFailure,
} from './api/signing-requests.ts';
import type { Decision } from './decision/decision.ts';
import { decidePodCertificateRequest } from './decision/pod-certificate-request.ts';
import { decideSigningRequest, podOf, requesterFault } from './decision/signing-request.ts';
import { createKeeper, type Keeper } from './keeper.ts';
import type { SignerMetrics } from './metrics.ts';
import type { SignerSettings } from './settings.ts';

export interface LeadingParts {
  readonly settings: SignerSettings;
  readonly client: ApiClient;
  readonly discovery: Discovery;
  readonly lookup: Lookup;
  readonly log: Logger;
  readonly metrics: SignerMetrics;
  /** Must not go back. */
  readonly clock: Clock;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** What is to be seen of it from outside. */
export interface Leading {
  readonly waiting: () => number;
  readonly authorityEnd: () => number | undefined;
  readonly done: Promise<void>;
}

/** Requests that are worked on at the same time, and that wait in line beside those that the watches hold. */
const concurrency = 16;
/** A CertificateSigningRequest may be a megabyte and more, and is whole in memory a few times over while it is worked on. */
const signingConcurrency = 4;
const maxWaiting = 10_000;

export function startLeading(parts: LeadingParts, signal: AbortSignal): Leading {
  const { client, discovery, settings, log, clock } = parts;
  const keeper = keeperOf(parts);
  const queue = createQueue({ name: 'requests', concurrency, maxWaiting });
  const shared = { clock, signal, onError: problemTeller(parts), onTurnedAway: turnedAwayTeller(parts) };
  const requests = watchPodCertificateRequests(
    client,
    discovery,
    settings.policy.signerName,
    warnOnce(log, 'the watch of PodCertificateRequests was interrupted'),
  );
  const attended = [
    attend<OpenRequest>({
      ...shared,
      queue,
      watch: requests,
      act: (open) => answerRequest(parts, keeper, open, signal),
    }),
  ];
  signal.addEventListener('abort', requests.stop, { once: true });
  if (settings.signingRequests !== 'none') {
    const signing = watchSigningRequests(
      client,
      settings.policy.signerName,
      settings.signingRequests === 'approve',
      warnOnce(log, 'the watch of CertificateSigningRequests was interrupted'),
    );
    signal.addEventListener('abort', signing.stop, { once: true });
    const act = (open: OpenSigningRequest) => answerSigningRequest(parts, keeper, open, signal);
    const signingQueue = createQueue({ name: 'signing requests', concurrency: signingConcurrency, maxWaiting });
    attended.push(attend<OpenSigningRequest>({ ...shared, queue: signingQueue, watch: signing, act }));
  }
  return {
    waiting: () => attended.reduce((sum, { waiting }) => sum + waiting(), 0),
    authorityEnd: () => keeper.authority()?.notAfter,
    done: tendTheCa(parts, keeper, signal, () => {
      for (const { lookAgain } of attended) {
        lookAgain();
      }
    }),
  };
}

function keeperOf({ settings, client, discovery, log, now }: LeadingParts): Keeper {
  const { policy, namespace, name } = settings;
  const { signerName, leafMs, timing } = policy;
  const onUnpublished = warnOnce(log, 'the trust anchors are in the Secret alone (ca.crt)');
  const publish = (anchors: string, signal: AbortSignal): Promise<void> =>
    publishBundle(client, discovery, { signerName, name: bundleName(signerName, name), anchors }, signal);
  const words = {
    made: 'a CA was made',
    signs: 'certificates are signed by this CA from now on',
    restored: 'the Secret of the CA was lost, and holds it again',
  } as const;
  return createKeeper({
    signerName,
    lifetimes: { authorityMs: settings.authorityMs, leafMs, shortestLeafMs: timing.shortestLeafMs },
    backdateMs: timing.backdateMs,
    secrets: createSecretStore(client, namespace, `${name}-ca`),
    publish,
    onUnpublished,
    onStep: ({ type, notAfter }) => log.info(words[type], { signerName, notAfter: new Date(notAfter).toISOString() }),
    now,
  });
}

/** What fails is tried again sooner than what is only looked after. */
const retryMs = 2_000;

/** @param onReady there is a CA, and there was none before */
async function tendTheCa(parts: LeadingParts, keeper: Keeper, signal: AbortSignal, onReady: () => void): Promise<void> {
  const { settings, clock, log, metrics } = parts;
  const tell = warnOnce(log, 'the CA cannot be kept as it should be');
  while (!signal.aborted) {
    let pauseMs = settings.tendEveryMs;
    const wasReady = keeper.authority() !== undefined;
    try {
      await keeper.tend(signal);
      if (!wasReady && keeper.authority() !== undefined) {
        onReady();
      }
    } catch (error) {
      if (!signal.aborted) {
        metrics.faulty();
        tell(error instanceof Error ? error : new Error(messageOf(error)));
      }
      pauseMs = Math.min(retryMs, pauseMs);
    }
    await sleep(pauseMs, clock, signal);
  }
}

function problemTeller({ log, metrics }: LeadingParts): (error: AgentError, request: KubernetesObject) => void {
  return (error, { metadata }) => {
    metrics.faulty();
    log.warn('a request could not be answered; it is tried again', {
      error,
      request: metadata.name,
      namespace: metadata.namespace,
    });
  };
}

/** Counts each, and warns of the first and then every ten minutes: there may be thousands. */
export function turnedAwayTeller({ log, metrics }: Pick<LeadingParts, 'log' | 'metrics'>): (error: AgentError) => void {
  return onceAWhile((error, repeated) => {
    metrics.faulty();
    if (!repeated) {
      log.warn('too many requests wait; some of whoever made most of them are put off', { error });
    }
  });
}

async function answerRequest(
  parts: LeadingParts,
  keeper: Keeper,
  open: OpenRequest,
  signal: AbortSignal,
): Promise<'done' | 'later'> {
  const { client, discovery, lookup, settings, log, metrics, now } = parts;
  if (keeper.authority() === undefined) {
    return 'later';
  }
  const whole = await readPodCertificateRequest(client, discovery, open, signal);
  if (whole === undefined) {
    return 'done';
  }
  const { metadata, spec } = whole.request;
  const { namespace = '', name: request } = metadata;
  const evidence = await lookup(namespace, spec.podName, signal);
  const authority = keeper.authority();
  const decision: Decision =
    authority === undefined
      ? noAuthority
      : decidePodCertificateRequest(whole.request, evidence, settings.policy, authority.lastLeafEnd, now());
  const fields = { namespace, request, pod: spec.podName, podUID: spec.podUID, signerName: spec.signerName };
  if (decision.type === 'wait' || authority === undefined) {
    return 'later';
  }
  if (decision.type === 'refuse') {
    await answerPodCertificateRequest(client, discovery, whole, decision, now(), signal);
    metrics.answered('PodCertificateRequest', 'denied');
    log.info('request denied', { ...fields, reason: decision.reason, detail: decision.message });
    return 'done';
  }
  const certificate = await authority.issue(decision.order);
  await answerPodCertificateRequest(client, discovery, whole, { ...decision, certificate }, now(), signal);
  metrics.answered('PodCertificateRequest', 'issued');
  log.info('certificate issued', { ...fields, notAfter: new Date(decision.order.notAfter).toISOString() });
  return 'done';
}

const noAuthority: Decision = { type: 'wait', message: 'there is no CA that is stored and published' };

async function answerSigningRequest(
  parts: LeadingParts,
  keeper: Keeper,
  open: OpenSigningRequest,
  signal: AbortSignal,
): Promise<'done' | 'later'> {
  const { client, lookup, settings, log, metrics, now } = parts;
  if (keeper.authority() === undefined) {
    return 'later';
  }
  const whole = await readSigningRequest(client, open, signal);
  if (whole === undefined) {
    return 'done';
  }
  const { request, isApproved } = whole;
  if (!isApproved && settings.signingRequests !== 'approve') {
    return 'done';
  }
  const about = podOf(request);
  const evidence = about === undefined ? {} : await lookup(about.namespace, about.name, signal);
  const authority = keeper.authority();
  if (authority === undefined) {
    return 'later';
  }
  const decision = decideSigningRequest(request, evidence, settings.policy, authority.lastLeafEnd, now());
  const fields = { namespace: about?.namespace, pod: about?.name, request: request.metadata.name };
  if (decision.type === 'wait') {
    return 'later';
  }
  const api = 'CertificateSigningRequest';
  if (!isApproved) {
    const unfit = decision.type === 'refuse' ? decision : undefined;
    const refusal = unfit ?? (evidence.pod && requesterFault(request, evidence.pod, settings.agentAccount));
    await writeApproval(client, whole, refusal, now(), signal);
    metrics.answered(api, refusal === undefined ? 'approved' : 'denied');
    log.info(refusal === undefined ? 'request approved' : 'request denied', { ...fields, detail: refusal?.message });
    return 'done';
  }
  if (decision.type === 'refuse') {
    await writeFailure(client, whole, decision, now(), signal);
    metrics.answered(api, 'failed');
    log.info('approved request not signed', { ...fields, reason: decision.reason, detail: decision.message });
    return 'done';
  }
  await writeCertificate(client, whole, await authority.issue(decision.order), signal);
  metrics.answered(api, 'issued');
  log.info('certificate issued', { ...fields, notAfter: new Date(decision.order.notAfter).toISOString() });
  return 'done';
}
