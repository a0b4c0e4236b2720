/**
 * Creates what a cluster has before the agent starts: the node, the CSIDriver, permissions, and the agent's own pod
 * with its token.
 */
import type { KubernetesObject } from '../../agent/kubernetes/objects.ts';
import { corePrefix } from '../../agent/kubernetes/paths.ts';
import type { ApiServer } from '../serving/server.ts';
import { kubeconfig } from '../serving/tls.ts';
import type { Admin } from './admin.ts';
import {
  agentAccount,
  agentNamespace,
  approverPermissions,
  type ClusterObject,
  signerPermissions,
} from './permissions.ts';

/** Long enough for every run of a sandbox. */
const agentTokenSeconds = 30 * 86400;

export interface Furniture {
  readonly nodeName: string;
  readonly driverName: string;
  /** Taints that the node has from the start. */
  readonly nodeTaints: readonly object[];
  /** What gives the agent its permissions, or limits them. */
  readonly agentObjects: readonly ClusterObject[];
}

/** Makes the objects. @returns a kubeconfig (YAML) of the agent, whose token is bound to its pod on the node. */
export async function furnish(admin: Admin, apiServer: ApiServer, furniture: Furniture): Promise<string> {
  const { nodeName, driverName, nodeTaints, agentObjects } = furniture;
  // A node's name, such as a cloud's domain name, may be too long for a label. A host's name is not.
  const [hostname = nodeName] = nodeName.split('.', 1);
  const node = await admin.create<KubernetesObject>(
    corePrefix,
    { resource: 'nodes' },
    {
      metadata: { name: nodeName, labels: { 'kubernetes.io/hostname': hostname } },
      ...(nodeTaints.length === 0 ? {} : { spec: { taints: nodeTaints } }),
    },
  );
  const storage = '/apis/storage.k8s.io/v1';
  await admin.create(storage, { resource: 'csidrivers' }, csiDriverObject(driverName));
  for (const { prefix, resource, object } of [...signerPermissions(), ...approverPermissions(), ...agentObjects]) {
    await admin.ensure(prefix, { resource }, object);
  }
  const accounts = { namespace: agentNamespace, resource: 'serviceaccounts' };
  const account = await admin.create<KubernetesObject>(corePrefix, accounts, { metadata: { name: agentAccount } });
  const name = `${agentAccount}-${nodeName}`;
  const pod = await admin.createPod({
    namespace: agentNamespace,
    name,
    serviceAccountName: agentAccount,
    volumes: [],
  });
  const reference = ({ metadata }: KubernetesObject) => ({ name: metadata.name, uid: metadata.uid ?? '' });
  const claims = {
    namespace: agentNamespace,
    serviceAccount: reference(account),
    pod: reference(pod),
    node: reference(node),
  };
  return agentConfig(apiServer, apiServer.issueToken(claims, { lifetimeSeconds: agentTokenSeconds }).token);
}

function csiDriverObject(name: string): object {
  return {
    metadata: { name, labels: { 'security.kubernetes.io/csi-ephemeral-volume-profile': 'restricted' } },
    spec: { attachRequired: false, podInfoOnMount: true, volumeLifecycleModes: ['Ephemeral'], seLinuxMount: true },
  };
}

function agentConfig(apiServer: ApiServer, token: string): string {
  const user = `system:serviceaccount:${agentNamespace}:${agentAccount}`;
  return kubeconfig({ url: apiServer.url, caPem: apiServer.caPem, user, token, namespace: agentNamespace });
}
