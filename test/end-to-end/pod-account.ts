/** A node whose rule makes requests as the pod's own account, and a look at everything that must not hold a token. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { resourcePath } from '../../agent/kubernetes/paths.ts';
import type { AgentIdentity } from '../../sandbox/cluster/permissions.ts';
import type { KubeletNotice } from '../../sandbox/kubelet/surroundings.ts';
import { type Closing, type NodeOptions, startNode, type TestNode } from './node.ts';

export const signerName = 'example.org/approved';
export const account = 'web';

export interface PodAccountNode extends TestNode {
  /** What the kubelet has told. */
  readonly notices: readonly KubeletNotice[];
}

export interface PodAccountOptions extends NodeOptions {
  readonly agentIdentity: AgentIdentity;
  /** Beside `as: pod` and the API. */
  readonly rule?: object;
  /** Of the API. */
  readonly settings?: object;
  /** Default `certificateSigningRequest`; cert-manager is there where the rule asks it. */
  readonly api?: 'certificateSigningRequest' | 'certManager';
  /** Of the CSIDriver object. */
  readonly driver?: object;
  /** Whether the account may create requests. Default true. */
  readonly permitted?: boolean;
}

/** What the chart makes of the CSIDriver object where the kubelet hands tokens over. */
const handedOver = { tokenRequests: [{ audience: '', expirationSeconds: 600 }], requiresRepublish: true };

export async function startPodAccountNode(t: Closing, options: PodAccountOptions): Promise<PodAccountNode> {
  const { rule = {}, settings = {}, driver = handedOver, permitted = true, kubelet, flags = [], ...others } = options;
  const { api = 'certificateSigningRequest' } = options;
  const notices: KubeletNotice[] = [];
  const rules = [{ signers: ['example.org/*'], as: 'pod', ...rule, [api]: settings }];
  const node = await startNode(t, {
    certManager: api === 'certManager',
    ...others,
    kubelet: kubelet === 'none' ? kubelet : { ...kubelet, onNotice: (notice) => void notices.push(notice) },
    flags: ['--issuers', JSON.stringify(rules), ...flags],
  });
  const { admin, driverName } = node.cluster;
  await admin.client.request({
    method: 'PATCH',
    path: resourcePath('/apis/storage.k8s.io/v1', { resource: 'csidrivers', name: driverName }),
    body: { spec: driver },
    contentType: 'application/merge-patch+json',
  });
  if (permitted) {
    await permit(node);
  }
  return { ...node, notices };
}

/** What docs/issuers.md tells whoever manages permissions to give a workload's account. */
async function permit({ cluster: { admin } }: TestNode): Promise<void> {
  const rbac = '/apis/rbac.authorization.k8s.io/v1';
  const metadata = { name: 'workload-requests' };
  const rules = [
    { apiGroups: ['certificates.k8s.io'], resources: ['certificatesigningrequests'], verbs: ['create'] },
    { apiGroups: ['cert-manager.io'], resources: ['certificaterequests'], verbs: ['create'] },
  ];
  await admin.create(rbac, { resource: 'clusterroles' }, { metadata, rules });
  await admin.create(
    rbac,
    { resource: 'clusterrolebindings' },
    {
      metadata,
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: metadata.name },
      subjects: [{ kind: 'ServiceAccount', namespace: 'default', name: account }],
    },
  );
}

export function createPod(node: TestNode, name = 'web') {
  const sources = [{ podCertificate: { signerName, keyType: 'ECDSAP256', credentialBundlePath: 'tls.pem' } }];
  return node.cluster.admin.createPod({ name, serviceAccountName: account, volumes: [{ name: 'mtls', sources }] });
}

/** The beginning of every JWT, and what is put in the place of one that was about to be shown. */
const traces = /eyJ[\w-]{8,}\.|\[redacted token\]/;

/** Looks for tokens wherever the agent writes: log, files, events, metrics, status, answers to the kubelet. */
export async function assertNoTokens(node: PodAccountNode): Promise<void> {
  const { cluster } = node;
  const places: Readonly<Record<string, string>> = {
    log: JSON.stringify(node.lines),
    answers: JSON.stringify(node.notices),
    events: JSON.stringify(cluster.apiServer.store.list('events')),
    requests: JSON.stringify([
      cluster.apiServer.store.list('certificatesigningrequests.certificates.k8s.io'),
      cluster.apiServer.store.list('certificaterequests.cert-manager.io'),
    ]),
    metrics: await node.metrics(),
    status: await node.get('/statusz?format=json'),
    page: await node.get('/statusz'),
    flags: await node.get('/flagz'),
    files: filesBelow(cluster.kubeletRoot)
      .map((file) => readFileSync(file, 'latin1'))
      .join('\n'),
  };
  for (const [place, text] of Object.entries(places)) {
    assert.ok(text.length > 0, `${place} was looked at`);
    assert.doesNotMatch(text, traces, place);
  }
}

function filesBelow(directory: string): string[] {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .map((name) => join(directory, name))
    .filter((path) => statSync(path).isFile());
}
