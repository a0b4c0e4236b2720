/**
 * Tokens of pods' service accounts, asked for as the node where the agent impersonates it: the API server gives a node tokens
 * for the accounts of its own pods only, bound to the pod, and for audiences that the CSIDriver object lists.
 *
 * https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/token-request-v1/
 */
import type { PodReference } from '../../volumes/base/volume.ts';
import type { CallOptions } from '../base/call.ts';
import { AgentError } from '../base/errors.ts';
import type { ApiClient } from '../kubernetes/client.ts';
import { isUnrelatedToNode } from '../kubernetes/failure.ts';
import { corePrefix, resourcePath } from '../kubernetes/paths.ts';
import { decodeTokenRequest } from '../kubernetes/schemas.ts';
import { accountOf, listedAudience, type PodTokens, tokenMissing } from './pod-account.ts';
import { judgeToken } from './pod-token.ts';

/** The least that the API server gives. The token is used for one call. */
const lifetimeSeconds = 600;

/** @param now milliseconds since the epoch, by the wall clock */
export function createRequestedTokens(client: Pick<ApiClient, 'request'>, now: () => number): PodTokens {
  async function request(pod: PodReference, audience: string, call: CallOptions): Promise<string> {
    const { namespace, name, uid, serviceAccountName } = pod;
    const account = { namespace, resource: 'serviceaccounts', name: serviceAccountName, subresource: 'token' };
    const spec = {
      audiences: audience === '' ? [] : [audience],
      expirationSeconds: lifetimeSeconds,
      boundObjectRef: { kind: 'Pod', apiVersion: 'v1', name, uid },
    };
    const { status } = await client.request({
      method: 'POST',
      path: resourcePath(corePrefix, account),
      body: { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec },
      as: 'node',
      decode: decodeTokenRequest,
      ...call,
    });
    return status.token;
  }

  return {
    async ready() {},
    async bearer(pod, audience, call) {
      const token = await request(pod, audience, call).catch((error: unknown) => {
        throw explained(error, pod, audience);
      });
      const verdict = judgeToken(token, pod, audience, now());
      if (verdict.type !== 'good') {
        const why = verdict.type === 'expired' ? "has expired by this node's clock" : verdict.why;
        throw tokenMissing(pod, `the one that the API server gave ${why}`);
      }
      return { account: accountOf(pod), token: () => token };
    },
  };
}

function explained(error: unknown, pod: PodReference, audience: string): unknown {
  if (!(error instanceof AgentError)) {
    return error;
  }
  // The API server has not seen yet that the pod is on this node, or looks at another pod of this name.
  if (isUnrelatedToNode(error) || error.code === 'Conflict') {
    return new AgentError('Unavailable', `no token of ${accountOf(pod)} yet: ${error.message}`, {
      actor: 'nobody',
      cause: error.cause,
    });
  }
  if (error.code !== 'Forbidden') {
    return error;
  }
  const needs = `the chart lets the node ask for tokens of its own pods, and lists ${listedAudience(audience)} in tokenRequests of the CSIDriver object`;
  return tokenMissing(pod, `${error.message}; ${needs}`, { cause: error.cause });
}
