/**
 * The node's CSINode object, in which a kubelet writes down the CSI drivers that are registered with it: a driver is in it
 * before it is told that it is registered, and out of it once its socket has gone.
 *
 * https://kubernetes.io/docs/reference/kubernetes-api/config-and-storage-resources/csi-node-v1/
 */
import type { ApiClient } from '../../agent/kubernetes/client.ts';
import type { KubernetesObject } from '../../agent/kubernetes/objects.ts';
import { corePrefix, resourcePath } from '../../agent/kubernetes/paths.ts';
import { asSent, httpStatusOf, whenFound } from '../base/client.ts';

interface Driver {
  readonly name: string;
  readonly nodeID: string;
  readonly topologyKeys: readonly string[] | null;
}

interface CsiNode extends KubernetesObject {
  readonly spec: { readonly drivers: readonly Driver[] | null };
}

export interface CsiNodeBook {
  /** @throws Error when the API server does not take it: the driver is not registered then. */
  install(driverName: string, nodeId: string): Promise<void>;
  uninstall(driverName: string): Promise<void>;
}

const prefix = '/apis/storage.k8s.io/v1';
const resource = 'csinodes';
/** Another writer may come in between, but not again and again. */
const attempts = 5;

export function createCsiNodeBook(client: ApiClient, nodeName: string): CsiNodeBook {
  const path = resourcePath(prefix, { resource, name: nodeName });

  const read = () => client.request({ decode: asSent<CsiNode>, method: 'GET', path }).catch(whenFound);

  /** A new object belongs to the Node, and goes with it. */
  const create = async (drivers: readonly Driver[]): Promise<void> => {
    const nodePath = resourcePath(corePrefix, { resource: 'nodes', name: nodeName });
    const { metadata } = await client.request({ decode: asSent<KubernetesObject>, method: 'GET', path: nodePath });
    const owner = { apiVersion: 'v1', kind: 'Node', name: nodeName, uid: metadata.uid };
    const body = { metadata: { name: nodeName, ownerReferences: [owner] }, spec: { drivers } };
    await client.request({ method: 'POST', path: resourcePath(prefix, { resource }), body });
  };

  const write = async (change: (drivers: readonly Driver[]) => readonly Driver[]): Promise<void> => {
    const stored = await read();
    const drivers = change(stored?.spec.drivers ?? []);
    if (stored === undefined) {
      return create(drivers);
    }
    await client.request({ method: 'PUT', path, body: { ...stored, spec: { ...stored.spec, drivers } } });
  };

  const persist = async (change: (drivers: readonly Driver[]) => readonly Driver[]): Promise<void> => {
    for (let left = attempts; ; left -= 1) {
      try {
        return await write(change);
      } catch (error) {
        if (httpStatusOf(error) !== 409 || left <= 1) {
          throw error;
        }
      }
    }
  };

  return {
    install: (name, nodeID) =>
      persist((drivers) => [...drivers.filter((each) => each.name !== name), { name, nodeID, topologyKeys: null }]),
    uninstall: (name) => persist((drivers) => drivers.filter((each) => each.name !== name)),
  };
}
