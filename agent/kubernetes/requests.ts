/**
 * PodCertificateRequests as this node uses them: create, get, and one live copy of the node's own, through whichever
 * version the cluster serves. All of it is done as the node, where a node is impersonated.
 */
import type { RequestApi, RequestCache } from '../issuance/ports.ts';
import type { ApiClient } from './client.ts';
import type { Discovery, PodCertificateApi } from './discovery.ts';
import { createListWatch, type ListWatch, type ListWatchOptions } from './list-watch.ts';
import type { PodCertificateRequest } from './objects.ts';
import { resourcePath } from './paths.ts';

const as = 'node';
const resource = 'podcertificaterequests';

export function createRequestApi(client: ApiClient, discovery: Discovery): RequestApi {
  return {
    served: discovery.podCertificateRequests,
    notServed: discovery.notServed,
    stubRefused: discovery.stubRefused,
    async create(api, body, call) {
      const path = resourcePath(api.pathPrefix, { namespace: body.metadata.namespace ?? '', resource });
      await client.request<PodCertificateRequest>({ method: 'POST', path, body, as, ...call });
    },
    get(api, namespace, name, call) {
      const path = resourcePath(api.pathPrefix, { namespace, resource, name });
      return client.request<PodCertificateRequest>({ method: 'GET', path, as, ...call });
    },
  };
}

/** The node's own requests, of all namespaces, with the numbers of its lists. */
export function watchPodCertificateRequests(
  client: ApiClient,
  discovery: Discovery,
  nodeName: string,
  options: Partial<ListWatchOptions> = {},
): ListWatch<PodCertificateRequest> & RequestCache {
  let api: PodCertificateApi | undefined;
  let listBegun = 0;
  let listTaken = 0;
  const watch = createListWatch<PodCertificateRequest>({
    ...options,
    client,
    as,
    query: { fieldSelector: `spec.nodeName=${nodeName}` },
    async path() {
      // Asked for before a watch as well, so numbers are skipped: what counts is that none is used by two lists.
      listBegun += 1;
      api = await discovery.podCertificateRequests();
      return resourcePath(api.pathPrefix, { resource });
    },
    onNotServed() {
      if (api !== undefined) discovery.notServed(api);
    },
  });
  watch.subscribe((event) => {
    if (event.type === 'synced') listTaken = listBegun;
  });
  return { ...watch, listBegun: () => listBegun, listTaken: () => listTaken };
}
