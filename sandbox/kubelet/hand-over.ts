/**
 * The tokens of a pod's service account that the kubelet hands over to a CSI driver, as the CSIDriver object asks for them: made
 * as the node, bound to the pod, kept until a fifth of their life is left.
 *
 * https://kubernetes-csi.github.io/docs/token-requests.html
 */
import type { ApiClient } from '../../agent/kubernetes/client.ts';
import type { KubernetesObject } from '../../agent/kubernetes/objects.ts';
import { corePrefix, resourcePath } from '../../agent/kubernetes/paths.ts';
import { asSent } from '../base/client.ts';
import type { BoundPod } from './pod.ts';
import type { HandOver } from './surroundings.ts';

interface CsiDriverObject extends KubernetesObject {
  readonly spec: {
    readonly tokenRequests?: readonly { readonly audience: string; readonly expirationSeconds?: number }[];
    readonly requiresRepublish?: boolean;
    readonly serviceAccountTokenInSecrets?: boolean;
  };
}

interface TokenReply {
  readonly status: { readonly token: string; readonly expirationTimestamp: string };
}

/** @returns what is handed over with each publish call for a pod, and whether the call is repeated */
export function createHandOver(client: ApiClient): (pod: BoundPod, driverName: string) => Promise<HandOver> {
  let known: CsiDriverObject | undefined;
  const tokens = new Map<string, { readonly status: TokenReply['status']; readonly renewAt: number }>();

  const read = async (name: string): Promise<CsiDriverObject | undefined> => {
    const path = resourcePath('/apis/storage.k8s.io/v1', { resource: 'csidrivers', name });
    known = await client
      .request({ method: 'GET', path, decode: asSent<CsiDriverObject>, priority: 'first' })
      .catch(() => known);
    return known;
  };

  /** As an informer has it: what was read last, at once, also while the API server is away. */
  const driverObject = async (name: string): Promise<CsiDriverObject | undefined> => {
    const fresh = read(name);
    return known ?? (await fresh);
  };

  const tokenFor = async (pod: BoundPod, audience: string, expirationSeconds = 3600): Promise<TokenReply['status']> => {
    const { name, namespace = 'default', uid } = pod.metadata;
    const key = JSON.stringify([uid, audience]);
    const kept = tokens.get(key);
    if (kept !== undefined && Date.now() < kept.renewAt) {
      return kept.status;
    }
    const account = pod.spec?.serviceAccountName ?? 'default';
    const { status } = await client.request({
      method: 'POST',
      path: resourcePath(corePrefix, { namespace, resource: 'serviceaccounts', name: account, subresource: 'token' }),
      body: {
        spec: {
          ...(audience === '' ? {} : { audiences: [audience] }),
          expirationSeconds,
          boundObjectRef: { kind: 'Pod', apiVersion: 'v1', name, uid },
        },
      },
      decode: asSent<TokenReply>,
      priority: 'first',
    });
    const life = Date.parse(status.expirationTimestamp) - Date.now();
    tokens.set(key, { status, renewAt: Date.now() + life * 0.8 });
    return status;
  };

  return async (pod, driverName) => {
    const {
      tokenRequests = [],
      requiresRepublish,
      serviceAccountTokenInSecrets,
    } = (await driverObject(driverName))?.spec ?? {};
    const handed = await Promise.all(
      tokenRequests.map(
        async ({ audience, expirationSeconds }) =>
          [audience, await tokenFor(pod, audience, expirationSeconds)] as const,
      ),
    );
    const isRepeated = requiresRepublish === true;
    if (handed.length === 0) {
      return { isRepeated };
    }
    const text = JSON.stringify(Object.fromEntries(handed));
    return { isRepeated, tokens: { text, inSecrets: serviceAccountTokenInSecrets === true } };
  };
}
