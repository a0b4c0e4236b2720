/**
 * Who a pod is: the identity that a certificate request must state and that the API server checks against the live
 * objects, and what the pod says about the ownership of files.
 *
 * Volumes of a pod that is gone are no longer looked after, so one reply is not enough: a proxy between the agent and
 * the API server can answer 404 too. A pod is gone when the reply for its name says so in the API server's own words,
 * or names another pod, and a complete list of the node's pods of that name does not have its UID either.
 *
 * https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/
 */
import type { PodReference } from '../../volumes/base/volume.ts';
import type { CallOptions, SharedRank } from '../base/call.ts';
import { AgentError, isNotFound } from '../base/errors.ts';
import type { Labelled, PodDirectory, PodIdentity } from '../lifecycle/ports.ts';
import type { Clock } from '../time/clock.ts';
import { createMonotonicClock } from '../time/monotonic-clock.ts';
import { createCache } from './cache.ts';
import type { ApiClient, Persona } from './client.ts';
import type { Decoder } from './decoding.ts';
import { pageDecoder } from './envelopes.ts';
import { apiFailureOf, isUnrelatedToNode } from './failure.ts';
import type { KubernetesObject, Pod } from './objects.ts';
import { corePrefix, type ResourceLocation, resourcePath } from './paths.ts';
import { addressesOf, mirrorAnnotation } from './pod-objects.ts';
import { decodeObject, decodePod } from './schemas.ts';

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

/** Objects remembered of each kind. */
const cacheSize = 512;
/** Characters of one of them, its names included. Whoever may make pods and service accounts may fill a megabyte of each with labels. */
const longestRemembered = 32_768;

export interface PodAndAccountDirectory extends PodDirectory {
  /** The identity of a pod that the API server has just shown: it is not read again, only its account and node are looked up. */
  identifyBound(pod: PodReference, call: CallOptions): Promise<PodIdentity>;
}

export function createPodDirectory(options: PodDirectoryOptions): PodAndAccountDirectory {
  const { client, nodeName, readServiceAccountsAs = 'self', clock = createMonotonicClock() } = options;
  const keepMs = options.keepMs ?? { pod: 2_000, serviceAccount: 30_000, node: 60_000 };

  const reader =
    <T>(as: Persona, decode: Decoder<T>) =>
    (path: string, rank: SharedRank): Promise<T> =>
      client.request({ method: 'GET', path, as, decode, ...rank });
  const remember = { clock, size: cacheSize, mayKeep: (object: unknown) => !isLong(object, longestRemembered) };
  const readPod = reader('self', decodePod);
  const pods = createCache<Pod | undefined>({
    ...remember,
    keepMs: keepMs.pod,
    read: (path, rank) =>
      readPod(path, rank).catch((error: unknown) => {
        // To a node, what it may not read may not exist.
        if (isUnrelatedToNode(error)) {
          return listPod(path, rank, error);
        }
        if (saysPodIsAbsent(error, nameIn(path))) {
          return listPod(path, rank, unconfirmed(path, error));
        }
        throw isNotFound(error) ? unconfirmed(path, error) : error;
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
  // There is one.
  const nodes = createCache({ clock, size: 1, keepMs: keepMs.node, read: reader('self', decodeObject) });

  /**
   * The pod as the list of the node's pods has it; undefined when it is not in the list. The list is let in by its selector
   * and complete as of now, and the reply is another than the one for the pod itself.
   * @param otherwise thrown when the list may not be read, or is no list of pods
   */
  async function listPod(path: string, rank: SharedRank, otherwise: unknown): Promise<Pod | undefined> {
    const name = nameIn(path);
    const list = await client
      .request({
        method: 'GET',
        path: path.slice(0, path.lastIndexOf('/')),
        query: { fieldSelector: `spec.nodeName=${nodeName},metadata.name=${name}` },
        as: 'node',
        ...rank,
        decode: pageDecoder(decodePod),
      })
      .catch((error: unknown) => {
        throw error instanceof AgentError && error.code !== 'Unavailable' ? otherwise : error;
      });
    if (list.kind !== 'PodList' || list.items === undefined || list.metadata?.continue) {
      throw otherwise;
    }
    return list.items.map(decodePod).find(({ metadata }) => metadata.name === name);
  }

  async function getPod(reference: PodReference, call: CallOptions, withAddresses: boolean): Promise<Pod> {
    const { namespace, name, uid } = reference;
    const path = core({ namespace, resource: 'pods', name });
    // A remembered pod of another UID, or that there was none, may be the predecessor of this one.
    const named = await pods.get(
      path,
      call,
      (known) => known?.metadata.uid === uid && !(withAddresses && addressesOf(known)?.length === 0),
    );
    if (named === undefined) {
      throw goneError(reference, 'does not exist');
    }
    const pod = named.metadata.uid === uid ? named : await confirmed(reference, path, named, call);
    if (pod.metadata.annotations?.[mirrorAnnotation] !== undefined) {
      const why = 'is a static pod, for which the API server accepts no certificate requests';
      throw new AgentError('Rejected', described(reference, why), { actor: 'pod author' });
    }
    // A pod never changes its node: such an answer is about another cluster's pod, or out of date.
    if (pod.spec?.nodeName !== nodeName) {
      const why = `runs on node ${pod.spec?.nodeName ?? '(none)'}, not on ${nodeName}`;
      throw new AgentError('Unavailable', described(reference, why), { actor: 'nobody' });
    }
    return pod;
  }

  /** The pod, where the reply for its name shows another of that name. @throws AgentError PodGone when the list agrees */
  async function confirmed(reference: PodReference, path: string, other: Pod, rank: SharedRank): Promise<Pod> {
    const listed = await listPod(path, rank, unconfirmed(path, undefined));
    if (listed?.metadata.uid === reference.uid) {
      return listed;
    }
    if (!other.metadata.uid || (listed !== undefined && !listed.metadata.uid)) {
      throw unconfirmed(path, undefined);
    }
    throw goneError(reference, `has been replaced by one with UID ${other.metadata.uid}`);
  }

  const readSurroundings = async ({ namespace, serviceAccountName }: PodReference, call: CallOptions) => {
    const account = { namespace, resource: 'serviceaccounts', name: serviceAccountName };
    const [serviceAccount, node] = await Promise.all([
      serviceAccounts.get(core(account), call),
      nodes.get(core({ resource: 'nodes', name: nodeName }), call),
    ]);
    const identity = {
      serviceAccountUID: uidOf(serviceAccount, `service account ${namespace}/${serviceAccountName}`),
      nodeName,
      nodeUID: uidOf(node, `node ${nodeName}`),
    };
    return { identity, about: { node: labelled(node), serviceAccount: labelled(serviceAccount) } };
  };

  return {
    async identifyBound(pod, options) {
      const { identity } = await readSurroundings(pod, { ...options, owner: pod.uid });
      return { pod, ...identity, ended: false };
    },
    async identify(reference, options, withAddresses = false): Promise<PodIdentity> {
      const call = { ...options, owner: reference.uid };
      const pod = await getPod(reference, call, withAddresses);
      const named = { ...reference, serviceAccountName: pod.spec?.serviceAccountName ?? 'default' };
      const { identity, about } = await readSurroundings(named, call);
      const podIPs = addressesOf(pod);
      const fsGroup = pod.spec?.securityContext?.fsGroup;
      const runAsUser = commonRunAsUser(pod);
      const subPathMounts = mountsBySubPath(pod);
      return {
        pod: named,
        ...identity,
        ended: pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed',
        about: { pod: labelled(pod), ...about },
        ...(podIPs === undefined ? {} : { podIPs }),
        ...(fsGroup === undefined ? {} : { fsGroup }),
        ...(runAsUser === undefined ? {} : { runAsUser }),
        ...(subPathMounts.size === 0 ? {} : { subPathMounts }),
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

/** The containers that mount but a part of a volume, by the volume's name. */
export function mountsBySubPath(pod: Pod): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, string[]>();
  for (const container of [...(pod.spec?.initContainers ?? []), ...(pod.spec?.containers ?? [])]) {
    for (const { name, subPath, subPathExpr } of container.volumeMounts ?? []) {
      const names = found.get(name) ?? [];
      if ((subPath || subPathExpr) && !names.includes(container.name)) {
        found.set(name, [...names, container.name]);
      }
    }
  }
  return found;
}

/** What a value takes beside its characters. */
const charactersOfValue = 64;

function isLong(object: unknown, most: number): boolean {
  const count = (value: unknown, left: number): number => {
    let characters = charactersOfValue + (typeof value === 'string' ? value.length : 0);
    for (const [name, entry] of typeof value === 'object' ? Object.entries(value ?? {}) : []) {
      if (characters > left) {
        break;
      }
      characters += name.length + count(entry, left - characters);
    }
    return characters;
  };
  return count(object, most) > most;
}

function labelled({ metadata: { labels, annotations } }: KubernetesObject): Labelled {
  return { ...(labels === undefined ? {} : { labels }), ...(annotations === undefined ? {} : { annotations }) };
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

/** The reply may be anybody's, or out of date: it is worth another try. */
function unconfirmed(path: string, cause: unknown): AgentError {
  const message = `that ${path} does not exist any more was answered once, and nothing confirms it`;
  return new AgentError('Unavailable', message, { actor: 'nobody', cause });
}

function described(pod: PodReference, what: string): string {
  return `pod ${pod.namespace}/${pod.name} with UID ${pod.uid} ${what}`;
}

function goneError(pod: PodReference, why: string): AgentError {
  return new AgentError('PodGone', described(pod, why), { actor: 'nobody' });
}

/** True when the API server itself, and not a proxy before it, says that there is no pod of this name. */
function saysPodIsAbsent(error: unknown, name: string): boolean {
  const failure = apiFailureOf(error);
  const isAbsent = failure?.httpStatus === 404 && failure.reason === 'NotFound';
  return isAbsent && failure.about?.kind === 'pods' && failure.about.name === name;
}

function nameIn(path: string): string {
  return decodeURIComponent(path.slice(path.lastIndexOf('/') + 1));
}
