/**
 * Certificates through the PodCertificateRequest API: one request for each key, followed by the node's watch.
 *
 * https://github.com/kubernetes/enhancements/tree/master/keps/sig-auth/4317-pod-certificates
 */
import { AgentError } from '../base/errors.ts';
import type { PodCertificateApi } from '../kubernetes/discovery.ts';
import type { CertificateOrder, Issuer, Outcome, PrivateKey } from '../lifecycle/ports.ts';
import { verifyChain } from './chain.ts';
import { outcomeOf } from './outcome.ts';
import { isSameRequest, requestBody } from './request-body.ts';
import type { RequestApi, RequestCache, RequestEvent } from './request-calls.ts';
import { requestNameFor } from './request-name.ts';

/** Submitted requests whose list number is remembered; beyond that the oldest is forgotten. */
const rememberedSubmissions = 1024;

/** An upgrade of the API server may change version and evidence while a request is made, each once. */
const mostChanges = 2;

/** The two fields that a server which knows no `stubPKCS10Request` misses in a request that has only that. */
const missesKeyAndProof = /\bspec\.(pkixPublicKey|proofOfPossession)\b/;

export function createPodCertificateIssuer(api: RequestApi, cache: RequestCache): Issuer {
  /** By `namespace/name`: the list that had begun when the request was known to exist. */
  const submitted = new Map<string, number>();

  async function submit(order: CertificateOrder, key: PrivateKey, signal: AbortSignal): Promise<void> {
    let served = await api.served();
    for (let changes = 0; ; changes += 1) {
      try {
        await createOrFind(served, order, key, signal);
        remember(keyOf(order.identity.pod.namespace, order.requestName));
        return;
      } catch (error) {
        const next = changes < mostChanges ? await alternative(served, error) : undefined;
        if (next === undefined) throw error;
        served = next;
      }
    }
  }

  async function createOrFind(
    served: PodCertificateApi,
    order: CertificateOrder,
    key: PrivateKey,
    signal: AbortSignal,
  ): Promise<void> {
    const { priority, expiresAt, identity } = order;
    const call = { priority, expiresAt, owner: identity.pod.uid, signal };
    const body = await requestBody(order, key, served);
    try {
      await api.create(served, body, call);
    } catch (error) {
      const { namespace } = order.identity.pod;
      if (isAgentError(error, 'NotFound') && error.message.includes(`namespaces "${namespace}" not found`)) {
        throw new AgentError('PodGone', `namespace ${namespace} does not exist`, { actor: 'nobody', cause: error });
      }
      if (!isAgentError(error, 'Conflict')) throw error;
      // The cache comes first: it costs nothing, and a node may only read a request once the authorizer has seen it.
      const existing =
        cache.get(keyOf(namespace, order.requestName)) ??
        (await api.get(served, namespace, order.requestName, call).catch(vanished));
      if (!isSameRequest(existing, order, key.spki)) {
        const message = `a PodCertificateRequest ${namespace}/${order.requestName} exists that this agent did not make`;
        throw new AgentError('Conflict', message, { actor: 'nobody', cause: error });
      }
    }
  }

  /** Another version of the API to try after a failed attempt; undefined when there is none, or no reason to. */
  async function alternative(served: PodCertificateApi, error: unknown): Promise<PodCertificateApi | undefined> {
    if (isAgentError(error, 'Rejected') && served.evidence === 'stub' && missesKeyAndProof.test(error.message)) {
      api.stubRefused(served);
    } else if (isAgentError(error, 'NotFound')) {
      api.notServed(served);
    } else {
      return undefined;
    }
    const next = await api.served();
    const isOther = next.apiVersion !== served.apiVersion || next.evidence !== served.evidence;
    return isOther ? next : undefined;
  }

  function remember(key: string): void {
    submitted.delete(key);
    submitted.set(key, cache.lists().begun);
    for (const oldest of submitted.keys()) {
      if (submitted.size <= rememberedSubmissions) break;
      submitted.delete(oldest);
    }
  }

  function follow(namespace: string, requestName: string, listener: (outcome: Outcome) => void): () => void {
    const key = keyOf(namespace, requestName);
    // A request of an earlier run of the agent is older than every list of this one.
    const existsSince = submitted.get(key) ?? 0;
    let ended = false;

    function end(): void {
      ended = true;
      unsubscribe();
    }

    function report(outcome: Outcome | undefined): void {
      if (outcome === undefined || ended) return;
      end();
      listener(outcome);
    }

    function look(): void {
      const request = cache.get(key);
      if (request !== undefined) report(outcomeOf(request));
      else if (cache.lists().taken > existsSince) report({ type: 'gone' });
    }

    const unsubscribe = cache.subscribe((event: RequestEvent) => {
      if (event.type === 'synced') look();
      else if (keyOf(event.object.metadata.namespace ?? '', event.object.metadata.name) === key) {
        report(outcomeOf(event.object) ?? (event.type === 'deleted' ? { type: 'gone' } : undefined));
      }
    });
    queueMicrotask(look);
    return end;
  }

  return { requestName: requestNameFor, submit, follow, verify: verifyChain };
}

function keyOf(namespace: string, name: string): string {
  return `${namespace}/${name}`;
}

function isAgentError(error: unknown, code: AgentError['code']): error is AgentError {
  return error instanceof AgentError && error.code === code;
}

/** A request that exists and cannot be read a moment later was deleted in between: the next attempt makes it again. */
function vanished(error: unknown): never {
  if (!isAgentError(error, 'NotFound')) throw error;
  throw new AgentError('Unavailable', 'the request was deleted while it was looked at', {
    actor: 'nobody',
    cause: error,
  });
}
