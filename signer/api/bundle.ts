/**
 * The signer's ClusterTrustBundle: written when it is not what it should be, in whichever version the cluster serves.
 *
 * https://kubernetes.io/docs/reference/access-authn-authz/certificate-signing-requests/#cluster-trust-bundles
 */
import * as v from 'valibot';
import { AgentError } from '../../agent/base/errors.ts';
import type { ApiClient } from '../../agent/kubernetes/client.ts';
import type { Discovery } from '../../agent/kubernetes/discovery.ts';
import { resourcePath } from '../../agent/kubernetes/paths.ts';
import { rawObject, whenFound } from './raw-object.ts';

const bundleObject = v.looseObject({
  metadata: v.looseObject({ name: v.string() }),
  spec: v.looseObject({ trustBundle: v.string() }),
});

/** @param name what follows the signer's name. @returns the name that Kubernetes binds to the signer */
export function bundleName(signerName: string, name: string): string {
  return `${signerName.replaceAll('/', ':')}:${name}`;
}

/**
 * Publishes the anchors.
 * @param anchors PEM
 * @throws AgentError ApiMissing where the cluster serves no ClusterTrustBundles
 */
export async function publishBundle(
  client: ApiClient,
  discovery: Discovery,
  { signerName, name, anchors }: { readonly signerName: string; readonly name: string; readonly anchors: string },
  signal: AbortSignal,
): Promise<void> {
  const api = await discovery.clusterTrustBundles();
  const resource = 'clustertrustbundles';
  const path = resourcePath(api.pathPrefix, { resource, name });
  const known = await client
    .request({ method: 'GET', path, signal, decode: rawObject('ClusterTrustBundle', bundleObject) })
    .catch(whenFound);
  if (known?.spec.trustBundle === anchors) {
    return;
  }
  const head = { apiVersion: api.apiVersion, kind: 'ClusterTrustBundle' };
  if (known !== undefined) {
    const body = { ...known, ...head, spec: { ...known.spec, trustBundle: anchors } };
    await client.request({ method: 'PUT', path, body, signal });
    return;
  }
  const body = { ...head, metadata: { name }, spec: { signerName, trustBundle: anchors } };
  const collection = resourcePath(api.pathPrefix, { resource });
  await client.request({ method: 'POST', path: collection, body, signal }).catch((error: unknown) => {
    // The collection itself: the version is not served any more.
    if (error instanceof AgentError && error.code === 'NotFound') {
      discovery.notServed(api);
    }
    throw error;
  });
}
