import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { inspect } from 'node:util';
import { createCsiDriver } from '../../../sandbox/kubelet/csi.ts';
import type { CsiNodeBook } from '../../../sandbox/kubelet/csi-node.ts';
import { type PluginWatcher, watchPlugins } from '../../../sandbox/kubelet/registration.ts';
import { eventOf, withinBound } from '../../support/bounded.ts';
import { makeDirectory } from '../../support/directory.ts';

/** A test that waits for something that never comes fails instead of hanging. */
const limit = { timeout: 60_000 };

const driverName = 'csi.podcert.io';
const signal = new AbortController().signal;
let directory: string;
let csiSocket: string;
let registry: string;
let watcher: PluginWatcher | undefined;
const children: ChildProcess[] = [];

beforeEach(() => {
  directory = makeDirectory();
  csiSocket = join(directory, 'csi.sock');
  registry = join(directory, 'registry');
  mkdirSync(registry);
});
afterEach(async () => {
  watcher?.close();
  for (const child of children.splice(0)) {
    child.kill('SIGKILL');
    if (child.exitCode === null && child.signalCode === null) {
      await eventOf(child, 'exit', 'the driver to end');
    }
  }
});

interface Said {
  readonly method: string;
  readonly request: Readonly<Record<string, unknown>>;
}

/** Starts the driver's process. `next` is what it says next. */
async function startDriver(...registration: string[]): Promise<{ next(): Promise<Said> }> {
  const script = fileURLToPath(new URL('csi-process.ts', import.meta.url));
  const child = spawn(process.execPath, [script, csiSocket, ...registration], { stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(child);
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async (): Promise<Said> => JSON.parse((await lines.next()).value ?? '{}');
  assert.equal((await next()).method, 'ready');
  return { next };
}

function request(answer?: string) {
  return {
    volumeId: 'csi-1',
    targetPath: join(directory, 'mount'),
    readOnly: true,
    volumeContext: answer === undefined ? {} : { answer },
    fsGroup: 2000,
  };
}

test('a publish carries what a kubelet sends, the fsGroup to a driver that takes it', limit, async () => {
  const process = await startDriver();
  const driver = createCsiDriver({ driverName, endpoint: () => csiSocket });
  assert.deepEqual(await driver.publish(request(), signal), { type: 'done' });
  const { request: published } = await process.next();
  assert.equal(published['volume_id'], 'csi-1');
  assert.equal(published['readonly'], true);
  const mount = { mount_flags: [], fs_type: '', volume_mount_group: '2000' };
  assert.deepEqual(published['volume_capability'], { access_mode: { mode: 1 }, mount });
  assert.deepEqual(await driver.unpublish('csi-1', join(directory, 'mount'), signal), { type: 'done' });
  assert.equal((await process.next()).method, 'NodeUnpublishVolume');
});

test('five codes mean that a publish may have happened, all others are final', limit, async () => {
  await startDriver();
  const driver = createCsiDriver({ driverName, endpoint: () => csiSocket });
  const uncertain = ['CANCELLED', 'DEADLINE_EXCEEDED', 'UNAVAILABLE', 'RESOURCE_EXHAUSTED', 'ABORTED'];
  for (const code of [...uncertain, 'INVALID_ARGUMENT', 'INTERNAL', 'FAILED_PRECONDITION', 'UNKNOWN']) {
    const result = await driver.publish(request(code), signal);
    assert.ok(result.type === 'error', inspect(result));
    assert.equal(result.final, !uncertain.includes(code), code);
    assert.match(result.message, /^rpc error: code = [A-Z][A-Za-z]+ desc = as ordered$/);
  }
  const invalid = await driver.publish(request('INVALID_ARGUMENT'), signal);
  assert.ok(invalid.type === 'error', inspect(invalid));
  assert.match(invalid.message, /code = InvalidArgument /);
});

test('a driver that does not answer is given up at the deadline, and when the kubelet stops', limit, async () => {
  const process = await startDriver();
  const impatient = createCsiDriver({ driverName, endpoint: () => csiSocket, deadlineMs: 300 });
  const late = await impatient.publish(request('hang'), signal);
  assert.ok(late.type === 'error' && !late.final, inspect(late));
  assert.match(late.message, /code = DeadlineExceeded/);
  await process.next();

  const stopping = new AbortController();
  const driver = createCsiDriver({ driverName, endpoint: () => csiSocket });
  const pending = driver.publish(request('hang'), stopping.signal);
  await process.next();
  stopping.abort();
  const ended = await pending;
  assert.ok(ended.type === 'error' && !ended.final, inspect(ended));
  assert.match(ended.message, /code = Canceled/);
});

test('a driver that is not there is unavailable, one that is not registered is unknown', limit, async () => {
  const absent = await createCsiDriver({ driverName, endpoint: () => csiSocket }).publish(request(), signal);
  assert.ok(absent.type === 'error' && !absent.final, inspect(absent));
  const unknown = await createCsiDriver({ driverName, endpoint: () => undefined }).publish(request(), signal);
  assert.ok(unknown.type === 'error' && unknown.final, inspect(unknown));
  assert.match(unknown.message, /not found in the list of registered CSI drivers/);
});

/** Watches the registry; `change` resolves with the next endpoint. */
function startWatcher(book?: CsiNodeBook) {
  const changes: (string | undefined)[] = [];
  const waiting: (() => void)[] = [];
  watcher = watchPlugins({
    directory: registry,
    driverName,
    retryMs: 20,
    book,
    onChange: (endpoint) => {
      changes.push(endpoint);
      for (const wake of waiting.splice(0)) {
        wake();
      }
    },
  });
  const change = async (): Promise<string | undefined> => {
    while (changes.length === 0) {
      const { promise, resolve } = Promise.withResolvers<void>();
      waiting.push(resolve);
      await withinBound(promise, 'a plugin to be registered or forgotten');
    }
    return changes.shift();
  };
  return { watcher, change };
}

test('a driver is registered when its socket appears, and forgotten when it disappears', limit, async () => {
  const { watcher, change } = startWatcher();
  assert.equal(watcher.endpoint(), undefined);
  const socket = join(registry, 'driver.sock');
  const process = await startDriver(socket, driverName, '1.0.0');
  assert.equal(await change(), csiSocket);
  assert.deepEqual(await process.next(), {
    method: 'NotifyRegistrationStatus',
    request: { plugin_registered: true, error: '' },
  });
  rmSync(socket);
  assert.equal(await change(), undefined);
  assert.equal(watcher.endpoint(), undefined);
});

test(
  'a driver is written down before it is told that it is registered, and struck out once its socket has gone',
  limit,
  async () => {
    const done: string[] = [];
    const { promise: struckOut, resolve } = Promise.withResolvers<void>();
    const { change } = startWatcher({
      install: async (name, nodeId) => {
        done.push(`install ${name} on ${nodeId}`);
        if (done.length === 1) {
          throw new Error('no answer');
        }
      },
      uninstall: async (name) => {
        done.push(`uninstall ${name}`);
        resolve();
      },
    });
    const socket = join(registry, 'driver.sock');
    const process = await startDriver(socket, driverName, '1.0.0');
    const { request: refused } = await process.next();
    assert.deepEqual(refused, { plugin_registered: false, error: 'error updating CSINode object: no answer' });
    assert.equal(await change(), csiSocket);
    assert.deepEqual((await process.next()).request, { plugin_registered: true, error: '' });
    rmSync(socket);
    assert.equal(await change(), undefined);
    await withinBound(struckOut, 'the driver to be struck out');
    const installed = `install ${driverName} on node-a`;
    assert.deepEqual(done, [installed, installed, `uninstall ${driverName}`]);
  },
);

test('a driver that is there already is registered, plugins of other names are left alone', limit, async () => {
  await startDriver(join(registry, 'driver.sock'), driverName, '1.0.0');
  const other = spawn(process.execPath, [
    fileURLToPath(new URL('csi-process.ts', import.meta.url)),
    join(directory, 'other-csi.sock'),
    join(registry, 'another.sock'),
    'other.example.com',
    '1.0.0',
  ]);
  children.push(other);
  await eventOf(other.stdout, 'data', 'the other driver to begin');
  const { change } = startWatcher();
  assert.equal(await change(), csiSocket);
});

test('a driver of a version that the kubelet does not know is told so', limit, async () => {
  startWatcher();
  const process = await startDriver(join(registry, 'driver.sock'), driverName, '0.3.0');
  const { request: told } = await process.next();
  assert.equal(told['plugin_registered'], false);
  assert.match(String(told['error']), /0\.3\.0/);
});
