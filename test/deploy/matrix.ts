/**
 * The values that the chart is rendered with: every one that values.yaml documents, with something else than its default,
 * and the combinations that change each other.
 */

export const modes = ['impersonatedNode', 'serviceAccount', 'kubelet'] as const;

/** A value by its path, and something that shows in what is rendered; `with` is what it needs beside it. */
export interface Sample {
  readonly path: string;
  readonly value: unknown;
  readonly with?: Readonly<Record<string, unknown>>;
}

const podMonitor = { 'metrics.podMonitor.enabled': true };
const kubelet = { 'identity.mode': 'kubelet' };
const trialSigner = { 'trialSigner.enabled': true };

export const samples: readonly Sample[] = [
  { path: 'nameOverride', value: 'certs' },
  { path: 'fullnameOverride', value: 'certs' },
  { path: 'image.repository', value: 'registry.example/other' },
  { path: 'image.tag', value: '9.9.9' },
  { path: 'image.digest', value: `sha256:${'0'.repeat(64)}` },
  { path: 'image.pullPolicy', value: 'Always' },
  { path: 'imagePullSecrets', value: [{ name: 'registry' }] },
  { path: 'driverName', value: 'csi.example.com' },
  { path: 'kubeletRoot', value: '/var/lib/k0s/kubelet' },
  { path: 'identity.mode', value: 'serviceAccount' },
  { path: 'identity.kubelet.kubeconfig', value: '/var/lib/kubelet/kubeconfig', with: kubelet },
  { path: 'identity.kubelet.directories', value: ['/etc/pki', '/var/lib/pki'], with: kubelet },
  { path: 'identity.nodeSigners', value: ['example.com/mesh'] },
  { path: 'serviceAccount.create', value: false, with: { 'serviceAccount.name': 'mine' } },
  { path: 'serviceAccount.name', value: 'mine' },
  { path: 'serviceAccount.annotations', value: { 'example.com/a': 'b' } },
  { path: 'rbac.create', value: false },
  { path: 'rbac.clusterTrustBundles', value: true },
  { path: 'allowedSigners', value: [{ namespaces: ['shop', 'team-*'], signers: ['example.com/*'] }] },
  { path: 'rbac.certManager', value: true },
  { path: 'issuers', value: [{ signers: ['example.org/*'], certificateSigningRequest: {} }] },
  { path: 'issuers', value: [{ signers: ['example.org/*'], certManager: { issuer: { name: 'ca' } } }] },
  { path: 'issuers', value: [{ signers: ['example.org/*'], as: 'pod', certificateSigningRequest: {} }] },
  {
    path: 'issuers',
    value: [{ signers: ['example.org/*'], as: 'pod', audience: 'signers', certManager: {} }],
    with: { 'identity.mode': 'serviceAccount' },
  },
  { path: 'trustDomain', value: 'mesh.example' },
  { path: 'followSuggestedKeyType', value: true },
  { path: 'issueAhead', value: true },
  { path: 'reloadSignals', value: true, with: { 'openshift.enabled': true } },
  { path: 'logging.level', value: 'debug' },
  { path: 'logging.format', value: 'text' },
  { path: 'rateLimits.requestsPerSecond', value: 0.5 },
  { path: 'rateLimits.burst', value: 7 },
  { path: 'rateLimits.maxConcurrentRequests', value: 3 },
  { path: 'rateLimits.maxConcurrentRsa', value: 2 },
  { path: 'publishTimeout', value: '1m30s' },
  { path: 'endpoint.host', value: '[::]' },
  { path: 'endpoint.host', value: '127.0.0.1', with: { hostNetwork: true } },
  { path: 'endpoint.port', value: 9443 },
  { path: 'endpoint.tlsSecret', value: 'agent-tls' },
  { path: 'metrics.enabled', value: false },
  { path: 'metrics.perPod', value: true },
  { path: 'metrics.readers', value: [{ kind: 'ServiceAccount', name: 'prometheus', namespace: 'monitoring' }] },
  { path: 'metrics.statusReaders', value: [{ kind: 'Group', name: 'on-call', apiGroup: 'rbac.authorization.k8s.io' }] },
  { path: 'metrics.podMonitor.enabled', value: true },
  { path: 'metrics.podMonitor.labels', value: { release: 'prometheus' }, with: podMonitor },
  { path: 'metrics.podMonitor.interval', value: '1m', with: podMonitor },
  {
    path: 'metrics.podMonitor.createToken',
    value: false,
    with: { ...podMonitor, 'metrics.podMonitor.tokenSecret.name': 'scraper' },
  },
  {
    path: 'metrics.podMonitor.tokenSecret.name',
    value: 'scraper',
    with: { ...podMonitor, 'metrics.podMonitor.createToken': false },
  },
  {
    path: 'metrics.podMonitor.tokenSecret.key',
    value: 'bearer',
    with: { ...podMonitor, 'metrics.podMonitor.createToken': false, 'metrics.podMonitor.tokenSecret.name': 'scraper' },
  },
  { path: 'metrics.prometheusRule.enabled', value: true },
  {
    path: 'metrics.prometheusRule.labels',
    value: { release: 'prometheus' },
    with: { 'metrics.prometheusRule.enabled': true },
  },
  {
    path: 'metrics.prometheusRule.runbookUrl',
    value: 'https://wiki.example.com/mtls/runbooks',
    with: { 'metrics.prometheusRule.enabled': true },
  },
  { path: 'metrics.dashboard.enabled', value: true },
  { path: 'metrics.dashboard.labels', value: { dashboards: 'yes' }, with: { 'metrics.dashboard.enabled': true } },
  { path: 'networkPolicy.enabled', value: false },
  { path: 'networkPolicy.fromAnywhere', value: true },
  { path: 'networkPolicy.from', value: [{ namespaceSelector: { matchLabels: { team: 'monitoring' } } }] },
  { path: 'hostNetwork', value: true },
  { path: 'maxUnavailable', value: 1 },
  { path: 'priorityClassName', value: 'high' },
  { path: 'nodeSelector', value: { 'example.com/agents': 'yes' } },
  { path: 'tolerations', value: [{ key: 'a', operator: 'Exists', effect: 'NoSchedule' }] },
  { path: 'volumeCondition', value: true },
  { path: 'startupTaint.enabled', value: true },
  { path: 'startupTaint.key', value: 'example.com/no-certificates', with: { 'startupTaint.enabled': true } },
  {
    path: 'affinity',
    value: {
      nodeAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: {
          nodeSelectorTerms: [{ matchExpressions: [{ key: 'virtual', operator: 'DoesNotExist' }] }],
        },
      },
    },
  },
  { path: 'resources', value: { requests: { memory: '1Gi' } } },
  { path: 'terminationGracePeriodSeconds', value: 60 },
  { path: 'podAnnotations', value: { 'example.com/a': 'b' } },
  { path: 'podLabels', value: { 'example.com/a': 'b' } },
  { path: 'extraArgs', value: ['--shutdown-grace=5s'] },
  { path: 'extraEnv', value: [{ name: 'KUBERNETES_SERVICE_HOST', value: '192.0.2.1' }] },
  { path: 'openshift.enabled', value: true },
  { path: 'trialSigner.enabled', value: true },
  { path: 'trialSigner.signerName', value: 'example.org/trial', with: trialSigner },
  { path: 'trialSigner.replicas', value: 1, with: trialSigner },
  { path: 'trialSigner.image.repository', value: 'registry.example/other-signer', with: trialSigner },
  { path: 'trialSigner.image.tag', value: '9.9.9', with: trialSigner },
  { path: 'trialSigner.image.digest', value: `sha256:${'1'.repeat(64)}`, with: trialSigner },
  { path: 'trialSigner.image.pullPolicy', value: 'Always', with: trialSigner },
  { path: 'trialSigner.dnsNames', value: 'none', with: trialSigner },
  { path: 'trialSigner.clusterDomain', value: 'cluster.example', with: trialSigner },
  { path: 'trialSigner.certificateLifetime', value: '2h', with: trialSigner },
  { path: 'trialSigner.caLifetime', value: '720h', with: trialSigner },
  { path: 'trialSigner.signingRequests', value: 'sign', with: trialSigner },
  { path: 'trialSigner.signingRequests', value: 'approve', with: trialSigner },
  { path: 'trialSigner.resources', value: { limits: { memory: '1Gi' } }, with: trialSigner },
];

/** Nested values from paths: `{ 'a.b': 1 }` is `{ a: { b: 1 } }`. */
export function valuesOf(paths: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const values: Record<string, unknown> = {};
  for (const [path, value] of Object.entries(paths)) {
    const parts = path.split('.');
    const last = parts.pop() ?? '';
    let at = values;
    for (const part of parts) {
      at[part] ??= {};
      at = at[part] as Record<string, unknown>;
    }
    at[last] = value;
  }
  return values;
}

/** Each sample in each identity mode, unless it is about the mode itself. */
export const matrix: readonly { readonly title: string; readonly values: Record<string, unknown> }[] = [
  ...modes.map((mode) => ({ title: `mode ${mode}`, values: valuesOf({ 'identity.mode': mode }) })),
  ...samples.map(({ path, value, with: needed = {} }) => ({
    title: `${path}: ${JSON.stringify(value)}`,
    values: valuesOf({ ...needed, [path]: value }),
  })),
  ...modes.map((mode) => ({
    title: `everything that can be switched on, in mode ${mode}`,
    values: valuesOf({
      'identity.mode': mode,
      'metrics.podMonitor.enabled': true,
      'metrics.prometheusRule.enabled': true,
      'metrics.dashboard.enabled': true,
      'openshift.enabled': true,
      'endpoint.tlsSecret': 'agent-tls',
      'rbac.clusterTrustBundles': true,
      'metrics.statusReaders': [{ kind: 'Group', name: 'on-call', apiGroup: 'rbac.authorization.k8s.io' }],
      hostNetwork: true,
    }),
  })),
];
