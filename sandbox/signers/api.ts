/**
 * A signer's connection to an API server, the sandbox's or a real one: it finds the versions that are served, follows
 * requests, writes their status and keeps trust bundles.
 */
import type { ApiClient } from '../../agent/kubernetes/client.ts';
import { createListWatch } from '../../agent/kubernetes/list-watch.ts';
import type { ClusterTrustBundle, PodCertificateRequest } from '../../agent/kubernetes/objects.ts';
import { resourcePath } from '../../agent/kubernetes/paths.ts';
import { asSent, httpStatusOf, whenFound } from '../base/client.ts';
import { messageOf } from '../base/errors.ts';
import { isPending } from './request.ts';
import type { RequestStatus, SignerApi, WriteResult } from './signer-api.ts';

const group = 'certificates.k8s.io';
const versions = ['v1', 'v1beta1', 'v1alpha1'] as const;
const requests = 'podcertificaterequests';
const bundles = 'clustertrustbundles';
const conflictAttempts = 5;

export function createSignerApi(client: ApiClient): SignerApi {
  const served = new Map<string, Promise<string>>();
  /** API version of a resource, asked for once. */
  const versionOf = (resource: string): Promise<string> => {
    const known = served.get(resource) ?? discover(client, resource);
    served.set(resource, known);
    known.catch(() => served.delete(resource));
    return known;
  };

  const replaceStatus = async (request: PodCertificateRequest, status: RequestStatus) => {
    const version = await versionOf(requests);
    const path = requestPath(version, request);
    const body = { ...request, apiVersion: `${group}/${version}`, kind: 'PodCertificateRequest', status };
    await client.request({ method: 'PUT', path: `${path}/status`, body });
  };

  return {
    follow: (signerName, listener) => {
      const watch = createListWatch<PodCertificateRequest>({
        decode: asSent<PodCertificateRequest>,
        client,
        path: async () => resourcePath(`/apis/${group}/${await versionOf(requests)}`, { resource: requests }),
        query: { fieldSelector: `spec.signerName=${signerName}` },
      });
      watch.subscribe((event) => {
        if (event.type === 'synced') {
          return;
        }
        if (event.type === 'deleted') {
          listener.deleted(event.object);
        } else {
          listener.changed(event.object);
        }
      });
      return watch.stop;
    },
    writeStatus: async (request, status): Promise<WriteResult> => {
      try {
        await replaceStatus(request, status);
        return { type: 'written' };
      } catch (error) {
        if (httpStatusOf(error) !== 409) {
          return resultOf(error);
        }
      }
      try {
        const path = requestPath(await versionOf(requests), request);
        const newest = await client.request({ decode: asSent<PodCertificateRequest>, method: 'GET', path });
        if (newest.metadata.uid !== request.metadata.uid || !isPending(newest)) {
          return { type: 'gone' };
        }
        await replaceStatus(newest, status);
        return { type: 'written' };
      } catch (error) {
        return resultOf(error);
      }
    },
    applyTrustBundle: async (bundle) => {
      const version = await versionOf(bundles);
      const collection = resourcePath(`/apis/${group}/${version}`, { resource: bundles });
      const path = `${collection}/${encodeURIComponent(bundle.metadata.name)}`;
      const wanted = { ...bundle, apiVersion: `${group}/${version}`, kind: 'ClusterTrustBundle' };
      for (let attempt = 1; ; attempt += 1) {
        try {
          const known = await client
            .request({ decode: asSent<ClusterTrustBundle>, method: 'GET', path })
            .catch(whenFound);
          if (known === undefined) {
            await client.request({ method: 'POST', path: collection, body: wanted });
          } else {
            await client.request({ method: 'PUT', path, body: { ...wanted, metadata: merged(known, bundle) } });
          }
          return;
        } catch (error) {
          // Somebody else wrote in between.
          if (httpStatusOf(error) !== 409 || attempt === conflictAttempts) {
            throw error;
          }
        }
      }
    },
  };
}

function merged(known: ClusterTrustBundle, wanted: ClusterTrustBundle): ClusterTrustBundle['metadata'] {
  return { ...known.metadata, labels: { ...known.metadata.labels, ...wanted.metadata.labels } };
}

function requestPath(version: string, request: PodCertificateRequest): string {
  const { name, namespace } = request.metadata;
  return resourcePath(`/apis/${group}/${version}`, { resource: requests, name, ...(namespace && { namespace }) });
}

/** The newest version that serves the resource. @throws Error when none does. */
async function discover(client: ApiClient, resource: string): Promise<string> {
  for (const version of versions) {
    const path = `/apis/${group}/${version}`;
    const list = await client
      .request({ decode: asSent<{ readonly resources?: readonly { readonly name: string }[] }>, method: 'GET', path })
      .catch(whenFound);
    if (list?.resources?.some((each) => each.name === resource)) {
      return version;
    }
  }
  throw new Error(`the API server does not serve ${resource}.${group}`);
}

function resultOf(error: unknown): WriteResult {
  const message = messageOf(error);
  const code = httpStatusOf(error);
  if (code === 404) {
    return { type: 'gone' };
  }
  const refused = code !== undefined && code >= 400 && code < 500 && code !== 409 && code !== 429;
  return { type: refused ? 'refused' : 'retry', message };
}
