/** How a kubelet learns whether a volume is well; messages are compared with the bytes of CSI's own. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import type { VolumeDriver, VolumeFinding } from '../../../volumes/csi/driver.ts';
import { nodeService } from '../../../volumes/csi/protocol.ts';
import { mountSkip, temporaryDirectory } from '../support.ts';
import { askNode } from './ask.ts';
import { makeDriver } from './support.ts';

const expired: VolumeFinding = { reason: 'CertificateExpired', message: 'sources[0] has expired' };
const mismatch: VolumeFinding = { reason: 'TrustMismatch', message: 'sources[0] leads nowhere' };

/** A driver of one volume, and a kubelet that asks it. */
function serve(t: TestContext, findings: readonly VolumeFinding[], volumeCondition = false) {
  const target = temporaryDirectory(t);
  const health: VolumeDriver['health'] = (volumeId, asked = target) =>
    volumeId === 'csi-1' && asked === target ? findings : undefined;
  return { target, ...askNode(makeDriver(undefined, health).driver, volumeCondition) };
}

test('a kubelet is told what is wrong with a volume, by its path or without, and that nothing is', async (t) => {
  const { ask, target } = serve(t, [expired, mismatch]);
  const health_statuses = [expired, mismatch].map((finding) => ({ status: 'DEGRADED', ...finding }));
  const told = { response: { volume_health: { volume_id: 'csi-1', health_statuses } } };
  assert.deepEqual(await ask('NodeGetVolumeHealth', { volume_id: 'csi-1', volume_publish_path: target }), told);
  assert.deepEqual(await ask('NodeGetVolumeHealth', { volume_id: 'csi-1' }), told);
  const well = serve(t, []);
  const { response } = await well.ask('NodeGetVolumeHealth', { volume_id: 'csi-1', volume_publish_path: well.target });
  assert.deepEqual(response, { volume_health: { volume_id: 'csi-1', health_statuses: [] } });
});

test('a volume that is not there is not found, and a call without its fields is refused', async (t) => {
  const { ask, target, lines } = serve(t, [expired], true);
  const rows: [string, object, number, RegExp][] = [
    ['NodeGetVolumeHealth', {}, 3, /volume_id is missing/],
    ['NodeGetVolumeHealth', { volume_id: 'csi-2' }, 5, /there is no volume csi-2$/],
    [
      'NodeGetVolumeHealth',
      { volume_id: 'csi-1', volume_publish_path: '/etc' },
      5,
      /there is no volume csi-1 at \/etc$/,
    ],
    ['NodeGetVolumeHealth', { volume_id: 'csi-1', volume_publish_path: 'mount' }, 3, /must be an absolute path/],
    [
      'NodeGetVolumeHealth',
      { volume_id: 'csi-1', volume_publish_path: `${target}/../mount` },
      3,
      /must be an absolute/,
    ],
    ['NodeGetVolumeStats', { volume_path: target }, 3, /volume_id is missing/],
    ['NodeGetVolumeStats', { volume_id: 'csi-1' }, 3, /volume_path is missing/],
    ['NodeGetVolumeStats', { volume_id: 'csi-1', volume_path: '/' }, 5, /there is no volume/],
  ];
  for (const [method, request, code, details] of rows) {
    const answer = await ask(method, request);
    assert.equal(answer.code, code, JSON.stringify([method, request, answer]));
    assert.match(answer.details ?? '', details);
  }
  assert.deepEqual(
    lines.filter(({ level }) => level === 'error'),
    [],
  );
});

test('kubelets before 1.37 learn it beside the usage of the file system, where that is switched on', async (t) => {
  const { ask, target } = serve(t, [expired, mismatch], true);
  const { response: capabilities } = await ask('NodeGetCapabilities', {});
  for (const type of ['GET_VOLUME_HEALTH', 'GET_VOLUME_STATS', 'VOLUME_CONDITION', 'VOLUME_MOUNT_GROUP']) {
    assert.ok(JSON.stringify(capabilities).includes(`"${type}"`), type);
  }
  const { response } = await ask('NodeGetVolumeStats', { volume_id: 'csi-1', volume_path: target });
  assert.deepEqual(response?.['volume_condition'], {
    abnormal: true,
    message: 'CertificateExpired: sources[0] has expired; TrustMismatch: sources[0] leads nowhere',
  });
  const usage = response?.['usage'];
  assert.ok(Array.isArray(usage), JSON.stringify(response));
  assert.deepEqual(
    usage.map(({ unit }) => unit),
    ['BYTES', 'INODES'],
  );
  for (const { available, total, used } of usage) {
    assert.ok(total >= used && total >= available && used >= 0, JSON.stringify(usage));
  }
  const well = serve(t, [], true);
  const healthy = await well.ask('NodeGetVolumeStats', { volume_id: 'csi-1', volume_path: well.target });
  assert.deepEqual(healthy.response?.['volume_condition'], { abnormal: false, message: '' });
});

test('the usage is that of the volume, in bytes and in files', { skip: mountSkip }, async (t) => {
  const volume = path.join(temporaryDirectory(t), 'mount');
  mkdirSync(volume);
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k,nr_inodes=10', 'test', volume]);
  writeFileSync(path.join(volume, 'file'), Buffer.alloc(16_384));
  const { ask } = askNode(makeDriver(undefined, () => []).driver, true);
  const { response } = await ask('NodeGetVolumeStats', { volume_id: 'csi-1', volume_path: volume });
  assert.deepEqual(response?.['usage'], [
    { unit: 'BYTES', total: 65_536, available: 49_152, used: 16_384 },
    { unit: 'INODES', total: 10, available: 8, used: 2 },
  ]);
});

test('by default no kubelet is invited to ask for usage every minute', async (t) => {
  const { ask, target } = serve(t, [expired]);
  const { response } = await ask('NodeGetCapabilities', {});
  assert.doesNotMatch(JSON.stringify(response), /STATS|CONDITION/);
  assert.equal((await ask('NodeGetVolumeStats', { volume_id: 'csi-1', volume_path: target })).code, 12);
});

/** Made by the Go package of the CSI specification: 1.13.0 for the health, 1.12.0 for the condition. */
const bytesOfCsi = {
  health: '0a140a0176120808011201521a014d12050803120153',
  capabilities: '0a040a0208020a040a0208040a040a0208060a040a020807',
  stats: '0a0808011003180220010a0808041009180520021205080112014d',
  healthRequest: '0a0176120170',
  statsRequest: '0a0176120170',
};

test('the messages are, byte by byte, those of the CSI specification', () => {
  const { NodeGetVolumeHealth, NodeGetVolumeStats, NodeGetCapabilities } = nodeService;
  const entries = [
    { status: 'DEGRADED', reason: 'R', message: 'M' },
    { status: 'DATA_LOSS', reason: 'S' },
  ];
  const types = ['GET_VOLUME_STATS', 'VOLUME_CONDITION', 'VOLUME_MOUNT_GROUP', 'GET_VOLUME_HEALTH'];
  const written = {
    health: NodeGetVolumeHealth?.responseSerialize({ volume_health: { volume_id: 'v', health_statuses: entries } }),
    capabilities: NodeGetCapabilities?.responseSerialize({ capabilities: types.map((type) => ({ rpc: { type } })) }),
    stats: NodeGetVolumeStats?.responseSerialize({
      usage: [
        { available: 1, total: 3, used: 2, unit: 'BYTES' },
        { available: 4, total: 9, used: 5, unit: 'INODES' },
      ],
      volume_condition: { abnormal: true, message: 'M' },
    }),
    healthRequest: NodeGetVolumeHealth?.requestSerialize({ volume_id: 'v', volume_publish_path: 'p' }),
    statsRequest: NodeGetVolumeStats?.requestSerialize({ volume_id: 'v', volume_path: 'p' }),
  };
  for (const [name, bytes] of Object.entries(bytesOfCsi)) {
    assert.equal(Reflect.get(written, name)?.toString('hex'), bytes, name);
  }
  assert.deepEqual(
    [NodeGetVolumeHealth?.path, NodeGetVolumeStats?.path],
    ['/csi.v1.Node/NodeGetVolumeHealth', '/csi.v1.Node/NodeGetVolumeStats'],
  );
});
