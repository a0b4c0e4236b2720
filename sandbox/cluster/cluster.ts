/**
 * A cluster in one process: an API server, signers and a kubelet's share of one node, wired together, with a kubeconfig for
 * everyone. The agent is not part of it: it runs against it, in this process or in another.
 *
 * @example
 * ```ts
 * const cluster = await startCluster({ directory, signers: [{ signerName: 'example.com/mesh' }] });
 * await cluster.admin.createPod({ name: 'web', volumes: [{ name: 'mtls', sources }] });
 * await cluster.admin.podRunning('default', 'web');
 * await cluster.close();
 * ```
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ApiClient } from '../../agent/kubernetes/client.ts';
import { createSandboxClient } from '../base/client.ts';
import type { KubernetesVersion } from '../base/cluster-rules.ts';
import { type ApiServer, startApiServer } from '../serving/server.ts';
import { createSignerApi } from '../signers/api.ts';
import { type Signer, type SignerOptions, startSigner } from '../signers/signer.ts';
import type { SignerApi, WriteUnchecked } from '../signers/signer-api.ts';
import { type Admin, createAdmin } from './admin.ts';
import { furnish } from './furnish.ts';
import { type KubeletSettings, type RunningNode, runNode } from './node.ts';
import {
  type AgentIdentity,
  agentPermissions,
  approverUser,
  type ClusterObject,
  nodePermissions,
  signerUser,
} from './permissions.ts';
import { createRules, type RulesOptions } from './rules.ts';
import { startScheduler } from './scheduler.ts';

/** A signer; how it reaches the API server and how fast that server's time runs is the cluster's to say. */
export type ClusterSigner = Omit<SignerOptions, 'api' | 'writeUnchecked' | 'timeScale'>;

export interface ClusterOptions {
  /** Directory for kubeconfig files, sockets and the kubelet's root; it exists. Its path is short: sockets lie in it. */
  readonly directory: string;
  /** Default 1.36. */
  readonly kubernetes?: KubernetesVersion;
  /** How much faster than real the cluster's minimums and periods run. Default 1. */
  readonly timeScale?: number;
  /** Default: none. */
  readonly signers?: readonly ClusterSigner[];
  /** Default `node-1`. */
  readonly nodeName?: string;
  /** Taints that the node has from the start. Default none. Pods that tests bind to it need not tolerate them. */
  readonly nodeTaints?: readonly object[];
  /** Default `csi.podcert.io`. */
  readonly driverName?: string;
  /** Absent: a kubelet that calls the driver's socket with a real kubelet's pauses. `none`: no kubelet. */
  readonly kubelet?: KubeletSettings | 'none';
  /** Default: as its node where the cluster knows that (1.36 and newer), else as its service account. */
  readonly agentIdentity?: AgentIdentity;
  /** Roles, bindings and policies for the agent and its node, in place of those that its identity needs. */
  readonly agentObjects?: readonly ClusterObject[];
  /** Whether cert-manager's types are served from the start; `apiServer.installCertManager` serves them later. Default false. */
  readonly certManager?: boolean;
  /** Whether pods without a node are bound to this one. Default false: they wait. */
  readonly schedulesPods?: boolean;
  /** Asked about what the cluster's own authorizers do not allow. */
  readonly authorizer?: RulesOptions['authorizer'];
}

/** Kubeconfig files of the cluster's users. */
export interface Kubeconfigs {
  /** May do everything. */
  readonly admin: string;
  /** The agent's service account, with a token bound to its pod on the node; or the kubelet's, where that is its identity. */
  readonly agent: string;
  /** `system:node:<node>`. */
  readonly kubelet: string;
  /** The signers' user. */
  readonly signer: string;
  /** The user of an approver of CertificateSigningRequests. */
  readonly approver: string;
}

export interface Cluster {
  readonly apiServer: ApiServer;
  readonly admin: Admin;
  readonly kubeconfigs: Kubeconfigs;
  readonly nodeName: string;
  readonly driverName: string;
  readonly kubeletRoot: string;
  /** Where the kubelet expects the driver. */
  readonly csiSocket: string;
  readonly registrationDirectory: string;
  /** True when the agent makes its requests as its node, by impersonation. */
  readonly impersonateNode: boolean;
  /** @throws Error when there is no signer of that name. */
  signer(signerName: string): Signer;
  /** Starts one more signer. */
  addSigner(options: ClusterSigner): Promise<Signer>;
  /** Stops the kubelet, as when it is restarted: volumes and pods stay. */
  stopKubelet(): Promise<void>;
  /** Starts it again over what is there. */
  startKubelet(): void;
  /** Ends everything but the files. Idempotent. */
  close(): Promise<void>;
}

const requestsResource = 'podcertificaterequests.certificates.k8s.io';

export async function startCluster(options: ClusterOptions): Promise<Cluster> {
  const { directory, kubernetes = '1.36', timeScale = 1, nodeName = 'node-1', driverName = 'csi.podcert.io' } = options;
  const places = {
    nodeName,
    driverName,
    kubeletRoot: join(directory, 'kubelet'),
    registrationDirectory: join(directory, 'kubelet', 'plugins_registry'),
    csiSocket: join(directory, 'csi.sock'),
  };
  const canImpersonate = kubernetes === '1.36' || kubernetes === '1.37';
  const { agentIdentity = canImpersonate ? 'impersonatedNode' : 'serviceAccount' } = options;
  const impersonateNode = agentIdentity === 'impersonatedNode';
  const {
    agentObjects = [...agentPermissions(agentIdentity), ...nodePermissions()],
    authorizer,
    certManager = false,
    nodeTaints = [],
  } = options;
  await mkdir(places.registrationDirectory, { recursive: true });
  const apiServer = await startApiServer({
    rules: createRules(authorizer && { authorizer }),
    kubernetes,
    timeScale,
    certManager,
  });
  const access = createAccess(directory, apiServer);
  const signers = createSigners(apiServer, timeScale);
  const closing = new AbortController();
  let node: RunningNode | undefined;
  const stopKubelet = async () => {
    const stopping = node;
    node = undefined;
    await stopping?.close();
  };
  let closed: Promise<void> | undefined;
  const close = () => {
    closed ??= (async () => {
      closing.abort();
      signers.close();
      await stopKubelet();
      access.close();
      await apiServer.close();
    })();
    return closed;
  };

  try {
    const adminConfig = await access.user('admin', 'admin', ['system:masters']);
    const admin = createAdmin(access.client(adminConfig, 'sandbox-admin'), nodeName, driverName, closing.signal);
    const kubelet = await access.user('kubelet', `system:node:${nodeName}`, ['system:nodes']);
    const account = await access.save(
      'agent',
      await furnish(admin, apiServer, { nodeName, driverName, nodeTaints, agentObjects }),
    );
    const kubeconfigs: Kubeconfigs = {
      admin: adminConfig,
      agent: agentIdentity === 'kubelet' ? kubelet : account,
      kubelet,
      signer: await access.user('signer', signerUser, []),
      approver: await access.user('approver', approverUser, []),
    };
    const signerApi = createSignerApi(access.client(kubeconfigs.signer, 'sandbox-signer'));
    const addSigner = (signer: ClusterSigner) => signers.add(signer, signerApi);
    for (const signer of options.signers ?? []) {
      await addSigner(signer);
    }
    const kubeletClient = access.client(kubeconfigs.kubelet, 'kubelet');
    const startKubelet = () => {
      if (options.kubelet !== 'none') {
        node ??= runNode(kubeletClient, places, options.kubelet ?? {});
      }
    };
    startKubelet();
    if (options.schedulesPods === true) {
      closing.signal.addEventListener('abort', startScheduler(apiServer.store, nodeName), { once: true });
    }
    const { get: signer } = signers;
    return {
      ...{ ...places, apiServer, admin, kubeconfigs, impersonateNode },
      ...{ signer, addSigner, startKubelet, stopKubelet, close },
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Writes kubeconfig files and makes clients of them. */
function createAccess(directory: string, apiServer: ApiServer) {
  const clients: ApiClient[] = [];
  const save = async (name: string, text: string): Promise<string> => {
    const path = join(directory, `${name}.kubeconfig`);
    await writeFile(path, text, { mode: 0o600 });
    return path;
  };
  return {
    save,
    user: (name: string, username: string, groups: readonly string[]) =>
      save(name, apiServer.kubeconfig({ username, groups, extra: {} })),
    client: (path: string, userAgent: string) => {
      const client = createSandboxClient(path, userAgent);
      clients.push(client);
      return client;
    },
    close: () => {
      for (const client of clients) {
        client.close();
      }
    },
  };
}

function createSigners(apiServer: ApiServer, timeScale: number) {
  const signers = new Map<string, Signer>();
  const writeUnchecked = backDoor(apiServer);
  return {
    add: async (options: ClusterSigner, api: SignerApi): Promise<Signer> => {
      const signer = await startSigner({ ...options, api, writeUnchecked, timeScale });
      signers.set(signer.signerName, signer);
      return signer;
    },
    get: (signerName: string): Signer => {
      const signer = signers.get(signerName);
      if (signer === undefined) {
        throw new Error(`there is no signer ${signerName}`);
      }
      return signer;
    },
    close: () => {
      for (const signer of signers.values()) {
        signer.close();
      }
    },
  };
}

/** Wrong answers of signers go past the API server's validation. */
function backDoor({ store }: ApiServer): WriteUnchecked {
  return (request, status) => {
    const stored = store.get(requestsResource, request.metadata.namespace ?? '', request.metadata.name);
    if (stored === undefined || stored.metadata.uid !== request.metadata.uid) {
      return;
    }
    store.update(requestsResource, { ...stored, status: JSON.parse(JSON.stringify(status)) });
  };
}
