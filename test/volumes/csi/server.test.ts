/** The CSI socket, called as the kubelet calls it, by a separate process where that is ended or cut off. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { Client, credentials, status } from '@grpc/grpc-js';
import { VolumeError } from '../../../volumes/base/errors.ts';
import type { PublishOutcome, VolumeDriver } from '../../../volumes/csi/driver.ts';
import { nodeService } from '../../../volumes/csi/protocol.ts';
import { createCsiServer } from '../../../volumes/csi/server.ts';
import { createVolumeStore } from '../../../volumes/store.ts';
import { withinBound } from '../../support/bounded.ts';
import { anchors, makeTarget, mountPointsBelow, mountSkip, podUID, rootSkip, temporaryDirectory } from '../support.ts';
import { call, callMs, makeDriver, makeLog, publishRequest, startCall, targetPath } from './support.ts';

/** A server on a socket of its own, stopped after the test. */
async function serve(t: TestContext, driver: VolumeDriver, directory = temporaryDirectory(t)) {
  const socketPath = path.join(directory, 'plugin', 'csi.sock');
  const { log, lines } = makeLog();
  const server = createCsiServer({
    socketPath,
    driverName: 'csi.test',
    version: '1.2.3',
    nodeName: 'node-1',
    driver,
    log,
    publishTimeoutMs: 60_000,
  });
  await server.start();
  t.after(() => server.stop(100));
  return { socketPath, server, lines };
}

test('a kubelet learns who the plugin is, what it can do, and when it is ready', async (t) => {
  const { driver, published } = makeDriver();
  const { socketPath, lines } = await serve(t, driver);
  const asked: string[] = [];
  const ask = async (service: string, method: string) => {
    asked.push(method);
    return (await call(socketPath, service, method)).response;
  };
  assert.deepEqual(await ask('Identity', 'GetPluginInfo'), { name: 'csi.test', vendor_version: '1.2.3', manifest: {} });
  assert.deepEqual(await ask('Identity', 'GetPluginCapabilities'), {});
  assert.deepEqual(await ask('Identity', 'Probe'), { ready: { value: false } });
  assert.deepEqual(await ask('Node', 'NodeGetCapabilities'), {
    capabilities: [{ rpc: { type: 'VOLUME_MOUNT_GROUP' } }, { rpc: { type: 'GET_VOLUME_HEALTH' } }],
  });
  assert.deepEqual(await ask('Node', 'NodeGetInfo'), { node_id: 'node-1', max_volumes_per_node: 0 });
  await call(socketPath, 'Node', 'NodePublishVolume', publishRequest());
  assert.equal(published.length, 1);
  assert.deepEqual(await ask('Identity', 'Probe'), { ready: { value: true } });
  const [first, ...answered] = lines.map(({ level, message, fields }) => [level, message, fields.method ?? fields]);
  assert.deepEqual(first, ['info', 'serving CSI', { address: socketPath }]);
  const expected = asked.toSpliced(-1, 0, 'NodePublishVolume');
  assert.deepEqual(
    answered,
    expected.map((method) => ['debug', 'call answered', method]),
  );
});

test('calls that this driver does not serve answer UNIMPLEMENTED', async (t) => {
  const { socketPath } = await serve(t, makeDriver().driver);
  for (const method of ['NodeStageVolume', 'NodeGetVolumeStats', 'NodeExpandVolume']) {
    assert.equal((await call(socketPath, 'Node', method)).code, 12, method);
  }
});

test('publish hands over the request, its deadline and a signal', async (t) => {
  const { driver, published } = makeDriver();
  const { socketPath } = await serve(t, driver);
  const startedAt = Date.now();
  const capability = { mount: { volume_mount_group: '2000' } };
  const answer = await call(socketPath, 'Node', 'NodePublishVolume', publishRequest({ volume_capability: capability }));
  assert.deepEqual(answer, { response: {} });
  const [asked] = published;
  assert.equal(asked?.request.mountGroup, 2000);
  assert.equal(asked?.request.pod.uid, podUID);
  const deadline = asked?.deadline ?? 0;
  assert.ok(
    deadline > startedAt && deadline <= Date.now() + callMs,
    `the deadline is ${deadline - startedAt} ms after the call`,
  );
  assert.equal(asked?.signal.aborted, false);
  await startCall(t, socketPath, 'Node', 'NodePublishVolume', publishRequest(), 0).answer;
  assert.ok(
    (published[1]?.deadline ?? Number.POSITIVE_INFINITY) <= Date.now() + 60_000,
    `the deadline is ${published[1]?.deadline}`,
  );
});

test('each outcome and error arrives with its code and message', async (t) => {
  let outcome = async (): Promise<PublishOutcome> => ({ type: 'waiting', message: 'still waiting for signer x' });
  const { driver } = makeDriver(() => outcome());
  const { socketPath, lines } = await serve(t, driver);
  const publish = () => call(socketPath, 'Node', 'NodePublishVolume', publishRequest());
  assert.deepEqual(await publish(), { code: 10, details: 'still waiting for signer x' });
  outcome = async () => ({ type: 'refused', message: `denied:\nno \ud800${'ü'.repeat(5000)}` });
  const refused = await publish();
  assert.equal(refused.code, 10);
  assert.match(refused.details ?? '', /^denied: no \ufffdü{4000,4096}$/);
  outcome = async () => {
    throw new VolumeError('NoSpace', 'no room');
  };
  assert.deepEqual(await publish(), { code: 8, details: 'no room' });
  outcome = async () => {
    throw new Error('secret detail');
  };
  assert.deepEqual(await publish(), { code: 14, details: "a fault in the agent itself; the agent's log has it" });
  assert.deepEqual(
    lines.filter((line) => line.level === 'error').map((line) => line.message),
    ['call failed'],
  );
});

test('a kubelet that gives up fires the signal of its call', async (t) => {
  const fired = Promise.withResolvers<void>();
  const { driver } = makeDriver();
  const waiting: VolumeDriver = {
    ...driver,
    publish: (_request, _deadline, signal) =>
      new Promise((resolve) => {
        signal.addEventListener('abort', () => {
          fired.resolve();
          resolve({ type: 'waiting', message: 'late' });
        });
        client.child.kill('SIGKILL');
      }),
  };
  const { socketPath } = await serve(t, waiting);
  const client = startCall(t, socketPath, 'Node', 'NodePublishVolume', publishRequest());
  await withinBound(fired.promise, 'the signal of the call to fire');
});

test('a shutdown removes the socket, lets a call end, and then ends', async (t) => {
  const asked = Promise.withResolvers<void>();
  const release = Promise.withResolvers<PublishOutcome>();
  const { driver, published } = makeDriver(() => {
    asked.resolve();
    return release.promise;
  });
  const { socketPath, server } = await serve(t, driver);
  const client = startCall(t, socketPath, 'Node', 'NodePublishVolume', publishRequest());
  await withinBound(asked.promise, 'the driver to be asked');
  const stopped = server.stop(60_000);
  assert.equal(fs.existsSync(socketPath), false, `${socketPath} is still there`);
  release.resolve({ type: 'ready' });
  assert.deepEqual(await client.answer, { response: {} });
  await stopped;
  assert.equal(published[0]?.signal.aborted, false, 'nothing told it to end');
  await server.stop(0);
});

/** A call over a connection on which it is known to have arrived: a later call was answered. */
async function arrivedCall(t: TestContext, socketPath: string) {
  const client = new Client(`unix:${socketPath}`, credentials.createInsecure());
  t.after(() => client.close());
  const send = (method: string, request: object) =>
    new Promise<number>((resolve) => {
      const definition = nodeService[method];
      assert.ok(definition !== undefined, 'there is no definition');
      const { path: name, requestSerialize, responseDeserialize } = definition;
      client.makeUnaryRequest(name, requestSerialize, responseDeserialize, request, (error) =>
        resolve(error?.code ?? 0),
      );
    });
  const code = send('NodePublishVolume', publishRequest());
  assert.equal(await withinBound(send('NodeStageVolume', {}), 'the answer to the later call'), 12);
  return { code };
}

test('calls that come between claim and start wait for the start, or for the shutdown', async (t) => {
  const { driver, published } = makeDriver();
  const { log } = makeLog();
  for (const end of ['start', 'stop'] as const) {
    const socketPath = path.join(temporaryDirectory(t), 'csi.sock');
    const identity = { driverName: 'csi.test', version: '1', nodeName: 'n' };
    const server = createCsiServer({ ...identity, socketPath, driver, log, publishTimeoutMs: 60_000 });
    t.after(() => server.stop(0));
    await server.claim();
    const { code } = await arrivedCall(t, socketPath);
    assert.equal(published.length, end === 'start' ? 0 : 1);
    await (end === 'start' ? server.start() : server.stop(1000));
    assert.equal(await withinBound(code, 'the answer to the call that came early'), end === 'start' ? 0 : 14);
    assert.equal(published.length, 1);
  }
});

test('a call that does not end is told to, shortly before the grace period is over', async (t) => {
  const asked = Promise.withResolvers<void>();
  const { driver } = makeDriver();
  const endless: VolumeDriver = {
    ...driver,
    publish: (_request, _deadline, signal) =>
      new Promise((resolve) => {
        signal.addEventListener('abort', () => resolve({ type: 'unavailable', message: 'the agent is shutting down' }));
        asked.resolve();
      }),
  };
  const { socketPath, server } = await serve(t, endless);
  const client = startCall(t, socketPath, 'Node', 'NodePublishVolume', publishRequest(), 60_000);
  await withinBound(asked.promise, 'the driver to be asked');
  await server.stop(1000);
  assert.deepEqual(await client.answer, { code: 14, details: 'the agent is shutting down' });
});

test('a call that ends for nothing is cut off at the end of the grace period', async (t) => {
  const asked = Promise.withResolvers<void>();
  const { driver } = makeDriver(() => {
    asked.resolve();
    return new Promise(() => undefined);
  });
  const { socketPath, server } = await serve(t, driver);
  const client = startCall(t, socketPath, 'Node', 'NodePublishVolume', publishRequest(), 60_000);
  await withinBound(asked.promise, 'the driver to be asked');
  await server.stop(50);
  assert.notEqual((await client.answer).code, undefined);
});

test('another user is turned away', { skip: rootSkip }, async (t) => {
  const { socketPath } = await serve(t, makeDriver().driver);
  fs.chmodSync(path.dirname(socketPath), 0o755);
  const script = `require('net').connect(${JSON.stringify(socketPath)}).on('error', (e) => console.log(e.code)).on('connect', function () { console.log('in'); this.end(); })`;
  const node = fs.realpathSync(process.execPath);
  let output: string;
  try {
    output = execFileSync(node, ['-e', script], {
      uid: 65534,
      gid: 65534,
      stdio: ['ignore', 'pipe', 'ignore'],
    }).toString();
  } catch {
    t.skip('another user cannot run Node from where it is installed');
    return;
  }
  assert.equal(output.trim(), 'EACCES');
});

test('a second agent refuses to take the socket, and the first goes on serving', async (t) => {
  const directory = temporaryDirectory(t);
  const { socketPath } = await serve(t, makeDriver().driver, directory);
  await assert.rejects(serve(t, makeDriver().driver, directory), {
    code: 'SocketUnusable',
    message: /another process serves .*csi\.sock; one agent per node/,
  });
  assert.deepEqual((await call(socketPath, 'Node', 'NodeGetInfo')).response?.['node_id'], 'node-1');
});

test('a stop before the start is nothing, and a path too long for a socket is an error', async (t) => {
  const { driver } = makeDriver();
  const { log } = makeLog();
  const options = { driverName: 'csi.test', version: '1', nodeName: 'n', driver, log, publishTimeoutMs: 1000 };
  const socketPath = path.join(temporaryDirectory(t), 'x'.repeat(120));
  const server = createCsiServer({ ...options, socketPath });
  assert.equal(server.problem(), `the CSI socket is not at ${socketPath}`);
  await assert.rejects(server.start(), { code: 'SocketUnusable', message: /bytes too long for a unix socket/ });
  await server.stop(10);
});

for (const mode of ['directory', 'tmpfs'] as const) {
  const skip = mode === 'tmpfs' && mountSkip;
  test(`publish and unpublish through the socket fill and clear a volume (${mode})`, { skip }, async (t) => {
    const root = temporaryDirectory(t);
    const target = makeTarget(root);
    const store = createVolumeStore({ kubeletRoot: root, driverName: 'csi.test', mode });
    const driver: VolumeDriver = {
      publish: async ({ mountGroup, ...record }) => {
        const owner =
          mountGroup === undefined ? { kind: 'none' as const } : { kind: 'group' as const, gid: mountGroup };
        const volume = await store.create({ ...record, owner });
        await volume.project(new Map([[0, anchors(1)]]));
        return { type: 'ready' };
      },
      holds: () => false,
      health: () => undefined,
      unpublish: (_volumeId, targetPathOfCall) => store.remove(targetPathOfCall),
      ready: () => true,
    };
    const { socketPath } = await serve(t, driver);
    const publish = publishRequest({ target_path: target });
    for (let repeat = 0; repeat < 2; repeat += 1) {
      assert.deepEqual(await call(socketPath, 'Node', 'NodePublishVolume', publish), { response: {} });
    }
    assert.match(fs.readFileSync(path.join(target, 'ca.pem'), 'utf8'), /BEGIN CERTIFICATE/);
    const elsewhere = publishRequest({ target_path: targetPath });
    assert.equal((await call(socketPath, 'Node', 'NodePublishVolume', elsewhere)).code, 3);
    const unpublish = { volume_id: publish.volume_id, target_path: target };
    for (let repeat = 0; repeat < 2; repeat += 1) {
      assert.deepEqual(await call(socketPath, 'Node', 'NodeUnpublishVolume', unpublish), { response: {} });
    }
    assert.equal(fs.existsSync(target), false, `${target} is still there`);
    assert.deepEqual(mountPointsBelow(root), []);
  });
}

test('a call is read up to 256 KiB, and refused beyond that', async (t) => {
  const { driver, published } = makeDriver();
  const { socketPath } = await serve(t, driver);
  const client = new Client(`unix:${socketPath}`, credentials.createInsecure());
  t.after(() => client.close());
  const definition = nodeService['NodePublishVolume'];
  assert.ok(definition, 'the service has the method');
  const { path: method, requestSerialize, responseDeserialize } = definition;
  const padded = (length: number) => publishRequest({}, { 'csi.storage.k8s.io/note': 'x'.repeat(length) });
  const around = requestSerialize(padded(200_000)).length - 200_000;
  const send = (bytes: number): Promise<number | undefined> =>
    withinBound(
      new Promise((resolve) => {
        const request = padded(bytes - around);
        assert.equal(requestSerialize(request).length, bytes);
        client.makeUnaryRequest(method, requestSerialize, responseDeserialize, request, (error) =>
          resolve(error?.code),
        );
      }),
      'the answer',
    );
  assert.equal(await send(262_144), undefined);
  assert.equal(published.length, 1);
  assert.equal(await send(262_145), status.RESOURCE_EXHAUSTED);
  assert.equal(published.length, 1);
});
