/**
 * When the start-up taint goes, against the sandbox's API server; only time is played.
 */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { ApiClient } from '../../agent/kubernetes/client.ts';
import { corePrefix, resourcePath } from '../../agent/kubernetes/paths.ts';
import { createLogger } from '../../agent/observe/log/log.ts';
import { createStartupTaint } from '../../agent/startup-taint.ts';
import { asSent, createSandboxClient } from '../../sandbox/base/client.ts';
import { type Cluster, startCluster } from '../../sandbox/cluster/cluster.ts';
import { until } from '../support/bounded.ts';
import { makeDirectory } from '../support/directory.ts';
import { createManualClock } from '../support/manual-clock.ts';

const key = 'podcert.io/agent-not-ready';
const ours = { key, effect: 'NoSchedule' };
const others = { key: 'example.com/maintenance', value: 'disk', effect: 'NoExecute' };
const driverName = 'csi.podcert.io';
const storage = '/apis/storage.k8s.io/v1';
const nodePath = resourcePath(corePrefix, { resource: 'nodes', name: 'node-1' });

interface Node {
  readonly metadata: { readonly name: string; readonly uid: string; readonly resourceVersion: string };
  readonly spec?: { readonly taints?: readonly object[] };
}

interface Options {
  readonly nodeTaints?: readonly object[];
  /** As whom the agent asks. Default the administrator. */
  readonly client?: (cluster: Cluster) => ApiClient;
}

async function start(t: TestContext, { nodeTaints = [ours, others], client }: Options = {}) {
  const cluster = await startCluster({ directory: makeDirectory(t), kubelet: 'none', nodeTaints });
  t.after(() => cluster.close());
  const clock = createManualClock();
  const lines: { readonly level: string; readonly message: string; readonly detail?: string }[] = [];
  const log = createLogger({
    level: 'debug',
    format: 'json',
    destination: { write: (text: string) => lines.push(JSON.parse(text)) },
  });
  const { admin } = cluster;
  const taint = createStartupTaint({
    ...{ client: client?.(cluster) ?? admin.client, clock, nodeName: 'node-1', driverName, key, log },
  });
  t.after(() => taint.stop());
  const node = (): Promise<Node> => admin.client.request({ method: 'GET', path: nodePath, decode: asSent<Node> });
  /** What is owned by nobody is deleted. */
  const another = (): Promise<Node> =>
    admin.create(corePrefix, { resource: 'nodes' }, { metadata: { name: 'node-0' } });
  return {
    ...{ cluster, admin, clock, lines, taint, node },
    taints: async () => (await node()).spec?.taints,
    /** A CSINode as a kubelet writes it. */
    listDriver: async (name = driverName, ofNode = true) => {
      const owner = ofNode
        ? { apiVersion: 'v1', kind: 'Node', name: 'node-1', uid: (await node()).metadata.uid }
        : { apiVersion: 'v1', kind: 'Node', name: 'node-0', uid: (await another()).metadata.uid };
      const spec = { drivers: [{ name, nodeID: 'node-1', topologyKeys: null }] };
      const metadata = { name: 'node-1', ownerReferences: [owner] };
      await admin.ensure(storage, { resource: 'csinodes' }, { metadata, spec });
    },
    settled: () => until(() => taint.check().ok, 'the taint to be gone'),
    /** A look has been in vain, and the next one is planned. */
    paused: () => until(() => clock.alarms() === 1, 'the agent to wait for its next look'),
  };
}

test('the taint goes with each of its effects once CSINode lists the driver, and no other with it', async (t) => {
  const everyEffect = [ours, others, { ...ours, effect: 'NoExecute', value: 'x' }];
  const { taint, taints, listDriver, settled, lines } = await start(t, { nodeTaints: everyEffect });
  assert.equal(taint.check().message, 'the kubelet has not registered the driver yet');
  await listDriver();
  taint.registered();
  await settled();
  assert.deepEqual(await taints(), [others]);
  assert.deepEqual(
    lines.map(({ level, message }) => [level, message]),
    [['info', 'the start-up taint is off the node: pods may come']],
  );
});

test('until CSINode lists the driver the taint stays, and what lasts is said once', async (t) => {
  const { taint, taints, listDriver, admin, clock, settled, paused, lines } = await start(t);
  taint.registered();
  await paused();
  assert.deepEqual([lines, await taints()], [[], [ours, others]]);
  await listDriver('csi.example.com');
  for (let look = 1; look <= 6; look += 1) {
    clock.advance(60_000);
    await paused();
  }
  assert.deepEqual(await taints(), [ours, others]);
  const why = `CSINode node-1 does not list ${driverName}: the kubelet has to write it there when the driver registers`;
  assert.equal(taint.check().message, why);
  assert.deepEqual(
    lines.map(({ level, detail }) => [level, detail]),
    [['warn', why]],
  );
  await admin.client.request({
    method: 'DELETE',
    path: resourcePath(storage, { resource: 'csinodes', name: 'node-1' }),
  });
  await listDriver();
  clock.advance(60_000);
  await settled();
  assert.deepEqual(await taints(), [others]);
});

test('a CSINode that an earlier node of the same name has left does not count', async (t) => {
  const { taint, taints, listDriver, clock, paused } = await start(t);
  await listDriver(driverName, false);
  taint.registered();
  await paused();
  clock.advance(60_000);
  await paused();
  assert.equal(taint.check().message, 'CSINode node-1 is that of an earlier node of this name');
  assert.deepEqual(await taints(), [ours, others]);
});

test('taints that change between reading and removing are kept, and the removal is tried again', async (t) => {
  const added = { key: 'example.com/new', effect: 'NoSchedule' };
  let races = 1;
  const client = ({ admin }: Cluster): ApiClient => ({
    ...admin.client,
    request: async (request: Parameters<ApiClient['request']>[0]) => {
      if (request.method === 'PATCH' && races > 0) {
        races -= 1;
        const body = [{ op: 'add', path: '/spec/taints/0', value: added }];
        const contentType = 'application/json-patch+json';
        await admin.client.request({ method: 'PATCH', path: nodePath, body, contentType });
      }
      return admin.client.request(request);
    },
  });
  const { taint, taints, listDriver, clock, settled, paused, lines } = await start(t, { client });
  await listDriver();
  taint.registered();
  await paused();
  assert.deepEqual(await taints(), [added, ours, others]);
  clock.advance(1_000);
  await settled();
  assert.deepEqual(await taints(), [added, others]);
  assert.deepEqual(
    lines.filter(({ level }) => level === 'warn'),
    [],
  );
});

test('what the agent may not do is said at once, with the permission that is missing', async (t) => {
  const client = ({ kubeconfigs }: Cluster): ApiClient => {
    const own = createSandboxClient(kubeconfigs.agent, 'agent');
    t.after(() => own.close());
    return own;
  };
  const { taint, taints, listDriver, clock, paused, lines } = await start(t, { client });
  await listDriver();
  taint.registered();
  await paused();
  assert.match(taint.check().message ?? '', /get csinodes\.storage\.k8s\.io/);
  clock.advance(1_000);
  await paused();
  assert.equal(lines.length, 1, JSON.stringify(lines));
  assert.deepEqual(await taints(), [ours, others]);
});

test('a node without the taint is left alone, and looked at again when the driver is registered anew', async (t) => {
  const { admin, taint, taints, node, listDriver, settled, lines } = await start(t, { nodeTaints: [others] });
  const { resourceVersion } = (await node()).metadata;
  taint.registered();
  await settled();
  assert.equal((await node()).metadata.resourceVersion, resourceVersion);
  assert.deepEqual(
    lines.map(({ level }) => level),
    ['debug'],
  );
  await listDriver();
  const body = { spec: { taints: [ours] } };
  await admin.client.request({ method: 'PATCH', path: nodePath, body, contentType: 'application/merge-patch+json' });
  taint.registered();
  await until(async () => (await taints()) === undefined || (await taints())?.length === 0, 'the taint to go again');
});

test('a node that is not there yet is waited for, and after a stop nothing is asked any more', async (t) => {
  const { admin, taint, clock, paused } = await start(t);
  await admin.client.request({ method: 'DELETE', path: nodePath });
  taint.registered();
  await paused();
  clock.advance(60_000);
  await paused();
  assert.match(taint.check().message ?? '', /nodes "node-1"/);
  taint.stop();
  await until(() => clock.alarms() === 0, 'the plan for another look to be dropped');
  taint.registered();
  assert.equal(clock.alarms(), 0);
});
