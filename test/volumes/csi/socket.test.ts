/** How a socket comes to its path and goes: never in anybody's way, and never within reach of another user. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { Server, ServerCredentials } from '@grpc/grpc-js';
import { overGrpc } from '../../../volumes/csi/grpc-socket.ts';
import { serveSocket } from '../../../volumes/csi/socket.ts';
import { eventOf, soon, withinBound } from '../../support/bounded.ts';
import { modeOf, temporaryDirectory } from '../support.ts';

function makeServer(t: TestContext): Server {
  const server = new Server();
  t.after(() => server.forceShutdown());
  return server;
}

const attempt = (server: Server, socketPath: string) =>
  soon(serveSocket(overGrpc(server), socketPath), 'the end of the attempt');

const serve = (t: TestContext, socketPath: string) => attempt(makeServer(t), socketPath);

/** Whoever else may serve a socket. */
async function listenAt(t: TestContext, socketPath: string): Promise<net.Server> {
  const listener = net.createServer().listen(socketPath);
  await eventOf(listener, 'listening', 'the server to listen');
  t.after(() => listener.close());
  return listener;
}

/** A socket whose process was killed. */
async function leaveDead(t: TestContext, socketPath: string): Promise<void> {
  const listener = await listenAt(t, `${socketPath}.live`);
  // Closing removes a listener's socket; a second name for it stays behind as a dead one.
  fs.linkSync(`${socketPath}.live`, socketPath);
  listener.close();
  await eventOf(listener, 'close', 'the listener to be closed');
}

async function connect(socketPath: string): Promise<net.Socket> {
  const connection = net.connect(socketPath);
  await eventOf(connection, 'connect', `a connection to ${socketPath}`);
  return connection;
}

/** It has not been left listening where nobody finds it. */
function assertShutDown(server: Server): void {
  const bind = () => server.bindAsync('unix:/nowhere', ServerCredentials.createInsecure(), () => undefined);
  assert.throws(bind, /after shutdown/);
}

test('a socket is served for its user alone, and whoever watches its directory sees nothing else but what is hidden', async (t) => {
  const above = temporaryDirectory(t);
  const directory = path.join(above, 'plugin');
  fs.mkdirSync(directory);
  const longAgo = new Date(0);
  fs.utimesSync(above, longAgo, longAgo);
  const socketPath = path.join(directory, 'csi.sock');
  const seen = new Set<string | null>();
  const isSeen = Promise.withResolvers<void>();
  const watcher = fs.watch(directory, (_event, name) => {
    seen.add(name);
    if (name === 'csi.sock') {
      isSeen.resolve();
    }
  });
  t.after(() => watcher.close());
  await serve(t, socketPath);
  (await connect(socketPath)).destroy();
  assert.equal(modeOf(socketPath), '600');
  assert.deepEqual(fs.readdirSync(directory), ['csi.sock']);
  await withinBound(isSeen.promise, 'the watch to tell of the socket');
  seen.delete('csi.sock');
  assert.ok(seen.size > 0, 'it is made elsewhere at first');
  assert.deepEqual(
    [...seen].filter((name) => !name?.startsWith('.')),
    [],
  );
  // What lies above may not be in the container.
  assert.equal(fs.statSync(above).mtimeMs, 0);
});

test('directories that are missing are made, and the socket of a process that is gone is replaced', async (t) => {
  const directory = path.join(temporaryDirectory(t), 'plugins', 'csi.test');
  const socketPath = path.join(directory, 'csi.sock');
  (await serve(t, socketPath)).release();
  assert.equal(modeOf(directory), '750');
  assert.deepEqual(fs.readdirSync(directory), []);
  await leaveDead(t, socketPath);
  const { inPlace } = await serve(t, socketPath);
  assert.equal(inPlace(), true);
  (await connect(socketPath)).destroy();
});

test('a socket that somebody serves is refused and stays, and the one who asked lets go of it', async (t) => {
  const socketPath = path.join(temporaryDirectory(t), 'csi.sock');
  const other = await listenAt(t, socketPath);
  const asked = eventOf(other, 'connection', 'a connection');
  const server = makeServer(t);
  await assert.rejects(attempt(server, socketPath), {
    code: 'SocketUnusable',
    message: `another process serves ${socketPath}; one agent per node and driver name`,
  });
  assertShutDown(server);
  const [connection] = (await asked) as [net.Socket];
  await eventOf(connection.resume(), 'close', 'the end of the connection');
  (await connect(socketPath)).destroy();
});

test('a socket of a process that has no time for connections is refused, however many wait for it', async (t) => {
  const socketPath = path.join(temporaryDirectory(t), 'csi.sock');
  const connections: net.Socket[] = [];
  t.after(() => {
    for (const connection of connections) {
      connection.destroy();
    }
  });
  const gate = new Int32Array(new SharedArrayBuffer(4));
  const program = `
    const { workerData, parentPort } = require('node:worker_threads');
    const { socketPath, gate } = workerData;
    require('node:net').createServer().listen({ path: socketPath, backlog: 1 }, () => {
      parentPort.postMessage('listening');
      Atomics.wait(gate, 0, 0, 60_000);
    });`;
  const worker = new Worker(program, { eval: true, workerData: { socketPath, gate } });
  t.after(async () => {
    Atomics.store(gate, 0, 1);
    Atomics.notify(gate, 0);
    await worker.terminate();
  });
  await eventOf(worker, 'message', 'the other to listen');
  const refusal = { code: 'SocketUnusable', message: /^another process serves/ };
  await assert.rejects(serve(t, socketPath), refusal);
  const fill = async (): Promise<never> => {
    for (;;) {
      connections.push(await connect(socketPath));
    }
  };
  await assert.rejects(fill(), { code: 'EAGAIN' });
  await assert.rejects(serve(t, socketPath), refusal);
});

test('of some that come at once one gets the socket, and one that comes while another looks is left in its place', async (t) => {
  const socketPath = path.join(temporaryDirectory(t), 'csi.sock');
  const servers = [1, 2, 3].map(() => makeServer(t));
  const results = await Promise.allSettled(servers.map((server) => attempt(server, socketPath)));
  assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 1);
  for (const [index, result] of results.entries()) {
    if (result.status === 'rejected') {
      assert.match(result.reason.message, /^another process serves/);
      assertShutDown(servers[index] ?? new Server());
    }
  }
  (await connect(socketPath)).destroy();
  assert.deepEqual(fs.readdirSync(path.dirname(socketPath)), ['csi.sock']);

  const contested = path.join(temporaryDirectory(t), 'csi.sock');
  await leaveDead(t, contested);
  await listenAt(t, `${contested}.new`);
  const late = serve(t, contested);
  fs.renameSync(`${contested}.new`, contested);
  await assert.rejects(late, { code: 'SocketUnusable', message: /^another process serves/ });
  (await connect(contested)).destroy();
});

test('what is no socket is named and left as it is', async (t) => {
  const directory = temporaryDirectory(t);
  const socketPath = path.join(directory, 'csi.sock');
  fs.writeFileSync(socketPath, 'notes');
  await assert.rejects(serve(t, socketPath), {
    code: 'SocketUnusable',
    message: `${socketPath} is there and is not a socket; remove it`,
  });
  const below = path.join(socketPath, 'csi.sock');
  const server = makeServer(t);
  await assert.rejects(attempt(server, below), { code: 'FileSystem', message: /^serving \S+: EEXIST/ });
  assertShutDown(server);
  assert.equal(fs.readFileSync(socketPath, 'utf8'), 'notes');
  assert.deepEqual(fs.readdirSync(directory), ['csi.sock']);
});

test('a socket knows whether it is in its place, and takes away itself alone', async (t) => {
  const directory = path.join(temporaryDirectory(t), 'plugin');
  const socketPath = path.join(directory, 'csi.sock');
  const first = await serve(t, socketPath);
  assert.equal(first.inPlace(), true);
  fs.renameSync(directory, `${directory}.away`);
  fs.writeFileSync(directory, 'in the way');
  assert.equal(first.inPlace(), false);
  first.release();
  fs.unlinkSync(directory);
  fs.renameSync(`${directory}.away`, directory);
  assert.equal(first.inPlace(), true);
  fs.renameSync(socketPath, `${socketPath}.away`);
  assert.equal(first.inPlace(), false);
  first.release();
  const second = await serve(t, socketPath);
  assert.deepEqual([first.inPlace(), second.inPlace()], [false, true]);
  first.release();
  assert.equal(second.inPlace(), true);
  const connection = await connect(socketPath);
  t.after(() => connection.destroy());
  second.release();
  assert.equal(second.inPlace(), false);
  assert.equal(fs.existsSync(socketPath), false, `${socketPath} is still there`);
  assert.equal(connection.readyState, 'open');
});

test('a path may take up all that a socket has for it, and what is beyond that is an error', async (t) => {
  const root = temporaryDirectory(t);
  // What is bound at first has a path that is longer than one with a short name, and shorter than one with a long name.
  const own = Buffer.byteLength(path.join('.bind-XXXXXX', 's'));
  for (const name of ['ü.sock', `${'ü'.repeat(8)}.sock`]) {
    const room = 107 - Buffer.byteLength(`${root}//`) - Math.max(own, Buffer.byteLength(name));
    await serve(t, path.join(root, 'x'.repeat(room), name));
    const tooLong = path.join(root, 'y'.repeat(room + 1), name);
    await assert.rejects(serve(t, tooLong), {
      code: 'SocketUnusable',
      message: `${tooLong} is 1 bytes too long for a unix socket`,
    });
    assert.deepEqual(fs.readdirSync(path.dirname(tooLong)), []);
  }
});
