/** The plugin watcher's side of registration. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { createRegistration, type RegistrationOptions } from '../../../volumes/csi/registration.ts';
import { eventOf } from '../../support/bounded.ts';
import { temporaryDirectory } from '../support.ts';
import { call, loseThrice, makeLog, makeTimers } from './support.ts';

function makeRegistration(t: TestContext, more: Partial<RegistrationOptions> = {}) {
  const { directory = path.join(temporaryDirectory(t), 'plugins_registry') } = more;
  const { log, lines, logged } = makeLog();
  const timers = makeTimers();
  const registration = createRegistration({
    directory,
    driverName: 'csi.test',
    endpoint: '/var/lib/kubelet/plugins/csi.test/csi.sock',
    log,
    later: timers.later,
    ...more,
  });
  t.after(() => registration.stop());
  const socketPath = path.join(directory, 'csi.test-reg.sock');
  return { directory, socketPath, registration, lines, logged, timers };
}

test('the kubelet is told name, endpoint and version, and its verdict is kept', async (t) => {
  const { socketPath, registration } = makeRegistration(t);
  await registration.start();
  assert.deepEqual(registration.state(), { type: 'waiting' });
  assert.deepEqual((await call(socketPath, 'Registration', 'GetInfo')).response, {
    type: 'CSIPlugin',
    name: 'csi.test',
    endpoint: '/var/lib/kubelet/plugins/csi.test/csi.sock',
    supported_versions: ['1.0.0'],
  });
  const notify = (status: object) => call(socketPath, 'Registration', 'NotifyRegistrationStatus', status);
  assert.deepEqual(await notify({ plugin_registered: false, error: 'name taken' }), { response: {} });
  assert.deepEqual(registration.state(), { type: 'rejected', error: 'name taken' });
  assert.deepEqual(await notify({ plugin_registered: true }), { response: {} });
  assert.deepEqual(registration.state(), { type: 'registered' });
});

test('the log tells where the socket is, and what the kubelet says; who is to know hears of each registration', async (t) => {
  const told: string[] = [];
  const { socketPath, registration, lines } = makeRegistration(t, { onRegistered: () => told.push('registered') });
  await registration.start();
  await call(socketPath, 'Registration', 'GetInfo');
  for (const plugin_registered of [false, true, true]) {
    const status = { plugin_registered, error: plugin_registered ? '' : 'name taken' };
    await call(socketPath, 'Registration', 'NotifyRegistrationStatus', status);
    assert.equal(registration.state().type, plugin_registered ? 'registered' : 'rejected');
  }
  assert.deepEqual(told, ['registered', 'registered']);
  const answered = (method: string) => ({ level: 'debug', message: 'call answered', fields: { method } });
  const registered = { level: 'info', message: 'the kubelet registered the driver', fields: { driver: 'csi.test' } };
  assert.deepEqual(
    lines.map(({ fields: { tookMs: _, ...fields }, ...line }) => ({ ...line, fields })),
    [
      { level: 'info', message: 'serving the registration socket', fields: { address: socketPath } },
      answered('GetInfo'),
      {
        level: 'error',
        message: 'the kubelet rejected the driver',
        fields: { driver: 'csi.test', detail: 'name taken' },
      },
      ...[answered('NotifyRegistrationStatus'), registered, answered('NotifyRegistrationStatus')],
      ...[registered, answered('NotifyRegistrationStatus')],
    ],
  );
});

test('the socket comes back when it is removed, again and again, to be registered anew, and goes on shutdown', async (t) => {
  const { directory, socketPath, registration, lines, logged } = makeRegistration(t);
  await registration.start();
  for (let round = 1; round <= 3; round += 1) {
    await call(socketPath, 'Registration', 'NotifyRegistrationStatus', { plugin_registered: true });
    fs.unlinkSync(socketPath);
    await logged('the registration socket was removed, and is put back', round);
    assert.deepEqual(registration.state(), { type: 'waiting' });
    assert.equal((await call(socketPath, 'Registration', 'GetInfo')).response?.['name'], 'csi.test');
  }
  assert.equal(lines.filter((line) => line.level === 'warn').length, 3);
  await registration.stop();
  assert.deepEqual(fs.readdirSync(directory), []);
  await registration.stop();
});

test('the socket comes back when its whole directory is removed, more than once', async (t) => {
  const { directory, socketPath, registration, logged } = makeRegistration(t);
  await registration.start();
  for (let round = 1; round <= 2; round += 1) {
    fs.rmSync(directory, { recursive: true });
    await logged('is put back', round);
  }
  fs.unlinkSync(socketPath);
  await logged('is put back', 3);
  assert.equal((await call(socketPath, 'Registration', 'GetInfo')).response?.['name'], 'csi.test');
});

test('a second agent refuses the registration socket, and does not remove it when it stops', async (t) => {
  const first = makeRegistration(t);
  await first.registration.start();
  const second = makeRegistration(t, { directory: first.directory });
  await assert.rejects(second.registration.start(), { code: 'SocketUnusable' });
  await second.registration.stop();
  assert.equal(fs.existsSync(first.socketPath), true, `${first.socketPath} is missing`);
});

test('when something else takes the place of the socket, the agent waits until it is gone', async (t) => {
  const { socketPath, registration, logged, timers } = makeRegistration(t);
  await registration.start();
  const other = net.createServer();
  fs.unlinkSync(socketPath);
  other.listen(socketPath);
  await eventOf(other, 'listening', 'the server to listen');
  await logged('cannot be put back');
  other.close();
  await eventOf(other, 'close', 'the other server to be closed');
  await timers.due(1_000);
  await logged('is put back');
  assert.equal((await call(socketPath, 'Registration', 'GetInfo')).response?.['name'], 'csi.test');
});

test('a stop while the socket cannot be put back ends the trying', async (t) => {
  const { socketPath, registration, logged, timers } = makeRegistration(t);
  await registration.start();
  fs.unlinkSync(socketPath);
  fs.writeFileSync(socketPath, 'in the way');
  await logged('cannot be put back');
  await registration.stop();
  assert.equal(timers.count(), 0);
  assert.equal(fs.readFileSync(socketPath, 'utf8'), 'in the way');
});

test('a registration socket that is lost again after its directory was removed and made anew is put back', async (t) => {
  const { socketPath, registration, logged } = makeRegistration(t);
  await registration.start();
  await loseThrice(socketPath, logged);
  assert.equal((await call(socketPath, 'Registration', 'GetInfo')).response?.['name'], 'csi.test');
});
