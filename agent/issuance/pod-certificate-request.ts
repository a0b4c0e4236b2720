/**
 * Certificates through the PodCertificateRequest API: one request for each key, followed by the node's watch.
 *
 * https://github.com/kubernetes/enhancements/tree/master/keps/sig-auth/4317-pod-certificates
 */
import { AgentError } from '../base/errors.ts';
import type { PodCertificateApi } from '../kubernetes/discovery.ts';
import { apiFailureOf } from '../kubernetes/failure.ts';
import type { NodeRequest } from '../kubernetes/objects.ts';
import type { CertificateOrder, Issuer, PrivateKey } from '../lifecycle/ports.ts';
import { type CertificateReader, plainReader } from './certificate.ts';
import { verifyChain } from './chain.ts';
import { createFollowing } from './following.ts';
import { outcomeOf } from './outcome.ts';
import { isSameRequest, requestBody } from './request-body.ts';
import { callFor, type RequestApi, type RequestCache } from './request-calls.ts';
import { requestNameFor } from './request-name.ts';

/** An upgrade of the API server may change version and evidence while a request is made, each once. */
const mostChanges = 2;

/** The two fields that a server which knows no `stubPKCS10Request` misses in a request that has only that. */
const keyAndProof: ReadonlySet<string | undefined> = new Set(['spec.pkixPublicKey', 'spec.proofOfPossession']);

/** @param reader of the certificates of answers */
export function createPodCertificateIssuer(
  api: RequestApi,
  cache: RequestCache<NodeRequest>,
  reader: CertificateReader = plainReader,
): Issuer {
  const following = createFollowing(cache, outcomeOf);

  async function submit(order: CertificateOrder, key: PrivateKey, signal: AbortSignal): Promise<void> {
    let served = await api.served();
    const requested = keyOf(order.identity.pod.namespace, order.requestName);
    following.expect(requested);
    for (let changes = 0; ; changes += 1) {
      try {
        await createOrFind(served, order, key, signal);
        following.submitted(requested);
        return;
      } catch (error) {
        const next = changes < mostChanges ? await alternative(served, error) : undefined;
        if (next === undefined) {
          throw error;
        }
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
    const call = callFor(order, signal);
    const body = await requestBody(order, key, served);
    try {
      await api.create(served, body, call);
    } catch (error) {
      const { namespace } = order.identity.pod;
      if (isNamespaceGone(error, namespace)) {
        throw new AgentError('PodGone', `namespace ${namespace} does not exist`, { actor: 'nobody', cause: error });
      }
      if (!isAgentError(error, 'Conflict')) {
        throw error;
      }
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
    if (isAgentError(error, 'Rejected') && served.evidence === 'stub' && missesKeyAndProof(error)) {
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

  return {
    requestName: ({ pod, volumeName, sourceIndex }, spki) => requestNameFor(pod.uid, volumeName, sourceIndex, spki),
    submit,
    beginsAhead: () => true,
    follow: ({ namespace, requestName }, listener) => following.follow(keyOf(namespace, requestName), listener),
    verify: (outcome, spki, now) => verifyChain(outcome, spki, now, reader),
  };
}

function keyOf(namespace: string, name: string): string {
  return `${namespace}/${name}`;
}

function isAgentError(error: unknown, code: AgentError['code']): error is AgentError {
  return error instanceof AgentError && error.code === code;
}

function isNamespaceGone(error: unknown, namespace: string): boolean {
  const failure = apiFailureOf(error);
  const { kind, name } = failure?.about ?? {};
  return failure?.reason === 'NotFound' && kind === 'namespaces' && name === namespace;
}

function missesKeyAndProof(error: AgentError): boolean {
  return apiFailureOf(error)?.causes.some(({ field }) => keyAndProof.has(field)) ?? false;
}

/** A request that exists and cannot be read a moment later was deleted in between: the next attempt makes it again. */
function vanished(error: unknown): never {
  if (!isAgentError(error, 'NotFound')) {
    throw error;
  }
  throw new AgentError('Unavailable', 'the request was deleted while it was looked at', {
    actor: 'nobody',
    cause: error,
  });
}
