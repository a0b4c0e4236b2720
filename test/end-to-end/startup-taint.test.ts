/**
 * The start-up taint with the chart's permissions: the agent takes it off when the kubelet has registered the driver, and the
 * chart's policy keeps whoever has the agent's token from anything else.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ApiClient } from '../../agent/kubernetes/client.ts';
import { apiFailureOf } from '../../agent/kubernetes/failure.ts';
import { corePrefix, resourcePath } from '../../agent/kubernetes/paths.ts';
import { asSent, createSandboxClient } from '../../sandbox/base/client.ts';
import type { ApiObject } from '../../sandbox/base/objects.ts';
import { startCluster } from '../../sandbox/cluster/cluster.ts';
import type { AgentIdentity } from '../../sandbox/cluster/permissions.ts';
import { boundRules, chartObjects, without } from '../cluster/chart.ts';
import { until } from '../support/bounded.ts';
import { makeDirectory } from '../support/directory.ts';
import { startNode, usualSources } from './node.ts';

const key = 'podcert.io/agent-not-ready';
const ours = { key, effect: 'NoSchedule' };
const foreign = { key: 'example.com/maintenance', effect: 'NoExecute' };
const nodePath = (name = 'node-1') => resourcePath(corePrefix, { resource: 'nodes', name });
const volumes = [{ name: 'mtls', sources: usualSources }];

function permissions(mode: AgentIdentity = 'impersonatedNode') {
  return chartObjects(mode, [], [], { startupTaint: { enabled: true } });
}
const chart = permissions();
const skip = chart.type === 'missing' && chart.reason;
const objectsOf = (given: ReturnType<typeof permissions>) => (given.type === 'objects' ? given.objects : []);

const listedDrivers = (csiNode: ApiObject | undefined): unknown => csiNode?.spec?.['drivers'];

test('the taint is on the node until the kubelet has the driver, and a restart of the agent asks for nothing more', {
  skip,
}, async (t) => {
  const node = await startNode(t, {
    ...{ nodeTaints: [foreign, ours], agentObjects: objectsOf(chart), kubelet: { registration: true } },
    ...{ registration: true, flags: ['--startup-taint', key] },
  });
  const { store } = node.cluster.apiServer;
  const taints = () => store.get('nodes', '', 'node-1')?.spec?.['taints'];
  const removedEarly: unknown[] = [];
  const unsubscribe = store.subscribe(() => {
    const drivers = JSON.stringify(listedDrivers(store.get('csinodes.storage.k8s.io', '', 'node-1')));
    if (!JSON.stringify(taints()).includes(key) && !drivers?.includes('csi.podcert.io')) {
      removedEarly.push(drivers);
    }
  });
  await node.logged(({ message }) => message.startsWith('the start-up taint is off the node'));
  unsubscribe();
  assert.deepEqual([taints(), removedEarly], [[foreign], []]);
  await node.cluster.admin.createPod({ name: 'web', volumes });
  await node.cluster.admin.podRunning('default', 'web');
  assert.match(await node.get('/readyz?verbose'), /\[\+\]startup-taint ok/);

  const { resourceVersion } = store.get('nodes', '', 'node-1')?.metadata ?? {};
  await node.stopAgent();
  await node.startAgent();
  await node.logged(({ message }) => message === 'the node has no start-up taint');
  assert.equal(store.get('nodes', '', 'node-1')?.metadata.resourceVersion, resourceVersion);

  // The kubelet tells its news again when it is restarted: the node may be another one by then.
  const body = [{ op: 'add', path: '/spec/taints/-', value: ours }];
  const contentType = 'application/json-patch+json';
  await node.cluster.admin.client.request({ method: 'PATCH', path: nodePath(), body, contentType });
  await node.cluster.stopKubelet();
  node.cluster.startKubelet();
  await until(() => !JSON.stringify(taints()).includes(key), 'the taint to go again');
});

test('without one of its permissions the taint stays, and the agent is not ready and says which it is', {
  skip,
}, async (t) => {
  for (const [verb, resource] of [
    ['get', 'csinodes'],
    ['patch', 'nodes'],
  ] as const) {
    const rule = boundRules(objectsOf(chart)).find(
      ({ resources, verbs }) => resources.includes(resource) && verbs.includes(verb),
    );
    assert.ok(rule !== undefined, `no rule for ${verb} ${resource}`);
    const node = await startNode(t, {
      ...{ nodeTaints: [ours], agentObjects: without(objectsOf(chart), rule, verb) },
      ...{ kubelet: { registration: true }, registration: true, flags: ['--startup-taint', key] },
    });
    const { detail } = await node.logged(({ message }) => message.startsWith('the start-up taint stays'));
    assert.match(String(detail), new RegExp(`${verb} ${resource}`));
    assert.match(await node.get('/readyz'), /\[-\]startup-taint failed: /);
    assert.deepEqual(node.cluster.apiServer.store.get('nodes', '', 'node-1')?.spec?.['taints'], [ours]);
  }
});

interface Attempt {
  readonly title: string;
  readonly node?: string;
  readonly patch: object;
  readonly refused: RegExp;
}

const ownNodeOnly = /change no node but the one that its token is bound to/;
const thisTaintOnly = /may take off the taint podcert\.io\/agent-not-ready, and change no other/;
const noMetadata = /change nothing of a node's metadata/;
const noSpec = /change nothing of a node's spec but its taints/;
const attempts: readonly Attempt[] = [
  { title: 'the taint of another node', node: 'node-2', patch: { spec: { taints: null } }, refused: ownNodeOnly },
  {
    title: 'a label of another node',
    node: 'node-2',
    patch: { metadata: { labels: { a: 'b' } } },
    refused: ownNodeOnly,
  },
  { title: 'the taint of somebody else, too', patch: { spec: { taints: null } }, refused: thisTaintOnly },
  {
    title: 'another taint',
    patch: { spec: { taints: [foreign, { ...foreign, effect: 'NoSchedule' }] } },
    refused: thisTaintOnly,
  },
  {
    title: 'the effect of a taint',
    patch: { spec: { taints: [{ ...foreign, effect: 'PreferNoSchedule' }] } },
    refused: thisTaintOnly,
  },
  {
    title: 'a label',
    patch: { metadata: { labels: { 'node-role.kubernetes.io/control-plane': '' } }, spec: { taints: [foreign] } },
    refused: noMetadata,
  },
  {
    title: 'the loss of a label',
    patch: { metadata: { labels: null }, spec: { taints: [foreign] } },
    refused: noMetadata,
  },
  {
    title: 'an annotation',
    patch: { metadata: { annotations: { a: 'b' } }, spec: { taints: [foreign] } },
    refused: noMetadata,
  },
  {
    title: 'a finalizer',
    patch: { metadata: { finalizers: ['example.com/stay'] }, spec: { taints: [foreign] } },
    refused: noMetadata,
  },
  { title: 'cordoning', patch: { spec: { unschedulable: true, taints: [foreign] } }, refused: noSpec },
  { title: 'the loss of its pod network', patch: { spec: { podCIDR: null, taints: [foreign] } }, refused: noSpec },
];

for (const mode of ['impersonatedNode', 'serviceAccount'] as const) {
  test(`in mode ${mode} the agent's token is good for the taint of its own node and for no other change of a node`, {
    skip,
  }, async (t) => {
    const cluster = await startCluster({
      ...{ directory: makeDirectory(t), kubelet: 'none', agentIdentity: mode, nodeTaints: [foreign, ours] },
      agentObjects: objectsOf(permissions(mode)),
    });
    t.after(() => cluster.close());
    const { admin } = cluster;
    await admin.create(corePrefix, { resource: 'nodes' }, { metadata: { name: 'node-2' }, spec: { taints: [ours] } });
    const merge = (client: ApiClient, body: object, name?: string) =>
      client.request({ method: 'PATCH', path: nodePath(name), body, contentType: 'application/merge-patch+json' });
    await merge(admin.client, { spec: { podCIDR: '192.0.2.0/24' } });
    const read = (name?: string) =>
      admin.client.request({ method: 'GET', path: nodePath(name), decode: asSent<ApiObject> });
    const before = await Promise.all([read('node-1'), read('node-2')]);
    const agent = createSandboxClient(cluster.kubeconfigs.agent, 'agent');
    t.after(() => agent.close());
    for (const { title, node, patch, refused } of attempts) {
      await assert.rejects(
        merge(agent, patch, node),
        (error) => refused.test(apiFailureOf(error)?.message ?? ''),
        title,
      );
    }
    assert.deepEqual(await Promise.all([read('node-1'), read('node-2')]), before);
    await merge(agent, { spec: { taints: [foreign] } });
    assert.deepEqual((await read()).spec?.['taints'], [foreign]);
    await assert.rejects(merge(agent, { spec: { taints: [foreign, ours] } }), 'it puts the taint back');
    // The policy is about the agent alone.
    await merge(admin.client, { metadata: { labels: { team: 'a' } }, spec: { taints: [foreign, ours] } });
  });
}
