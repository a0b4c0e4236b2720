/**
 * Answers the requests that a signer's watch shows, each once, by the behaviour that the signer has at that moment.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { PodCertificateRequest } from '../../agent/kubernetes/objects.ts';
import { type Answer, composeAnswer, type Lifetimes } from './answer.ts';
import { type Behaviour, needsBackDoor } from './behaviours.ts';
import type { Generations } from './generations.ts';
import { isPending } from './request.ts';
import type { RequestListener, SignerApi, WriteUnchecked } from './signer-api.ts';

const firstRetryMs = 200;
const longestRetryMs = 5_000;

export interface ResponderOptions {
  readonly api: SignerApi;
  readonly writeUnchecked: WriteUnchecked | undefined;
  readonly generations: Generations;
  readonly trustDomain: string;
  readonly pathAnnotation?: string | undefined;
  readonly lifetimes: Lifetimes;
  readonly behaviour: Behaviour;
  readonly now: () => number;
  readonly onProblem: (message: string) => void;
}

export interface Responder extends RequestListener {
  setBehaviour(behaviour: Behaviour): void;
  /** Number of certificates signed. */
  issued(): number;
  close(): void;
}

interface Waiting {
  readonly request: PodCertificateRequest;
  /** An answer is being made or written. */
  working: boolean;
}

export function createResponder(options: ResponderOptions): Responder {
  const { generations, now } = options;
  const closing = new AbortController();
  const signal = closing.signal;
  /** Requests without an answer, by UID. */
  const waiting = new Map<string, Waiting>();
  let behaviour = options.behaviour;
  let issued = 0;

  const deliver = async (request: PodCertificateRequest, answer: Answer, unchecked: boolean) => {
    if (unchecked && options.writeUnchecked !== undefined) {
      return options.writeUnchecked(request, answer.status);
    }
    for (let pauseMs = firstRetryMs; ; pauseMs = Math.min(pauseMs * 2, longestRetryMs)) {
      const result = await options.api.writeStatus(request, answer.status);
      if (result.type === 'written' || result.type === 'gone') {
        return;
      }
      if ('message' in result) {
        options.onProblem(`${nameOf(request)}: ${result.message}`);
      }
      if (result.type === 'refused') {
        return;
      }
      await sleep(pauseMs, undefined, { signal });
    }
  };

  const answer = async (request: PodCertificateRequest) => {
    const chosen = behaviour;
    if (chosen.type === 'slow') {
      await sleep(chosen.delayMs, undefined, { signal });
    }
    const { trustDomain, pathAnnotation, lifetimes } = options;
    const context = { authority: generations.current(), trustDomain, pathAnnotation, lifetimes, now: now() };
    const composed = await composeAnswer(request, chosen, context);
    if (composed === undefined) {
      return;
    }
    if (composed.isCertificate) {
      issued += 1;
    }
    await deliver(request, composed, needsBackDoor(chosen));
  };

  const consider = (request: PodCertificateRequest) => {
    const uid = request.metadata.uid ?? '';
    if (!isPending(request)) {
      waiting.delete(uid);
      return;
    }
    if (waiting.get(uid)?.working) {
      return;
    }
    const entry: Waiting = { request, working: true };
    waiting.set(uid, entry);
    answer(request)
      .catch((error: unknown) => {
        if (!signal.aborted) {
          options.onProblem(`${nameOf(request)}: ${String(error)}`);
        }
      })
      .finally(() => {
        entry.working = false;
      });
  };

  return {
    changed: consider,
    deleted: (request) => waiting.delete(request.metadata.uid ?? ''),
    setBehaviour: (changed) => {
      behaviour = changed;
      for (const { request } of [...waiting.values()]) {
        consider(request);
      }
    },
    issued: () => issued,
    close: () => closing.abort(),
  };
}

function nameOf(request: PodCertificateRequest): string {
  return `${request.metadata.namespace}/${request.metadata.name}`;
}
