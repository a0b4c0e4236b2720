import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ApiObject, JsonObject } from '../../../sandbox/base/objects.ts';
import { age, columnsOf } from '../../../sandbox/serving/columns.ts';

const now = Date.parse('2026-01-10T00:00:00Z');
const before = (seconds: number): string => new Date(now - seconds * 1000).toISOString();
const ages: readonly (readonly [number, string])[] = [
  [-5, '0s'],
  [119, '119s'],
  [120, '2m'],
  [599, '9m59s'],
  [600, '10m'],
  [3 * 3600, '3h'],
  [3 * 3600 + 60, '3h1m'],
  [8 * 3600 + 60, '8h'],
  [47 * 3600, '47h'],
  [2 * 86_400 + 3600, '2d1h'],
  [9 * 86_400, '9d'],
];
for (const [seconds, shown] of ages) {
  test(`an age of ${seconds} seconds is shown as ${shown}`, () => {
    assert.equal(age(before(seconds), now), shown);
  });
}

function cells(resource: string, content: JsonObject): Record<string, unknown> {
  const object = { metadata: { name: 'x', creationTimestamp: before(60) }, ...content } as ApiObject;
  return Object.fromEntries(columnsOf(resource).map(({ name, cell }) => [name, cell(object, now)]));
}

test('a time that is missing is shown as unknown', () => {
  assert.equal(age(undefined, now), '<unknown>');
});

test('pods show readiness, restarts, node and what they wait for', () => {
  const status = {
    phase: 'Running',
    containerStatuses: [
      { ready: true, restartCount: 2 },
      { ready: false, restartCount: 1, state: { waiting: { reason: 'ContainerCreating' } } },
    ],
  };
  const spec = { nodeName: 'node-a', containers: [{}, {}] };
  const shown = cells('pods', { spec, status });
  assert.deepEqual(
    [shown.Ready, shown.Status, shown.Restarts, shown.Node, shown.Age],
    ['1/2', 'ContainerCreating', '3', 'node-a', '60s'],
  );
  const metadata = { name: 'x', deletionTimestamp: before(0) };
  assert.equal(cells('pods', { metadata, spec, status }).Status, 'Terminating');
  assert.equal(cells('pods', { status: { phase: 'Failed', reason: 'Evicted' } }).Status, 'Evicted');
});

test('nodes show whether they are ready, and their versions', () => {
  const status = {
    conditions: [{ type: 'Ready', status: 'True' }],
    addresses: [{ type: 'InternalIP', address: '10.0.0.1' }],
    nodeInfo: { kubeletVersion: 'v1.36.0' },
  };
  const shown = cells('nodes', { status, spec: { unschedulable: true } });
  assert.deepEqual(
    [shown.Status, shown.Version, shown['Internal-IP'], shown['External-IP']],
    ['Ready,SchedulingDisabled', 'v1.36.0', '10.0.0.1', '<none>'],
  );
  assert.equal(cells('nodes', {}).Status, 'Unknown');
  assert.equal(cells('nodes', { status: { conditions: [{ type: 'Ready', status: 'False' }] } }).Status, 'NotReady');
});

test('signing requests show condition and duration, drivers their modes, the rest a name and an age', () => {
  const request = {
    spec: { expirationSeconds: 86_400, signerName: 'a/b' },
    status: { conditions: [{ type: 'Approved' }], certificate: 'x' },
  };
  const shown = cells('certificatesigningrequests.certificates.k8s.io', request);
  assert.deepEqual([shown.Condition, shown.RequestedDuration], ['Approved,Issued', '24h']);
  assert.equal(cells('certificatesigningrequests.certificates.k8s.io', {}).Condition, 'Pending');
  const driver = cells('csidrivers.storage.k8s.io', {
    spec: { attachRequired: false, volumeLifecycleModes: ['Ephemeral'] },
  });
  assert.deepEqual([driver.AttachRequired, driver.PodInfoOnMount, driver.Modes], ['false', 'false', 'Ephemeral']);
  assert.equal(cells('csidrivers.storage.k8s.io', {}).Modes, 'Persistent');
  assert.deepEqual(cells('anything', {}), { Name: 'x', Age: '60s' });
});
