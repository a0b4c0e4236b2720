/**
 * The agent among the others on its node: the kubelet's plugin watcher, a second agent, callers with hostile paths, memory that
 * runs out, mounts that do not reach the pods.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { callUnary } from '../../sandbox/kubelet/grpc.ts';
import { nodeService } from '../../volumes/csi/protocol.ts';
import { withinBound } from '../support/bounded.ts';
import { call, publishRequest } from '../volumes/csi/support.ts';
import { mountSkip, podUID } from '../volumes/support.ts';
import { signerName, usualSources } from './node.ts';
import { startRealNode } from './real-node.ts';

const volumes = [{ name: 'mtls', sources: usualSources }];

test('an agent on its node', { skip: mountSkip, timeout: 600_000 }, async (t) => {
  const signers = [{ signerName, lifetimeSeconds: 20, refreshAtFraction: 0.1 }];
  const node = await startRealNode(t, { timeScale: 600, signers });
  const { cluster } = node;
  await cluster.stopKubelet();
  const agent = node.spawnAgent();

  await t.test('is ready once the kubelet has its driver, and again after its sockets were removed', async () => {
    await agent.logged((line) => line.message === 'the agent runs');
    const before = await agent.get('/readyz?verbose');
    assert.equal(before.status, 503);
    assert.match(before.text, /\[-\]kubelet-registration failed: the kubelet has not registered the driver yet/);
    assert.equal((await agent.get('/livez')).status, 200);
    assert.equal(await probe(cluster.csiSocket), false);
    cluster.startKubelet();
    await agent.ready();
    assert.match((await agent.get('/readyz?verbose')).text, /\[\+\]certificate-request-watch ok/);
    assert.equal(await probe(cluster.csiSocket), true);

    const socket = join(cluster.registrationDirectory, `${cluster.driverName}-reg.sock`);
    const registrations = () => agent.lines.filter((line) => line.message === 'the kubelet registered the driver');
    assert.equal(registrations().length, 1);
    rmSync(socket);
    await agent.logged((line) => line.message === 'the registration socket was removed, and is put back');
    await agent.logged(() => registrations().length === 2);
    assert.equal(existsSync(socket), true, `${socket} is missing`);
    await agent.ready();

    rmSync(cluster.csiSocket);
    await agent.logged((line) => line.message === 'the CSI socket was removed, and is put back');
    assert.match((await agent.get('/readyz?verbose')).text, /\[\+\]csi-socket ok/);
    assert.equal(await probe(cluster.csiSocket), true);
  });

  await t.test('needs no more than mounting, giving files away and passing by their modes', async () => {
    const [, effective = ''] = /^CapEff:\t(\w+)$/m.exec(readFileSync(`/proc/${agent.pid}/status`, 'utf8')) ?? [];
    // capabilities(7): CHOWN, DAC_OVERRIDE, FOWNER and SYS_ADMIN by their numbers.
    const few = [0, 1, 3, 21].reduce((mask, capability) => mask | (1n << BigInt(capability)), 0n);
    assert.equal(BigInt(`0x${effective}`), few);
  });

  await t.test('is left alone by a second agent, which ends at once and says why', async () => {
    await cluster.admin.createPod({ name: 'web', volumes });
    const pod = await cluster.admin.podRunning('default', 'web');
    const anchors = node.read(pod, 'ca.pem');
    const second = node.spawnAgent();
    assert.deepEqual(await withinBound(second.exit, 'the second agent to end'), { code: 1, signal: null });
    const refused = second.lines.find((line) => line.message === 'the agent cannot start');
    assert.match(String(refused?.['error']), /another process serves .*csi\.sock; one agent per node and driver name/);
    assert.ok(
      !second.lines.some((line) => line.message === 'certificate adopted'),
      'the second agent adopted a certificate',
    );
    assert.equal(node.read(pod, 'ca.pem'), anchors);
    assert.equal((await agent.get('/readyz')).status, 200);
    await cluster.admin.deletePod('default', 'web');
    assert.deepEqual(node.mounts(), []);
  });

  await t.test(
    'gives the files to the pod’s group, else to the one user of its containers, and keys to nobody else',
    async () => {
      const owners = [
        { name: 'group', securityContext: { fsGroup: 2000, runAsUser: 1000 }, expected: '0:2000 640' },
        { name: 'user', securityContext: { runAsUser: 1000 }, expected: '1000:0 600' },
        { name: 'nobody', expected: '0:0 600' },
      ];
      for (const { name, securityContext } of owners) {
        await cluster.admin.createPod({ name, volumes, ...(securityContext === undefined ? {} : { securityContext }) });
      }
      for (const { name, expected } of owners) {
        const pod = await cluster.admin.podRunning('default', name);
        const { uid, gid, mode } = statSync(join(node.volume(pod), 'tls.pem'));
        assert.equal(`${uid}:${gid} ${(mode & 0o7777).toString(8)}`, expected, name);
        await cluster.admin.deletePod('default', name);
      }
    },
  );

  await t.test('mounts, writes and removes nothing beyond a pod’s volume, whatever path it is given', async () => {
    const pods = join(cluster.kubeletRoot, 'pods');
    const outside = join(node.directory, 'outside');
    mkdirSync(join(outside, 'mount'), { recursive: true });
    writeFileSync(join(outside, 'mount', 'precious'), 'stays');
    mkdirSync(join(pods, podUID, 'volumes/kubernetes.io~csi'), { recursive: true });
    symlinkSync(outside, join(pods, podUID, 'volumes/kubernetes.io~csi/planted'));
    const hostile = [
      `${pods}/${podUID}/volumes/kubernetes.io~csi/planted/mount`,
      `${pods}/${podUID}/volumes/kubernetes.io~csi/../../../../../outside/mount`,
      `${pods}/../../outside/mount`,
      `${pods}/${podUID}/volumes/kubernetes.io~csi/mtls/../planted/mount`,
      `${outside}/mount`,
      '/var/lib/other/pods/x/volumes/kubernetes.io~csi/mtls/mount',
      `${pods}/${podUID}/volumes/kubernetes.io~csi/mtls/mount/..agent`,
    ];
    for (const target_path of hostile) {
      for (const method of ['NodePublishVolume', 'NodeUnpublishVolume']) {
        const options = { socket: cluster.csiSocket, deadlineMs: 60_000, signal: t.signal };
        const answer = await callUnary(nodeService, method, publishRequest({ target_path }), options);
        assert.equal(answer.type, 'error', `${method} ${target_path}`);
      }
    }
    assert.equal(readFileSync(join(outside, 'mount', 'precious'), 'utf8'), 'stays');
    assert.deepEqual(readdirSync(join(outside, 'mount')), ['precious']);
    assert.deepEqual(node.mounts(), []);
  });

  await t.test('keeps the old files of a volume without room, and writes the new ones once there is room', async () => {
    await cluster.admin.createPod({ name: 'full', volumes });
    const pod = await cluster.admin.podRunning('default', 'full');
    const before = { bundle: node.read(pod, 'tls.pem'), anchors: node.read(pod, 'ca.pem') };
    // More than one pod may have: a container with privileges makes its volume as large as it likes.
    execFileSync('mount', ['-o', 'remount,size=128m', node.volume(pod)]);
    const filler = join(node.volume(pod), 'filler');
    writeFileSync(filler, Buffer.alloc(64 * 1024 * 1024));
    await cluster.signer(signerName).publishNextRoot();
    const said = (message: string, field = {}) =>
      agent.logged((line) => isDeepStrictEqual(line, { ...line, pod: 'full', message, ...field }));
    const failed = await said('trust anchors not written');
    assert.match(String(failed['error']), /more than the 56 MiB that one pod may have/);
    assert.equal(failed['actor'], 'pod author');
    await said('attempt failed', { phase: 'write' });
    assert.deepEqual({ bundle: node.read(pod, 'tls.pem'), anchors: node.read(pod, 'ca.pem') }, before);
    rmSync(filler);
    await said('trust anchors changed');
    await said('certificate renewed');
    assert.notEqual(node.read(pod, 'tls.pem'), before.bundle);
    assert.notEqual(node.read(pod, 'ca.pem'), before.anchors);
  });

  await t.test('takes its sockets away when it stops, and nothing else', async () => {
    assert.deepEqual(await agent.end('SIGTERM'), { code: 0, signal: null });
    assert.deepEqual(readdirSync(cluster.registrationDirectory), []);
    assert.equal(existsSync(cluster.csiSocket), false, `${cluster.csiSocket} is still there`);
    assert.equal(node.mounts().length, 1);
  });
});

test('an agent whose mounts would not reach the pods does not start, and says what to set', {
  skip: mountSkip,
  timeout: 600_000,
}, async (t) => {
  const node = await startRealNode(t, { shared: false });
  const agent = node.spawnAgent();
  assert.deepEqual(await withinBound(agent.exit, 'the agent to end'), { code: 1, signal: null });
  assert.match(agent.output(), /pods is not mounted shared.*mountPropagation: Bidirectional/);
  const pods = join(node.cluster.kubeletRoot, 'pods');
  execFileSync('umount', [pods]);
  rmSync(pods, { recursive: true });
  const lost = node.spawnAgent();
  assert.deepEqual(await withinBound(lost.exit, 'the agent to end'), { code: 1, signal: null });
  assert.match(lost.output(), /pods cannot be found: set kubelet-root/);
  assert.equal(existsSync(node.cluster.csiSocket), false, `${node.cluster.csiSocket} is still there`);
});

async function probe(socket: string): Promise<boolean> {
  const { response } = await call(socket, 'Identity', 'Probe');
  const ready = response?.['ready'] as { readonly value: boolean } | undefined;
  return ready?.value === true;
}

/** Takes all the room that the file's file system has. */
