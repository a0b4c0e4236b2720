/**
 * The Helm chart, rendered over a matrix of values: every object is of the types of the Kubernetes API, and keeps the
 * promises of docs/security.md.
 */
import assert from 'node:assert/strict';
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, test } from 'node:test';
import { inspect, isDeepStrictEqual } from 'node:util';
import { isMap, isScalar, type Pair, parse, parseDocument } from 'yaml';
import { parseConfiguration } from '../../agent/configuration/configuration.ts';
import { options } from '../../agent/configuration/options.ts';
import { chartDirectory, renderChart } from '../../deploy/chart.ts';
import { manifestFile, manifestText } from '../../deploy/manifest.ts';
import packageJson from '../../package.json' with { type: 'json' };
import { parseOptions } from '../../signer/command-line.ts';
import { makeDirectory } from '../support/directory.ts';
import { eachWithFields, withFields } from '../support/fields.ts';
import { matrix, modes, samples, valuesOf } from './matrix.ts';
import { one, type Rendered, render, typeFaults, withoutHelm } from './objects.ts';

const skip = withoutHelm;
const read = (file: string): string => readFileSync(join(chartDirectory, file), 'utf8');
const inMode = (mode: string) => render({ values: valuesOf({ 'identity.mode': mode }) });

/** Kinds that the Kubernetes API itself does not have. */
const foreign: Readonly<Record<string, string>> = {
  PodMonitor: 'monitoring.coreos.com/v1',
  PrometheusRule: 'monitoring.coreos.com/v1',
  SecurityContextConstraints: 'security.openshift.io/v1',
};

interface Rule {
  readonly apiGroups?: readonly string[];
  readonly resources?: readonly string[];
  readonly resourceNames?: readonly string[];
  readonly nonResourceURLs?: readonly string[];
  readonly verbs: readonly string[];
}

interface Container {
  readonly image: string;
  readonly args: readonly string[];
  readonly securityContext: Readonly<Record<string, unknown>> & { readonly capabilities: unknown };
  readonly resources: { readonly requests: object; readonly limits: object };
  readonly volumeMounts: readonly {
    readonly name: string;
    readonly mountPath: string;
    readonly mountPropagation?: string;
    readonly readOnly?: boolean;
  }[];
  readonly [probe: `${string}Probe`]: { readonly exec?: { readonly command: readonly string[] } };
}

interface DaemonSetSpec {
  readonly updateStrategy: object;
  readonly template: {
    readonly metadata: { readonly annotations: Readonly<Record<string, string>> };
    readonly spec: Readonly<Record<string, unknown>> & {
      readonly containers: readonly [Container];
      readonly volumes: readonly { readonly name: string; readonly hostPath?: { readonly path: string } }[];
    };
  };
}

const daemonSet = (objects: readonly Rendered[]) => one(objects, 'DaemonSet')['spec'] as DaemonSetSpec;
const podSpec = (objects: readonly Rendered[]) => daemonSet(objects).template.spec;
const agentRules = (objects: readonly Rendered[]) =>
  one(objects, 'ClusterRole', 'pod-certificate-agent')['rules'] as readonly Rule[];

/** What the agent in these objects would run with. */
function configurationOf(objects: readonly Rendered[]) {
  const [configMap] = objects.filter(
    ({ kind, metadata }) => kind === 'ConfigMap' && !/-dashboard$/.test(metadata.name),
  );
  const { 'config.yaml': file = '' } = (configMap?.['data'] ?? {}) as Record<string, string>;
  const { args } = podSpec(objects).containers[0];
  const parsed = parseConfiguration(args, { NODE_NAME: 'node-1' }, () => file);
  assert.equal(parsed.type, 'run', JSON.stringify(parsed));
  assert.ok(parsed.type === 'run', inspect(parsed));
  return { configuration: parsed.configuration, file };
}

describe('the chart', { skip }, () => {
  for (const { title, values } of matrix) {
    test(`renders objects that the API knows, and a configuration that the agent takes, with ${title}`, () => {
      const objects = render({ values });
      for (const object of objects) {
        const group = foreign[object.kind];
        if (group === undefined) {
          assert.deepEqual(typeFaults(object), []);
        } else {
          assert.equal(object.apiVersion, group);
        }
        assert.match(object.metadata.name, /^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/);
        assert.equal(object.metadata.labels?.['app.kubernetes.io/instance'], 'pod-certificate-agent');
      }
      const names = objects.map(({ kind, metadata }) => `${kind} ${metadata.name}`);
      assert.deepEqual(names, [...new Set(names)]);
      configurationOf(objects);
      keepsItsPromises(objects);
    });
  }

  test('documents every value, refuses any other, and each one shows in what is rendered', () => {
    const document = parseDocument(read('values.yaml'));
    const documented = leavesOf(document.contents, '', document.commentBefore);
    assert.deepEqual(
      documented.filter(({ comment }) => comment.trim() === '').map(({ path }) => path),
      [],
    );
    assert.deepEqual(
      [...new Set(samples.map(({ path }) => path))].toSorted(),
      documented.map(({ path }) => path).toSorted(),
    );
    const byDefault = renderChart();
    for (const { path, value, with: needed } of samples) {
      const plain = needed === undefined ? byDefault : renderChart({ values: valuesOf(needed) });
      const changed = renderChart({ values: valuesOf({ ...needed, [path]: value }) });
      assert.notDeepEqual(changed, plain, path);
    }
    for (const path of ['replicas', 'image.name', 'metrics.podMonitor.enable']) {
      assert.equal(renderChart({ values: valuesOf({ [path]: true }) }).type, 'refused', path);
    }
  });

  test('refuses values that would only fail on the cluster', () => {
    const wrong: Readonly<Record<string, unknown>> = {
      'identity.mode': 'node',
      'image.digest': 'sha256:abc',
      kubeletRoot: 'var/lib/kubelet',
      driverName: 'CSI',
      allowedSigners: [{ namespaces: ['shop'], signers: ['example.com*'] }],
      'rateLimits.maxConcurrentRsa': 3,
      'logging.level': 'trace',
      publishTimeout: 110,
      'endpoint.host': 'localhost',
      maxUnavailable: 0,
      terminationGracePeriodSeconds: 5,
      extraArgs: ['log-level=debug'],
      'serviceAccount.create': false,
      'metrics.podMonitor': { enabled: true, createToken: false },
      startupTaint: { enabled: true, key: 'node.kubernetes.io/not-ready' },
      'startupTaint.key': 'agent-not-ready',
    };
    for (const [path, value] of Object.entries(wrong)) {
      assert.equal(renderChart({ values: valuesOf({ [path]: value }) }).type, 'refused', path);
    }
    // No kubelet may change the taints of its node.
    const kubelet = valuesOf({ 'identity.mode': 'kubelet', 'startupTaint.enabled': true });
    assert.equal(renderChart({ values: kubelet }).type, 'refused');
    // Without the node's network nobody would reach it.
    assert.equal(renderChart({ values: valuesOf({ 'endpoint.host': '127.0.0.1' }) }).type, 'refused');
  });

  test('has the version of the package', () => {
    const chart = parse(read('Chart.yaml'));
    assert.deepEqual([chart.version, chart.appVersion], [packageJson.version, packageJson.version]);
  });

  test('is the plain manifest, with its defaults; `npm run manifest` writes it', () => {
    assert.equal(readFileSync(manifestFile, 'utf8'), manifestText());
  });

  test('rolls the agents for what they read at their start, and for nothing else', () => {
    const checksum = (paths: Readonly<Record<string, unknown>>) =>
      daemonSet(render({ values: valuesOf(paths) })).template.metadata.annotations['checksum/configuration'];
    const { file } = configurationOf(render());
    const reloadable = Object.keys(parse(file)).filter((key) => Reflect.get(options, key).reloadable);
    assert.deepEqual(reloadable, [
      'logLevel',
      'requestsPerSecond',
      'burst',
      'issuers',
      'followSuggestedKeyType',
      'allowedSigners',
    ]);
    const live = { 'logging.level': 'debug', 'rateLimits.burst': 9, allowedSigners: [] };
    assert.equal(checksum(live), checksum({}));
    assert.notEqual(checksum({ 'metrics.perPod': true }), checksum({}));
  });

  test('passes the allow-list on as it is, the empty one that allows nothing too', () => {
    assert.deepEqual(configurationOf(render({ values: { allowedSigners: [] } })).configuration.allowedSigners, []);
    const rules = [{ namespaces: ['shop'], signers: ['example.com/*'] }];
    assert.deepEqual(
      configurationOf(render({ values: { allowedSigners: rules } })).configuration.allowedSigners,
      rules,
    );
  });
});

describe('the identity mode', { skip }, () => {
  const own = [
    { apiGroups: [''], resources: ['pods'], verbs: ['get'] },
    { apiGroups: [''], resources: ['serviceaccounts'], verbs: ['get'] },
    { apiGroups: [''], resources: ['nodes'], verbs: ['get'] },
    { apiGroups: [''], resources: ['events'], verbs: ['create', 'patch'] },
    { apiGroups: ['authentication.k8s.io'], resources: ['tokenreviews'], verbs: ['create'] },
    { apiGroups: ['authorization.k8s.io'], resources: ['subjectaccessreviews'], verbs: ['create'] },
  ];
  const requests = { apiGroups: ['certificates.k8s.io'], resources: ['podcertificaterequests'] };
  const pods = { apiGroups: [''], resources: ['pods'] };
  const verbs = ['create', 'get', 'list', 'watch'];

  test('impersonatedNode may ask for certificates as its own node only, and has no policy', () => {
    const objects = inMode('impersonatedNode');
    assert.deepEqual(agentRules(objects), [
      { apiGroups: ['authentication.k8s.io'], resources: ['nodes'], verbs: ['impersonate:associated-node'] },
      { ...requests, verbs: verbs.map((verb) => `impersonate-on:associated-node:${verb}`) },
      { ...pods, verbs: ['list', 'watch'].map((verb) => `impersonate-on:associated-node:${verb}`) },
      ...own,
    ]);
    assert.equal(objects.filter(({ kind }) => kind.startsWith('ValidatingAdmissionPolicy')).length, 0);
    assert.equal(configurationOf(objects).configuration.impersonateNode, true);
  });

  test('serviceAccount may ask itself, and a policy holds it to its node', () => {
    const objects = inMode('serviceAccount');
    assert.deepEqual(agentRules(objects), [{ ...requests, verbs }, { ...pods, verbs: ['list', 'watch'] }, ...own]);
    const policy = one(objects, 'ValidatingAdmissionPolicy');
    const text = JSON.stringify(policy['spec']);
    assert.match(text, /"failurePolicy":"Fail"/);
    assert.match(text, /system:serviceaccount:kube-system:pod-certificate-agent/);
    for (const field of ['nodeName', 'nodeUID']) {
      assert.match(text, new RegExp(`object\\.spec\\.${field} == `));
    }
    assert.deepEqual(one(objects, 'ValidatingAdmissionPolicyBinding')['spec'], {
      policyName: policy.metadata.name,
      validationActions: ['Deny'],
    });
    assert.equal(configurationOf(objects).configuration.impersonateNode, false);
  });

  test('kubelet has no permission and no token of its own, and reads the kubelet’s files', () => {
    const objects = inMode('kubelet');
    const roles = objects.filter(({ kind }) => kind === 'ClusterRole').map(({ metadata }) => metadata.name);
    assert.deepEqual(roles, ['pod-certificate-agent-metrics-reader', 'pod-certificate-agent-status-reader']);
    assert.ok(!podSpec(objects).volumes.some(({ name }) => name === 'token'), 'the agent has a volume named token');
    const mounts = podSpec(objects).containers[0].volumeMounts.filter(({ name }) => name.startsWith('kube'));
    assert.deepEqual(
      mounts.map(({ mountPath, readOnly }) => [mountPath, readOnly]),
      [
        ['/etc/kubernetes/kubelet.conf', true],
        ['/var/lib/kubelet/pki', true],
      ],
    );
    assert.equal(configurationOf(objects).configuration.kubeconfig, '/etc/kubernetes/kubelet.conf');
  });

  test('gives the agent a token for an hour where it needs one', () => {
    for (const mode of ['impersonatedNode', 'serviceAccount']) {
      const spec = podSpec(inMode(mode));
      const mount = spec.containers[0].volumeMounts.find(({ name }) => name === 'token');
      assert.equal(mount?.mountPath, '/var/run/secrets/kubernetes.io/serviceaccount');
      const volume = spec.volumes.find(({ name }) => name === 'token');
      // 3607 is the one number whose tokens the API server makes last for a year.
      assert.match(JSON.stringify(volume), /"serviceAccountToken":\{"path":"token","expirationSeconds":3600\}/);
    }
  });

  test('lets nodes ask the signers that are named, where requests are made as a node', () => {
    const withSigner = (mode: string) =>
      render({ values: valuesOf({ 'identity.mode': mode, 'identity.nodeSigners': ['example.com/mesh'] }) });
    for (const mode of ['impersonatedNode', 'kubelet']) {
      assert.deepEqual(one(withSigner(mode), 'ClusterRole', 'pod-certificate-agent-nodes')['rules'], [
        { ...requests, resources: ['example.com/mesh'], verbs: ['request-podcertificate-signer'] },
      ]);
      const { subjects } = one(withSigner(mode), 'ClusterRoleBinding', 'pod-certificate-agent-nodes');
      assert.deepEqual(subjects, [{ kind: 'Group', name: 'system:nodes', apiGroup: 'rbac.authorization.k8s.io' }]);
      assert.doesNotMatch(JSON.stringify(inMode(mode)), /request-podcertificate-signer/);
    }
    assert.doesNotMatch(JSON.stringify(withSigner('serviceAccount')), /request-podcertificate-signer/);
  });

  test('may take a taint off nodes only where that is switched on, which comes with a policy and is tolerated', () => {
    const taintRules = [
      { apiGroups: [''], resources: ['nodes'], verbs: ['patch'] },
      { apiGroups: ['storage.k8s.io'], resources: ['csinodes'], verbs: ['get'] },
    ];
    for (const mode of ['impersonatedNode', 'serviceAccount']) {
      const plain = inMode(mode);
      assert.doesNotMatch(JSON.stringify(agentRules(plain)), /csinodes|"nodes"\],"verbs":\["patch"/);
      const key = 'example.com/no-certificates';
      const tolerations = [{ key: 'a', operator: 'Exists' }];
      const taint = { 'identity.mode': mode, 'startupTaint.enabled': true, 'startupTaint.key': key };
      const objects = render({ values: valuesOf({ ...taint, tolerations }) });
      const added = agentRules(objects).filter(
        (rule) => !agentRules(plain).some((one) => isDeepStrictEqual(one, rule)),
      );
      assert.deepEqual(added, taintRules);
      assert.equal(configurationOf(objects).configuration.startupTaint, key);
      assert.deepEqual(podSpec(objects)['tolerations'], [...tolerations, { key, operator: 'Exists' }]);
      const name = 'pod-certificate-agent-startup-taint';
      assert.match(JSON.stringify(one(objects, 'ValidatingAdmissionPolicy', name)['spec']), new RegExp(key));
      assert.deepEqual(one(objects, 'ValidatingAdmissionPolicyBinding', name)['spec'], {
        policyName: name,
        validationActions: ['Deny'],
      });
    }
  });

  test('lets nobody ask about tokens when metrics are off', () => {
    for (const mode of modes) {
      const objects = render({ values: valuesOf({ 'identity.mode': mode, 'metrics.enabled': false }) });
      assert.doesNotMatch(JSON.stringify(objects), /tokenreviews|metrics-reader/);
    }
  });
});

describe('the notes after an installation', { skip }, () => {
  /** Notes are rendered by an installation only; a copy of the chart shows them as one more object. */
  const notes = (kubernetes: string, values: Readonly<Record<string, unknown>> = {}): string => {
    const chart = join(makeDirectory(), basename(chartDirectory));
    cpSync(chartDirectory, chart, { recursive: true });
    const text = '{{ include (print .Template.BasePath "/NOTES.txt") . | toJson }}';
    writeFileSync(join(chart, 'templates/notes.yaml'), `kind: Notes\nmetadata: { name: notes }\ntext: ${text}\n`);
    const { text: rendered } = one(render({ kubernetes, values: valuesOf(values), chart }), 'Notes');
    return String(rendered);
  };

  test('say what the cluster lacks for the values that were chosen', () => {
    assert.match(notes('1.33.0'), /WARNING: Kubernetes v1\.33\.0 has no PodCertificateRequests/);
    assert.match(notes('1.34.0'), /certificates\.k8s\.io\/v1alpha1\/podcertificaterequests=true/);
    assert.match(notes('1.35.0'), /WARNING: .* impersonatedNode needs 1\.36/);
    assert.match(notes('1.35.0'), /certificates\.k8s\.io\/v1beta1\/podcertificaterequests=true/);
    assert.match(notes('1.37.0'), /WARNING: .*identity\.nodeSigners/s);
  });

  test('warn of nothing where nothing is amiss', () => {
    const named = { 'image.repository': 'registry.test/pod-certificate-agent' };
    const pinned = { ...named, 'image.digest': `sha256:${'0'.repeat(64)}` };
    const quiet = [
      notes('1.35.0', { ...pinned, 'identity.mode': 'serviceAccount' }),
      notes('1.36.0', pinned),
      notes('1.37.0', { ...pinned, 'identity.nodeSigners': ['example.com/mesh'] }),
    ];
    for (const text of quiet) {
      assert.doesNotMatch(text, /WARNING|not pinned/);
    }
    assert.match(notes('1.36.0', named), /not pinned/);
  });

  test('warn of an image that was not named, since no agent would start', () => {
    assert.match(
      notes('1.36.0'),
      /WARNING: the image is registry\.example\/pod-certificate-agent:\S+, a name that nobody serves/,
    );
  });
});

describe('metrics', { skip }, () => {
  test('may be read by those who are named, and by nobody else', () => {
    const readers = [{ kind: 'ServiceAccount', name: 'prometheus', namespace: 'monitoring' }];
    const objects = render({ values: valuesOf({ 'metrics.readers': readers }) });
    const name = 'pod-certificate-agent-metrics-reader';
    assert.deepEqual(one(objects, 'ClusterRole', name)['rules'], [{ nonResourceURLs: ['/metrics'], verbs: ['get'] }]);
    assert.deepEqual(one(objects, 'ClusterRoleBinding', name)['subjects'], readers);
    assert.equal(render().filter(({ kind }) => kind === 'ClusterRoleBinding').length, 1);
  });

  test('are scraped with a token that is good for them alone', () => {
    const objects = render({ values: valuesOf({ 'metrics.podMonitor.enabled': true }) });
    const scraper = 'pod-certificate-agent-scraper';
    assert.deepEqual(one(objects, 'ClusterRoleBinding', 'pod-certificate-agent-metrics-reader')['subjects'], [
      { kind: 'ServiceAccount', name: scraper, namespace: 'kube-system' },
    ]);
    const bound = JSON.stringify(objects.filter(({ kind }) => kind === 'ClusterRoleBinding'));
    assert.equal(bound.split(scraper).length - 1, 1);
    assert.match(JSON.stringify(one(objects, 'PodMonitor')), /"authorization":\{"type":"Bearer"/);
  });

  test('lead from each alert to its runbook, where that can be read', () => {
    const runbookUrl = 'https://wiki.example.com/mtls/runbooks';
    const values = valuesOf({
      'metrics.prometheusRule.enabled': true,
      'metrics.prometheusRule.runbookUrl': runbookUrl,
    });
    const { groups } = withFields<{
      groups: readonly { rules: readonly { alert: string; annotations: Record<string, string> }[] }[];
    }>(one(render({ values }), 'PrometheusRule')['spec'], 'groups');
    const rules = groups.flatMap((group) => group.rules);
    assert.ok(rules.length > 10, `${rules.length} alerts`);
    for (const { alert, annotations } of rules) {
      assert.equal(annotations['runbook_url'], `${runbookUrl}#${alert.toLowerCase()}`);
    }
  });

  test('run the trial signer without any privilege, and with a Secret that an upgrade leaves as it is', () => {
    const objects = render({ values: { trialSigner: { enabled: true } } });
    const deployment = one(objects, 'Deployment', trialSignerName);
    const { template } = deployment['spec'] as { template: { spec: Record<string, unknown> } };
    const [container] = eachWithFields<{ securityContext: object; args: readonly string[] }>(
      template.spec['containers'],
      'args',
    );
    assert.deepEqual(template.spec['securityContext'], {
      runAsNonRoot: true,
      runAsUser: 65532,
      runAsGroup: 65532,
      seccompProfile: { type: 'RuntimeDefault' },
    });
    assert.deepEqual(container?.securityContext, {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    });
    const env = { POD_NAME: 'signer-0', POD_NAMESPACE: 'kube-system' };
    assert.equal(parseOptions(container?.args ?? [], env).type, 'run', 'the signer takes its arguments');
    const secret = one(objects, 'Secret', `${trialSignerName}-ca`);
    assert.equal(secret['data'], undefined);
    const { annotations } = withFields<{ annotations: Record<string, string> }>(secret.metadata, 'annotations');
    assert.equal(annotations['helm.sh/resource-policy'], 'keep');
    assert.equal(
      render({}).some(({ kind }) => kind === 'Deployment'),
      false,
      'it is off unless it is switched on',
    );
  });

  test('let each program start before the kubelet asks it for the first time, so that no pod begins with a warning', () => {
    const objects = render({ values: { trialSigner: { enabled: true } } });
    // Later probes of the agent wait for the one of its start.
    const first = { DaemonSet: ['startupProbe'], Deployment: ['livenessProbe', 'readinessProbe'] };
    for (const [kind, probes] of Object.entries(first)) {
      const { template } = withFields<{ template: { spec: object } }>(one(objects, kind)['spec'], 'template');
      const { containers } = withFields<{ containers: unknown }>(template.spec, 'containers');
      const [container] = eachWithFields<Record<string, { readonly initialDelaySeconds?: number }>>(
        containers,
        'image',
      );
      for (const probe of probes) {
        const { initialDelaySeconds = 0 } = container?.[probe] ?? {};
        assert.ok(initialDelaySeconds >= 2, `${kind}, ${probe}: ${initialDelaySeconds} s after the start`);
      }
    }
  });

  test('come with the alerts and the dashboard that the chart’s files hold', () => {
    const objects = render({
      values: valuesOf({ 'metrics.prometheusRule.enabled': true, 'metrics.dashboard.enabled': true }),
    });
    assert.deepEqual(one(objects, 'PrometheusRule')['spec'], parse(read('files/alerts.yaml')));
    const { data } = withFields<{ data: Record<string, string> }>(
      one(objects, 'ConfigMap', 'pod-certificate-agent-dashboard'),
      'data',
    );
    assert.deepEqual(JSON.parse(data['pod-certificate-agent.json'] ?? ''), JSON.parse(read('files/dashboard.json')));
  });
});

const trialSignerName = 'pod-certificate-agent-trial-signer';

/** What docs/security.md promises, whatever the values. */
function keepsItsPromises(objects: readonly Rendered[]): void {
  for (const role of objects.filter(({ kind }) => /Role$/.test(kind))) {
    for (const rule of role['rules'] as readonly Rule[]) {
      const words = [
        ...(rule.apiGroups ?? []),
        ...(rule.resources ?? []),
        ...(rule.nonResourceURLs ?? []),
        ...rule.verbs,
      ];
      assert.ok(!words.some((word) => word.includes('*')), `a wildcard in ${role.metadata.name}`);
      // The trial signer has its CA in one Secret; making Secrets would be the right to get anybody's token.
      const isOwnCa =
        role.kind === 'Role' &&
        role.metadata.name === trialSignerName &&
        isDeepStrictEqual([rule.resourceNames, rule.verbs], [[`${trialSignerName}-ca`], ['get', 'update']]);
      assert.ok(!words.includes('secrets') || isOwnCa, `secrets in ${role.metadata.name}`);
    }
  }
  const spec = podSpec(objects);
  for (const field of ['hostIPC', 'shareProcessNamespace']) {
    assert.equal(spec[field], undefined);
  }
  // For signals to pods, and only where these are switched on.
  const { reloadSignals } = configurationOf(objects).configuration;
  assert.equal(spec['hostPID'], reloadSignals ? true : undefined);
  assert.equal(spec['automountServiceAccountToken'], false);
  assert.deepEqual(spec['securityContext'], {
    runAsUser: 0,
    runAsGroup: 0,
    seccompProfile: { type: 'RuntimeDefault' },
  });
  assert.equal(spec.containers.length, 1);
  const [agent] = spec.containers;
  assert.deepEqual(agent.securityContext, {
    privileged: true,
    readOnlyRootFilesystem: true,
    capabilities: {
      drop: ['ALL'],
      add: ['SYS_ADMIN', 'CHOWN', 'FOWNER', 'DAC_OVERRIDE', ...(reloadSignals ? ['KILL'] : [])],
    },
  });
  // Privileged for this one, and for nothing else.
  assert.deepEqual(
    agent.volumeMounts.filter(({ mountPropagation }) => mountPropagation !== undefined).map(({ name }) => name),
    ['pods'],
  );
  const hostPaths = spec.volumes.flatMap(({ hostPath }) => hostPath?.path ?? []);
  assert.ok(
    hostPaths.every((path) => path.split('/').length > 2),
    `too much of the node: ${hostPaths.join(' ')}`,
  );
  assert.ok(!hostPaths.some((path) => path === configurationOf(objects).configuration.kubeletRoot), inspect(hostPaths));
  for (const probe of ['startupProbe', 'livenessProbe', 'readinessProbe'] as const) {
    // Not over the network: what strangers do to the endpoint's port must not get the agent restarted.
    const command = agent[probe]?.exec?.command ?? [];
    const socket = configurationOf(objects).configuration.probeSocket;
    assert.deepEqual(command.slice(-2), [probe === 'readinessProbe' ? 'ready' : 'live', `--socket=${socket}`]);
    assert.match(command.at(-3) ?? '', /\/probe\.mjs$/);
    assert.ok(
      agent.volumeMounts.some(({ mountPath }) => socket.startsWith(`${mountPath}/`)),
      socket,
    );
  }
  assert.ok(agent.resources.requests, 'the agent asks for no resources');
  assert.equal(typeof spec['priorityClassName'], 'string');
  // What rules with `as: pod` need is in issuers.test.ts.
  const {
    tokenRequests: _,
    requiresRepublish: __,
    serviceAccountTokenInSecrets: ___,
    ...driver
  } = one(objects, 'CSIDriver')['spec'] as Readonly<Record<string, unknown>>;
  assert.deepEqual(driver, {
    attachRequired: false,
    podInfoOnMount: true,
    volumeLifecycleModes: ['Ephemeral'],
    fsGroupPolicy: 'None',
    seLinuxMount: true,
    storageCapacity: false,
  });
}

interface Leaf {
  readonly path: string;
  readonly comment: string;
}

/** Every value in values.yaml that is no mapping with keys of its own to document, with the comment above it. */
function leavesOf(node: unknown, prefix: string, headComment: string | null | undefined): readonly Leaf[] {
  assert.ok(isMap(node), `${prefix || 'the file'} is no map`);
  return node.items.flatMap((pair: Pair, index) => {
    assert.ok(isScalar(pair.key), `a key of ${prefix || 'the file'} is no scalar`);
    const path = `${prefix}${String(pair.key.value)}`;
    const above = pair.key.commentBefore ?? (index === 0 ? (node.commentBefore ?? headComment) : '') ?? '';
    const isGroup = isMap(pair.value) && pair.value.items.length > 0 && above === '';
    return isGroup ? leavesOf(pair.value, `${path}.`, undefined) : [{ path, comment: above }];
  });
}
