/**
 * Certificate requests through an API that has one version only: the agent's calls, and a live copy of its node's
 * requests, which is open while somebody follows one of them.
 */
import type { CallOptions } from '../base/call.ts';
import { AgentError, isNotFound, unlessNotFound } from '../base/errors.ts';
import type { ApiClient, ApiRequest, Persona } from './client.ts';
import type { Decoder } from './decoding.ts';
import { createFollowedWatch, type FollowedWatch } from './followed-watch.ts';
import { createListWatch } from './list-watch.ts';
import type { KubernetesObject } from './objects.ts';
import { resourcePath } from './paths.ts';

/** One certificate API. */
export interface RequestResource<T> {
  /** `/apis/<group>/<version>`. */
  readonly pathPrefix: string;
  /** Plural. */
  readonly resource: string;
  /** False where requests are cluster-scoped. */
  readonly namespaced: boolean;
  readonly decode: Decoder<T>;
  /** As whom requests are made, unless it is their pod, and watched. They are removed as the agent itself: a node may not. */
  readonly as: Persona;
  /** What is missing when the API is not served, and who can do what about it. */
  readonly missing: string;
}

export function createSimpleRequestApi<T extends KubernetesObject>(client: ApiClient, kind: RequestResource<T>) {
  const { pathPrefix, resource, as, decode } = kind;
  const pathOf = (namespace: string, name?: string): string =>
    resourcePath(pathPrefix, {
      resource,
      ...(kind.namespaced ? { namespace } : {}),
      ...(name === undefined ? {} : { name }),
    });
  return {
    async create(body: T, call: CallOptions & Pick<ApiRequest, 'bearer'>): Promise<void> {
      const path = pathOf(body.metadata.namespace ?? '');
      await client.request({ method: 'POST', path, body, as, ...call }).catch((cause: unknown) => {
        // The collection itself: nothing in the path but the API and the namespace of a pod that exists.
        if (!isNotFound(cause)) {
          throw cause;
        }
        throw new AgentError('ApiMissing', kind.missing, { actor: 'cluster operator', cause });
      });
    },
    get: (namespace: string, name: string, call: CallOptions): Promise<T> =>
      client.request({ method: 'GET', path: pathOf(namespace, name), as, decode, ...call }),
    async remove(namespace: string, name: string): Promise<void> {
      await unlessNotFound(client.request({ method: 'DELETE', path: pathOf(namespace, name) }));
    },
  };
}

/**
 * @param labelSelector selects the node's requests
 * @param keep what is kept of each in memory
 */
export function watchOwnRequests<T extends KubernetesObject>(
  client: ApiClient,
  kind: RequestResource<T>,
  labelSelector: string,
  onError: (error: AgentError) => void,
  keep?: (request: T, held: number) => T | undefined,
): FollowedWatch<T> {
  return createFollowedWatch(() =>
    createListWatch<T>({
      client,
      as: kind.as,
      decode: kind.decode,
      query: { labelSelector },
      onError,
      ...(keep === undefined ? {} : { keep }),
      path: async () => resourcePath(kind.pathPrefix, { resource: kind.resource }),
    }),
  );
}
