/**
 * Live copies of the ClusterTrustBundles that one field selector names, through whichever version the cluster serves.
 */
import type { AgentError } from '../base/errors.ts';
import type { ApiClient } from './client.ts';
import type { Discovery, ServedApi } from './discovery.ts';
import { createListWatch, type ListWatch, type ListWatchOptions } from './list-watch.ts';
import type { ClusterTrustBundle } from './objects.ts';
import { resourcePath } from './paths.ts';
import { decodeClusterTrustBundle } from './schemas.ts';

/**
 * A bundle holds up to 1 MiB of certificates, so its pages are short.
 * @param fieldSelector `metadata.name=…` or `spec.signerName=…`.
 */
export function watchClusterTrustBundles(
  client: ApiClient,
  discovery: Discovery,
  fieldSelector: string,
  onError: (error: AgentError) => void,
  options: Partial<ListWatchOptions<ClusterTrustBundle>> = {},
): ListWatch<ClusterTrustBundle> {
  let api: ServedApi | undefined;
  return createListWatch<ClusterTrustBundle>({
    pageSize: 16,
    ...options,
    client,
    decode: decodeClusterTrustBundle,
    query: { fieldSelector },
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
