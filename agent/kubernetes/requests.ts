/**
 * PodCertificateRequests at the API server: the calls the agent makes and the watch it follows, through whichever version
 * the cluster serves. Both are made as the node where a node is impersonated, so that its limits apply.
 *
 * https://github.com/kubernetes/enhancements/tree/master/keps/sig-auth/4317-pod-certificates
 */

import type { CallOptions } from '../base/call.ts';
import { AgentError } from '../base/errors.ts';
import type { ApiClient } from './client.ts';
import type { Discovery, PodCertificateApi } from './discovery.ts';
import { isUnrelatedToNode } from './failure.ts';
import { createListWatch, type ListWatch } from './list-watch.ts';
import type { NodeRequest, PodCertificateRequest } from './objects.ts';
import { resourcePath } from './paths.ts';
import { decodeNodeRequest } from './request-schemas.ts';

const resource = 'podcertificaterequests';

/** Creates and reads requests. Every call may throw an AgentError. */
export function createRequestApi(client: ApiClient, discovery: Discovery) {
  return {
    /** The version in use, looked up when it is not known. @throws AgentError ApiMissing */
    served: discovery.podCertificateRequests,
    notServed: discovery.notServed,
    stubRefused: discovery.stubRefused,
    async create({ pathPrefix }: PodCertificateApi, body: PodCertificateRequest, call: CallOptions): Promise<void> {
      const path = resourcePath(pathPrefix, { resource, namespace: body.metadata.namespace ?? '' });
      await client.request({ method: 'POST', path, body, as: 'node', ...call });
    },
    async get(
      { pathPrefix }: PodCertificateApi,
      namespace: string,
      name: string,
      call: CallOptions,
    ): Promise<NodeRequest> {
      const path = resourcePath(pathPrefix, { resource, namespace, name });
      try {
        return await client.request({ method: 'GET', path, as: 'node', ...call, decode: decodeNodeRequest });
      } catch (cause) {
        if (!isUnrelatedToNode(cause)) {
          throw cause;
        }
        const message = `the API server does not show the node its request ${namespace}/${name} yet, or any more`;
        throw new AgentError('Unavailable', message, { actor: 'nobody', cause });
      }
    },
  };
}

/** The requests of one node, live: the only selection that a node may watch. */
export function watchRequests(
  client: ApiClient,
  discovery: Discovery,
  nodeName: string,
  onError: (error: AgentError) => void,
  onRecovered: () => void = () => undefined,
): ListWatch<NodeRequest> {
  return createListWatch<NodeRequest>({
    client,
    decode: decodeNodeRequest,
    as: 'node',
    query: { fieldSelector: `spec.nodeName=${nodeName}` },
    onError,
    onRecovered,
    ...servedRequests(discovery),
  });
}

/** Where a watch of requests finds them, whichever version the cluster serves, and what it says when they are not there any more. */
export function servedRequests(discovery: Discovery): { path(): Promise<string>; onNotServed(): void } {
  let api: PodCertificateApi | undefined;
  return {
    async path() {
      api = await discovery.podCertificateRequests();
      return resourcePath(api.pathPrefix, { resource });
    },
    onNotServed() {
      if (api !== undefined) {
        discovery.notServed(api);
      }
    },
  };
}
