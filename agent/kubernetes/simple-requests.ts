/**
 * Requests for certificates through an API of one version: the calls that the agent makes, and a live copy of those of its
 * node, which is opened while somebody follows it and closed when nobody does any more.
 */
import type { CallOptions } from '../base/call.ts';
import { AgentError } from '../base/errors.ts';
import type { ApiClient, ApiRequest, Persona } from './client.ts';
import { createListWatch, type ListWatch, type ListWatchEvent } from './list-watch.ts';
import type { KubernetesObject } from './objects.ts';
import { resourcePath } from './paths.ts';
import type { Decoder } from './schemas.ts';

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
      await client.request({ method: 'DELETE', path: pathOf(namespace, name) }).catch((error: unknown) => {
        if (!isNotFound(error)) {
          throw error;
        }
      });
    },
  };
}

/** How long a watch that nobody follows any more is kept, since the next certificate may be near. */
const keptMs = 60_000;

/** @param labelSelector selects the node's requests */
export function watchWhileFollowed<T extends KubernetesObject>(
  client: ApiClient,
  kind: RequestResource<T>,
  labelSelector: string,
  onError: (error: AgentError) => void,
) {
  let open: ListWatch<T> | undefined;
  let closing: NodeJS.Timeout | undefined;
  let followers = 0;
  /** Lists of watches that were closed: the numbers go on, so that what was submitted before is not taken for gone. */
  let earlierLists = 0;

  function watch(): ListWatch<T> {
    clearTimeout(closing);
    open ??= createListWatch<T>({
      client,
      as: kind.as,
      decode: kind.decode,
      query: { labelSelector },
      onError,
      path: async () => resourcePath(kind.pathPrefix, { resource: kind.resource }),
    });
    return open;
  }

  function close(): void {
    clearTimeout(closing);
    earlierLists += open?.lists().begun ?? 0;
    open?.stop();
    open = undefined;
  }

  return {
    get: (key: string): T | undefined => open?.get(key),
    lists() {
      const { begun = 0, taken = 0 } = open?.lists() ?? {};
      return { begun: earlierLists + begun, taken: taken === 0 ? 0 : earlierLists + taken };
    },
    subscribe(listener: (event: ListWatchEvent<T>) => void): () => void {
      const unsubscribe = watch().subscribe(listener);
      followers += 1;
      let ended = false;
      return () => {
        if (ended) {
          return;
        }
        ended = true;
        unsubscribe();
        followers -= 1;
        if (followers === 0 && open !== undefined) {
          closing = setTimeout(close, keptMs).unref();
        }
      };
    },
    stop: close,
  };
}

function isNotFound(error: unknown): boolean {
  return error instanceof AgentError && error.code === 'NotFound';
}
