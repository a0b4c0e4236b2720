/** Looks up what a request says about its pod: the pod each time anew, since it is what counts, its service account once in a while. */

import { type Cache, createCache } from '../../agent/kubernetes/cache.ts';
import type { ApiClient } from '../../agent/kubernetes/client.ts';
import type { KubernetesObject } from '../../agent/kubernetes/objects.ts';
import { corePrefix, resourcePath } from '../../agent/kubernetes/paths.ts';
import { decodeObject, decodePod } from '../../agent/kubernetes/schemas.ts';
import type { Clock } from '../../agent/time/clock.ts';
import type { Evidence } from '../decision/pod.ts';
import { whenFound } from './raw-object.ts';

/** A service account that is made anew has another UID for this long, and its pods are refused meanwhile. */
const accountsKeptMs = 10_000;
const mostAccounts = 1_000;

/** @throws AgentError when the API server does not answer */
export type Lookup = (namespace: string, podName: string, signal: AbortSignal) => Promise<Evidence>;

export function createLookup(client: ApiClient, clock: Clock): Lookup {
  const accounts: Cache<KubernetesObject | undefined> = createCache({
    clock,
    keepMs: accountsKeptMs,
    size: mostAccounts,
    read(path) {
      return client.request({ method: 'GET', path, decode: decodeObject }).catch(whenFound);
    },
  });
  return async (namespace, name, signal) => {
    const path = resourcePath(corePrefix, { namespace, resource: 'pods', name });
    const pod = await client.request({ method: 'GET', path, signal, decode: decodePod }).catch(whenFound);
    const account = pod?.spec?.serviceAccountName;
    if (pod === undefined || account === undefined) {
      return pod === undefined ? {} : { pod };
    }
    const accountPath = resourcePath(corePrefix, { namespace, resource: 'serviceaccounts', name: account });
    const found = await accounts.get(accountPath, { priority: 'first', signal });
    return found?.metadata.uid === undefined ? { pod } : { pod, serviceAccountUID: found.metadata.uid };
  };
}
