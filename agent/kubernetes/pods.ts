/**
 * Who a pod is: the identity that a certificate request must state and that the API server checks against the live
 * objects, and what the pod says about the ownership of files.
 *
 * https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/
 */
import type { PodReference } from '../../volumes/base/volume.ts';
import type { CallOptions, SharedRank } from '../base/call.ts';
import { AgentError } from '../base/errors.ts';
import type { PodDirectory, PodIdentity } from '../lifecycle/ports.ts';
import type { Clock } from '../time/clock.ts';
import { createMonotonicClock } from '../time/monotonic-clock.ts';
import { createCache } from './cache.ts';
import type { ApiClient, Persona } from './client.ts';
import { isUnrelatedToNode } from './failure.ts';
import type { KubernetesObject, Pod } from './objects.ts';
import { corePrefix, type ResourceLocation, resourcePath } from './paths.ts';
import { type Decoder, decodeObject, decodePage, decodePod } from './schemas.ts';

export interface PodDirectoryOptions {
  readonly client: Pick<ApiClient, 'request'>;
  readonly nodeName: string;
  /**
   * As whom service accounts are read. A node may get just those whose token, or a podCertificate source, one of its pods
   * mounts; a pod with neither needs `self`. Default `self`.
   */
  readonly readServiceAccountsAs?: Persona;
  /** Must not go back. Default `createMonotonicClock()`. */
  readonly clock?: Clock;
  /** How long an answer is good for, milliseconds. Defaults: pod 2 s, service account 30 s, node 60 s. */
  readonly keepMs?: { readonly pod: number; readonly serviceAccount: number; readonly node: number };
}

/** Set on the API server's copy of a static pod, with the UID that the kubelet knows it by. */
const mirrorAnnotation = 'kubernetes.io/config.mirror';

/** Objects remembered of each kind. */
const cacheSize = 512;

export function createPodDirectory(options: PodDirectoryOptions): PodDirectory {
  const { client, nodeName, readServiceAccountsAs = 'self', clock = createMonotonicClock() } = options;
  const keepMs = options.keepMs ?? { pod: 2_000, serviceAccount: 30_000, node: 60_000 };

  const reader =
    <T>(as: Persona, decode: Decoder<T>) =>
    (path: string, rank: SharedRank): Promise<T> =>
      client.request({ method: 'GET', path, as, decode, ...rank });
  const remember = { clock, size: cacheSize };
  const readPod = reader('self', decodePod);
  const pods = createCache({
    ...remember,
    keepMs: keepMs.pod,
    read: (path, rank) =>
      readPod(path, rank).catch((error: unknown) => {
        if (isUnrelatedToNode(error)) return findPod(path, rank, error);
        throw error;
      }),
  });
  const readServiceAccount = reader(readServiceAccountsAs, decodeObject);
  const serviceAccounts = createCache({
    ...remember,
    keepMs: keepMs.serviceAccount,
    read: (path, rank) =>
      readServiceAccount(path, rank).catch((error: unknown) => {
        // Its pod was there a moment ago: either the authorizer has not seen that yet, or the next look will not find it.
        throw isUnrelatedToNode(error) ? notYetRelated(path, error) : error;
      }),
  });
  const nodes = createCache({ ...remember, keepMs: keepMs.node, read: reader('self', decodeObject) });

  /**
   * A node that may not read a pod does not learn whether it exists. The list of the node's pods tells: it is let in by
   * its selector and complete as of now.
   */
  async function findPod(path: string, rank: SharedRank, refusal: unknown): Promise<Pod> {
    const [collection, name] = [path.slice(0, path.lastIndexOf('/')), path.slice(path.lastIndexOf('/') + 1)];
    const query = { fieldSelector: `spec.nodeName=${nodeName},metadata.name=${decodeURIComponent(name)}` };
    const list = await client
      .request({ method: 'GET', path: collection, query, ...rank, decode: decodePage })
      // Not this node's list either: the refusal says who was asked for and why not.
      .catch((error: unknown) => {
        throw error instanceof AgentError && error.code === 'Forbidden' ? refusal : error;
      });
    const [pod] = (list.items ?? []).map(decodePod);
    if (pod === undefined) {
      throw new AgentError('NotFound', 'the pod is not among those of its node', { actor: 'nobody', cause: refusal });
    }
    return pod;
  }

  async function getPod(reference: PodReference, call: CallOptions): Promise<Pod> {
    const { namespace, name, uid } = reference;
    const path = core({ namespace, resource: 'pods', name });
    // A remembered pod of another UID may be the predecessor of this one.
    const pod = await pods
      .get(path, call, (known) => known.metadata.uid === uid)
      .catch((error: unknown) => {
        throw isNotFound(error) ? goneError(reference, 'does not exist') : error;
      });
    if (pod.metadata.annotations?.[mirrorAnnotation] !== undefined) {
      throw goneError(reference, 'is a static pod, for which the API server accepts no certificate requests');
    }
    if (pod.metadata.uid !== uid) {
      throw goneError(reference, `has been replaced by one with UID ${pod.metadata.uid ?? '(none)'}`);
    }
    if (pod.spec?.nodeName !== nodeName) {
      throw goneError(reference, `runs on node ${pod.spec?.nodeName ?? '(none)'}, not on ${nodeName}`);
    }
    return pod;
  }

  return {
    async identify(reference, options): Promise<PodIdentity> {
      const call = { ...options, owner: reference.uid };
      const pod = await getPod(reference, call);
      const { namespace } = reference;
      const serviceAccountName = pod.spec?.serviceAccountName ?? 'default';
      const account = { namespace, resource: 'serviceaccounts', name: serviceAccountName };
      const [serviceAccount, node] = await Promise.all([
        serviceAccounts.get(core(account), call),
        nodes.get(core({ resource: 'nodes', name: nodeName }), call),
      ]);
      const fsGroup = pod.spec?.securityContext?.fsGroup;
      const runAsUser = commonRunAsUser(pod);
      return {
        pod: { ...reference, serviceAccountName },
        serviceAccountUID: uidOf(serviceAccount, `service account ${namespace}/${serviceAccountName}`),
        nodeName,
        nodeUID: uidOf(node, `node ${nodeName}`),
        ended: pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed',
        ...(fsGroup === undefined ? {} : { fsGroup }),
        ...(runAsUser === undefined ? {} : { runAsUser }),
      };
    },
  };
}

/**
 * The user that every container runs as, init containers included, where all say so and say the same. A container's own
 * securityContext goes before the pod's. Ephemeral containers cannot have one.
 */
export function commonRunAsUser(pod: Pod): number | undefined {
  const containers = [...(pod.spec?.initContainers ?? []), ...(pod.spec?.containers ?? [])];
  const users = containers.map(
    (container) => container.securityContext?.runAsUser ?? pod.spec?.securityContext?.runAsUser,
  );
  const [first] = users;
  return users.every((user) => user === first) ? first : undefined;
}

function core(location: ResourceLocation): string {
  return resourcePath(corePrefix, location);
}

function uidOf(object: KubernetesObject, what: string): string {
  if (!object.metadata?.uid) {
    throw new AgentError('Unavailable', `the API server's answer for ${what} has no UID`, { actor: 'nobody' });
  }
  return object.metadata.uid;
}

function notYetRelated(path: string, cause: unknown): AgentError {
  const message = `the API server does not let the node read ${path} yet`;
  return new AgentError('Unavailable', message, { actor: 'nobody', cause });
}

function goneError(pod: PodReference, why: string): AgentError {
  return new AgentError('PodGone', `pod ${pod.namespace}/${pod.name} with UID ${pod.uid} ${why}`, { actor: 'nobody' });
}

function isNotFound(error: unknown): boolean {
  return error instanceof AgentError && error.code === 'NotFound';
}
