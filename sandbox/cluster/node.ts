/**
 * The sandbox's one node: its kubelet, and where the kubelet finds the driver.
 */
import type { ApiClient } from '../../agent/kubernetes/client.ts';
import { createKubeletApi } from '../kubelet/api.ts';
import { createCsiDriver } from '../kubelet/csi.ts';
import { createCsiNodeBook } from '../kubelet/csi-node.ts';
import { startKubelet } from '../kubelet/kubelet.ts';
import { watchPlugins } from '../kubelet/registration.ts';
import { scaledBackoff } from '../kubelet/retry.ts';
import type { KubeletNotice, StartContainers } from '../kubelet/surroundings.ts';

export interface KubeletSettings {
  /** Factor on the pauses between retries. Default 1. */
  readonly backoffFactor?: number;
  /** How often a pod that runs is looked at, and published again where the driver wants that, milliseconds. */
  readonly syncMs?: number;
  /** Deadline of calls to the driver. Default two minutes. */
  readonly deadlineMs?: number;
  /** True: the driver is found through the registration directory; default: its socket is known. */
  readonly registration?: boolean;
  readonly startContainers?: StartContainers;
  readonly onNotice?: (notice: KubeletNotice) => void;
}

/** Names and paths of a node. */
export interface NodePlaces {
  readonly nodeName: string;
  readonly driverName: string;
  readonly kubeletRoot: string;
  readonly registrationDirectory: string;
  readonly csiSocket: string;
}

export interface RunningNode {
  close(): Promise<void>;
}

/** Starts the kubelet. */
export function runNode(client: ApiClient, places: NodePlaces, settings: KubeletSettings): RunningNode {
  const { nodeName, driverName, kubeletRoot, registrationDirectory, csiSocket } = places;
  const book = createCsiNodeBook(client, nodeName);
  const plugins = settings.registration
    ? watchPlugins({ directory: registrationDirectory, driverName, book })
    : undefined;
  const kubelet = startKubelet({
    nodeName,
    root: kubeletRoot,
    driverName,
    driver: createCsiDriver({
      driverName,
      endpoint: () => (plugins === undefined ? csiSocket : plugins.endpoint()),
      deadlineMs: settings.deadlineMs,
    }),
    api: createKubeletApi(client, nodeName),
    backoff: scaledBackoff(settings.backoffFactor ?? 1),
    syncMs: settings.syncMs,
    startContainers: settings.startContainers,
    onNotice: settings.onNotice,
  });
  return {
    close: async () => {
      plugins?.close();
      await kubelet.close();
    },
  };
}
