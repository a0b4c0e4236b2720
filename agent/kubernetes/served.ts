/**
 * Whether the cluster serves a resource. Whoever may define resources of a group makes its list as long as they like, and all of them are in
 * one reply: it is looked through as it comes, and nothing of it is kept.
 *
 * https://kubernetes.io/docs/concepts/overview/kubernetes-api/#unaggregated-discovery
 */
import { unlessNotFound } from '../base/errors.ts';
import type { ApiClient } from './client.ts';
import { decodeResource, decodeResourceList } from './schemas.ts';

/**
 * @param pathPrefix `/apis/<group>/<version>`; one that is not served has no resources
 * @param resource plural: `certificaterequests`
 */
export async function isServed(client: ApiClient, pathPrefix: string, resource: string): Promise<boolean> {
  let isFound = false;
  await unlessNotFound(
    client.request({
      method: 'GET',
      path: pathPrefix,
      priority: 'first',
      decode: decodeResourceList,
      onItem(item) {
        isFound ||= decodeResource(item).name === resource;
      },
    }),
  );
  return isFound;
}
