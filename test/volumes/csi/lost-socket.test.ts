/** The CSI socket removed under the agent, and what calls notice of it. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import type { PublishOutcome } from '../../../volumes/csi/driver.ts';
import { createCsiServer } from '../../../volumes/csi/server.ts';
import { withinBound } from '../../support/bounded.ts';
import { temporaryDirectory } from '../support.ts';
import { call, loseThrice, makeDriver, makeLog, makeTimers, publishRequest, startCall } from './support.ts';

/** A CSI server in `<root>/plugins/csi.test`, stopped after the test. */
async function serve(t: TestContext, outcome?: () => Promise<PublishOutcome>) {
  const root = temporaryDirectory(t);
  const socketPath = path.join(root, 'plugins', 'csi.test', 'csi.sock');
  const { log, logged } = makeLog();
  const { driver } = makeDriver(outcome);
  const timers = makeTimers();
  const names = { driverName: 'csi.test', version: '1', nodeName: 'node-1' };
  const options = { ...names, socketPath, driver, log, publishTimeoutMs: 60_000, later: timers.later };
  const server = createCsiServer(options);
  t.after(() => server.stop(100));
  await server.start();
  const assertServed = async () =>
    assert.equal((await call(socketPath, 'Node', 'NodeGetInfo')).response?.['node_id'], 'node-1');
  return { root, socketPath, server, logged, timers, assertServed };
}

test('a CSI socket that is removed is put back, again and again, and calls work', async (t) => {
  const { socketPath, server, logged, assertServed } = await serve(t);
  for (const round of [1, 2, 3]) {
    fs.unlinkSync(socketPath);
    await logged('the CSI socket was removed, and is put back', round);
    await assertServed();
    assert.equal(server.problem(), undefined);
  }
});

test('a CSI socket that is lost again after its directory was removed and made anew is put back', async (t) => {
  const { socketPath, logged, assertServed } = await serve(t);
  await loseThrice(socketPath, logged);
  await assertServed();
});

test('a loss that no watch tells of is found when the socket is looked for', async (t) => {
  const { root, logged, timers, assertServed } = await serve(t);
  // Nothing happens in the watched directory, nor to it: the one above it takes another name.
  fs.renameSync(path.join(root, 'plugins'), path.join(root, 'plugins.old'));
  await timers.due(10_000);
  await logged('is put back');
  await assertServed();
});

test('while the socket cannot be put back, the reason can be asked for', async (t) => {
  const { socketPath, server, logged, timers, assertServed } = await serve(t);
  fs.unlinkSync(socketPath);
  fs.writeFileSync(socketPath, 'in the way');
  await logged('the CSI socket cannot be put back');
  assert.match(server.problem() ?? '', /is there and is not a socket; remove it/);
  fs.unlinkSync(socketPath);
  await timers.due(1_000);
  await logged('is put back');
  assert.equal(server.problem(), undefined);
  await assertServed();
});

test('a call under way when the socket is removed is answered', async (t) => {
  const asked = Promise.withResolvers<void>();
  const release = Promise.withResolvers<PublishOutcome>();
  const { socketPath, logged } = await serve(t, () => {
    asked.resolve();
    return release.promise;
  });
  const { answer } = startCall(t, socketPath, 'Node', 'NodePublishVolume', publishRequest(), 30_000);
  await withinBound(asked.promise, 'the driver to be asked');
  fs.unlinkSync(socketPath);
  await logged('is put back');
  release.resolve({ type: 'ready' });
  assert.deepEqual(await answer, { response: {} });
});
