/**
 * A node to measure on: the stand-in for the API server, the agent, and the kubelet's calls. This is what a bench begins with.
 */
import { createHash } from 'node:crypto';
import type { KeyType } from '../../volumes/declaration/key-types.ts';
import { type AgentOptions, type AgentUnderBench, startAgent } from './agent.ts';
import { type ApiServer, startApiServer } from './api-server.ts';
import { type PodOfBench, signerName } from './api-server-calls.ts';
import { createKubelet, type Kubelet } from './kubelet.ts';
import { makePlaces, type Places, type VolumeMode } from './places.ts';

export interface BenchNode {
  readonly apiServer: ApiServer;
  readonly kubelet: Kubelet;
  readonly places: Places;
  /** The agent that runs now. */
  readonly agent: AgentUnderBench;
  /** Ends the agent and starts another in its place. */
  restartAgent(signal?: NodeJS.Signals): Promise<AgentUnderBench>;
  /** Ends everything, and leaves nothing behind. */
  close(): Promise<void>;
}

export interface BenchNodeOptions extends Omit<AgentOptions, 'places'> {
  /** Default: tmpfs where it can be had. */
  readonly volumeMode?: VolumeMode;
  /** Before the agent starts: bundles, pods. */
  readonly furnish?: (apiServer: ApiServer) => Promise<unknown>;
}

/** Name of the trust bundle that is there from the start. */
export const bundleName = 'example.com:mesh:one';

export async function startBenchNode({ furnish, volumeMode, ...options }: BenchNodeOptions = {}): Promise<BenchNode> {
  const places = makePlaces(volumeMode);
  let apiServer: ApiServer | undefined;
  try {
    apiServer = await startApiServer();
    const server = apiServer;
    server.writeKubeconfig(places.kubeconfig);
    await server.call('bundles', [{ name: bundleName, signerName, labels: {} }]);
    await furnish?.(server);
    let agent = await startAgent({ ...options, places });
    return {
      apiServer: server,
      places,
      kubelet: createKubelet(places),
      get agent() {
        return agent;
      },
      async restartAgent(signal = 'SIGKILL') {
        await agent.end(signal);
        agent = await startAgent({ ...options, places });
        return agent;
      },
      async close() {
        await agent.end('SIGKILL');
        server.close();
        places.remove();
      },
    };
  } catch (error) {
    apiServer?.close();
    places.remove();
    throw error;
  }
}

export interface PodOptions {
  readonly keyType?: KeyType;
  /** Whether the volume also has the signer's trust anchors. Default true. */
  readonly anchors?: boolean;
}

/** A pod of this name; its UID follows from the name, so it is the same in every process. */
export function podOf(name: string, { keyType = 'ECDSAP256', anchors = true }: PodOptions = {}): PodOfBench {
  const digest = createHash('sha256').update(name).digest('hex');
  const uid = digest.replace(/^(.{8})(.{4}).(.{3}).(.{3})(.{12}).*$/, '$1-$2-4$3-8$4-$5');
  const bundleFile = { podCertificate: { signerName, keyType, credentialBundlePath: 'tls.pem' } };
  const anchorsFile = { clusterTrustBundle: { signerName, labelSelector: {}, path: 'ca.pem' } };
  const sources = JSON.stringify(anchors ? [bundleFile, anchorsFile] : [bundleFile]);
  return { namespace: 'bench', name, uid, serviceAccountName: 'default', sources, driverName: 'csi.podcert.io' };
}

/** Starts a pod as far as the agent sees it: it is bound to the node, and the kubelet publishes its volume after `leadMs`. */
export async function startPod(node: BenchNode, pod: PodOfBench, leadMs = 0): Promise<number> {
  await node.apiServer.call('announce', [pod]);
  if (leadMs > 0) {
    await new Promise((resolve) => setTimeout(resolve, leadMs));
  }
  return await node.kubelet.publish(pod);
}

/** Ends a pod as the kubelet does: the volume goes, then the object. */
export async function endPod(node: BenchNode, pod: PodOfBench): Promise<void> {
  await node.kubelet.unpublish(pod);
  await node.apiServer.call('remove', [pod.uid]);
}

/** Some pods at a time. */
const atOnce = 8;

/** Does something with each pod, a few at a time, as a kubelet that is not in a hurry. */
export async function eachOf(pods: readonly PodOfBench[], work: (pod: PodOfBench) => Promise<unknown>): Promise<void> {
  const left = pods.toReversed();
  const worker = async (): Promise<void> => {
    for (let pod = left.pop(); pod !== undefined; pod = left.pop()) {
      await work(pod);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
}
