/**
 * What tests and the demonstration do in a cluster as its administrator: create and delete objects, and wait for them.
 */
import { stringify } from 'yaml';
import type { ApiClient } from '../../agent/kubernetes/client.ts';
import { createListWatch } from '../../agent/kubernetes/list-watch.ts';
import type { KubernetesObject } from '../../agent/kubernetes/objects.ts';
import { corePrefix, type ResourceLocation, resourcePath } from '../../agent/kubernetes/paths.ts';
import { asSent, httpStatusOf, whenFound } from '../base/client.ts';
import type { BoundPod, CsiVolumeSource } from '../kubelet/pod.ts';

const longestWaitMs = 120_000;

/** A volume of the agent's driver: its `sources` as YAML text, or as what is written in YAML. */
export interface VolumeRequest {
  readonly name: string;
  readonly sources: string | readonly object[];
  /** Default true, without which the driver refuses the volume. */
  readonly readOnly?: boolean;
  /** The part of it that the container mounts; default all of it. */
  readonly subPath?: string;
  /** Further volume attributes: `defaultMode`. */
  readonly attributes?: Readonly<Record<string, string>>;
}

export interface PodRequest {
  readonly name: string;
  /** Default `default`. Namespace and service account are made when they are not there. */
  readonly namespace?: string;
  /** Default `default`. */
  readonly serviceAccountName?: string;
  readonly volumes: readonly VolumeRequest[];
  readonly securityContext?: { readonly fsGroup?: number; readonly runAsUser?: number };
  readonly labels?: Readonly<Record<string, string>>;
}

export interface Event extends KubernetesObject {
  readonly involvedObject?: { readonly name?: string; readonly uid?: string };
  readonly type?: string;
  readonly reason?: string;
  readonly message?: string;
  readonly count?: number;
}

export interface Admin {
  readonly client: ApiClient;
  /** Creates an object. @param prefix `/api/v1` or `/apis/<group>/<version>` */
  create<T extends KubernetesObject>(prefix: string, location: ResourceLocation, object: object): Promise<T>;
  /** The same, where it need not be new. */
  ensure(prefix: string, location: ResourceLocation, object: object): Promise<void>;
  /** Creates a pod on the cluster's node. */
  createPod(request: PodRequest): Promise<BoundPod>;
  /** Deletes a pod and waits until it is gone. */
  deletePod(namespace: string, name: string): Promise<void>;
  /** Waits until the pod runs: its volumes are mounted and its containers started. */
  podRunning(namespace: string, name: string): Promise<BoundPod>;
  /**
   * Waits until an object, or its absence, is accepted. @param collection path of the collection
   * @throws Error after two minutes
   */
  waitFor<T extends KubernetesObject>(
    collection: string,
    name: string,
    accept: (object: T | undefined) => boolean,
  ): Promise<T | undefined>;
  /** Events on a pod. */
  events(namespace: string, podName: string): Promise<readonly Event[]>;
}

/** @param closing ends all waiting */
export function createAdmin(client: ApiClient, nodeName: string, driverName: string, closing: AbortSignal): Admin {
  const podsIn = (namespace: string) => resourcePath(corePrefix, { namespace, resource: 'pods' });

  const create: Admin['create'] = async <T>(prefix: string, location: ResourceLocation, object: object) =>
    await client.request({
      decode: asSent<T>,
      method: 'POST',
      path: resourcePath(prefix, location),
      body: object,
    });

  const ensure: Admin['ensure'] = async (prefix, location, object) => {
    await create(prefix, location, object).catch((error: unknown) => {
      if (httpStatusOf(error) !== 409) {
        throw error;
      }
    });
  };

  const waitFor: Admin['waitFor'] = <T extends KubernetesObject>(
    collection: string,
    name: string,
    accept: (object: T | undefined) => boolean,
  ) =>
    new Promise<T | undefined>((resolve, reject) => {
      const watch = createListWatch<T>({
        decode: asSent<T>,
        client,
        path: async () => collection,
        query: { fieldSelector: `metadata.name=${name}` },
      });
      const settle = (): void => {
        clearTimeout(timer);
        closing.removeEventListener('abort', giveUp);
        watch.stop();
      };
      const giveUp = (): void => {
        settle();
        const state = closing.aborted ? 'the cluster was closed' : JSON.stringify(watch.list()[0]);
        reject(new Error(`waited for ${collection}/${name}: ${state}`));
      };
      const timer = setTimeout(giveUp, longestWaitMs);
      closing.addEventListener('abort', giveUp, { once: true });
      if (closing.aborted) {
        giveUp();
      }
      watch.subscribe(() => {
        const [object] = watch.list();
        if (!watch.health().synced || !accept(object)) {
          return;
        }
        settle();
        resolve(object);
      });
    });

  return {
    client,
    create,
    ensure,
    createPod: async (request) => {
      const { namespace = 'default', serviceAccountName = 'default' } = request;
      await ensure(corePrefix, { resource: 'namespaces' }, { metadata: { name: namespace } });
      const accounts: ResourceLocation = { namespace, resource: 'serviceaccounts' };
      await ensure(corePrefix, accounts, { metadata: { name: serviceAccountName } });
      const pod = podObject(request, nodeName, driverName);
      return await create<BoundPod>(corePrefix, { namespace, resource: 'pods' }, pod);
    },
    deletePod: async (namespace, name) => {
      const path = resourcePath(corePrefix, { namespace, resource: 'pods', name });
      await client.request({ method: 'DELETE', path }).catch(whenFound);
      await waitFor(podsIn(namespace), name, (pod) => pod === undefined);
    },
    podRunning: async (namespace, name) => {
      const isRunning = (pod: BoundPod | undefined) => pod?.status?.phase === 'Running';
      const pod = await waitFor<BoundPod>(podsIn(namespace), name, isRunning);
      if (pod === undefined) {
        throw new Error(`pod ${namespace}/${name} does not run`);
      }
      return pod;
    },
    waitFor,
    events: async (namespace, podName) => {
      const path = resourcePath(corePrefix, { namespace, resource: 'events' });
      const query = { fieldSelector: `involvedObject.name=${podName}` };
      const list = await client.request({
        decode: asSent<{ readonly items?: readonly Event[] }>,
        method: 'GET',
        path,
        query,
      });
      return list.items ?? [];
    },
  };
}

function podObject(request: PodRequest, nodeName: string, driverName: string): object {
  const csi = (volume: VolumeRequest): CsiVolumeSource => ({
    driver: driverName,
    readOnly: volume.readOnly ?? true,
    volumeAttributes: {
      ...volume.attributes,
      sources: typeof volume.sources === 'string' ? volume.sources : stringify(volume.sources),
    },
  });
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: request.name, labels: request.labels },
    spec: {
      nodeName,
      serviceAccountName: request.serviceAccountName ?? 'default',
      securityContext: request.securityContext,
      containers: [
        {
          name: 'main',
          image: 'sandbox.example.com/workload',
          volumeMounts: request.volumes.map(({ name, subPath }) => ({
            name,
            mountPath: `/var/run/${name}`,
            readOnly: true,
            ...(subPath === undefined ? {} : { subPath }),
          })),
        },
      ],
      volumes: request.volumes.map((volume) => ({ name: volume.name, csi: csi(volume) })),
    },
  };
}
