/**
 * Live copies of ClusterTrustBundles: of those that one field selector names, or of all, in whichever version the
 * cluster serves.
 */
import type { AgentError } from '../base/errors.ts';
import type { ApiClient } from './client.ts';
import { decodedThen } from './decoding.ts';
import type { Discovery, ServedApi } from './discovery.ts';
import { createListWatch, type ListWatch, type ListWatchOptions } from './list-watch.ts';
import type { ClusterTrustBundle, KubernetesObject } from './objects.ts';
import { resourcePath } from './paths.ts';
import { decodeClusterTrustBundle } from './schemas.ts';

/**
 * A bundle holds up to 1 MiB of certificates, so a page holds few of them: none blocks the event loop for long.
 * @param fieldSelector `metadata.name=…` or `spec.signerName=…`; empty: all bundles.
 * @param take what is kept of a bundle, asked for as soon as the server has sent it.
 */
export function watchClusterTrustBundles<T extends KubernetesObject>(
  client: ApiClient,
  discovery: Discovery,
  fieldSelector: string,
  onError: (error: AgentError) => void,
  take: (bundle: ClusterTrustBundle) => T,
  options: Partial<ListWatchOptions<T>> = {},
): ListWatch<T> {
  let api: ServedApi | undefined;
  return createListWatch<T>({
    pageSize: 4,
    ...options,
    client,
    decode: decodedThen(decodeClusterTrustBundle, take),
    ...(fieldSelector === '' ? {} : { query: { fieldSelector } }),
    onError,
    async path() {
      api = await discovery.clusterTrustBundles();
      return resourcePath(api.pathPrefix, { resource: 'clustertrustbundles' });
    },
    onNotServed() {
      if (api !== undefined) {
        discovery.notServed(api);
      }
    },
  });
}
