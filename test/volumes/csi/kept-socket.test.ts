/** Sockets that are removed under the agent: when that is noticed, what is tried then, and what a stop leaves. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import http2 from 'node:http2';
import net from 'node:net';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Server, ServerCredentials } from '@grpc/grpc-js';
import type { Log } from '../../../volumes/csi/driver.ts';
import { overGrpc } from '../../../volumes/csi/grpc-socket.ts';
import { createKeptSocket, type KeptSocket } from '../../../volumes/csi/kept-socket.ts';
import { eventOf, soon, withinBound } from '../../support/bounded.ts';
import { withFields } from '../../support/fields.ts';
import { temporaryDirectory } from '../support.ts';
import { makeLog, makeTimers } from './support.ts';

interface Kept {
  /** Called with each server before it is put in place. */
  readonly onServer?: (server: Server, socket: KeptSocket) => void;
  readonly onLost?: () => void;
  readonly onWarning?: () => void;
  readonly socketPath?: string;
  readonly takesOver?: boolean;
}

/** A socket without any service, in `<root>/plugin`. */
function keep(t: TestContext, kept: Kept = {}) {
  const { onServer, onLost, onWarning, takesOver = false } = kept;
  const { socketPath = path.join(temporaryDirectory(t), 'plugin', 'some.sock') } = kept;
  const directory = path.dirname(socketPath);
  const { log, lines, logged } = makeLog();
  const timers = makeTimers();
  const servers: Server[] = [];
  const makeServer = () => {
    const server = new Server();
    servers.push(server);
    onServer?.(server, socket);
    return overGrpc(server);
  };
  const warn: Log['warn'] = (...line) => {
    log.warn(...line);
    onWarning?.();
  };
  const lost = onLost === undefined ? {} : { onLost };
  const socket = createKeptSocket({
    ...{ name: 'own socket', socketPath, makeServer, takesOver, log: { ...log, warn }, later: timers.later },
    ...lost,
  });
  t.after(() => socket.stop(0));
  const { start, problem } = socket;
  return {
    ...{ directory, socketPath, servers, lines, problem, timers: timers.count },
    start: () => soon(start(), 'the end of the start'),
    stop: (graceMs: number) => soon(socket.stop(graceMs), 'the end of the stop'),
    logged: (part: string, count = 1) => soon(logged(part, count), `"${part}", ${count} times`),
    due: (delayMs: number) => soon(timers.due(delayMs), `a timer of ${delayMs} ms`),
  };
}

/** It does not go on listening where nobody finds it. */
function assertShutDown(server: Server): void {
  const bind = () => server.bindAsync('unix:/nowhere', ServerCredentials.createInsecure(), () => undefined);
  assert.throws(bind, /after shutdown/);
}

/** How many directories and files this process watches. */
function watches(): number {
  const files = fs.readdirSync('/proc/self/fdinfo').map((name) => {
    try {
      return fs.readFileSync(path.join('/proc/self/fdinfo', name), 'utf8');
    } catch {
      return '';
    }
  });
  return files.join('').match(/^inotify wd:/gm)?.length ?? 0;
}

/** Calls back when the server's socket is at its path, before whoever waits for that comes to know. */
function whenLinked(server: Server, socketPath: string, onLinked: () => void): void {
  const { bindAsync } = server;
  server.bindAsync = (port, credentials, callback) =>
    bindAsync.call(server, port, credentials, (error, bound) => {
      callback(error, bound);
      let turns = 100;
      const look = (): void => {
        turns -= 1;
        if (fs.existsSync(socketPath)) {
          onLinked();
        } else if (turns > 0) {
          queueMicrotask(look);
        }
      };
      queueMicrotask(look);
    });
}

test('there is one timer at a time: of ten seconds while all is well, of one while the socket cannot be put back', async (t) => {
  const lost: string[] = [];
  const { directory, socketPath, servers, lines, start, stop, problem, logged, timers, due } = keep(t, {
    onLost: () => lost.push(problem() ?? 'nothing'),
  });
  assert.equal(problem(), `the own socket is not at ${socketPath}`);
  await start();
  await start();
  assert.equal(problem(), undefined);
  assert.equal(timers(), 1);
  await due(10_000);
  assert.equal(servers.length, 1);
  fs.unlinkSync(socketPath);
  fs.writeFileSync(socketPath, 'in the way');
  for (const name of ['one', 'two', 'three']) {
    fs.writeFileSync(path.join(directory, name), '');
  }
  assert.equal(problem(), `the own socket is not at ${socketPath}`);
  await logged('the own socket cannot be put back', 1);
  for (const attempts of [2, 3]) {
    await due(1_000);
    await logged('the own socket cannot be put back', attempts);
  }
  assert.match(problem() ?? '', /is not a socket/);
  fs.unlinkSync(socketPath);
  await due(1_000);
  await logged('the own socket was removed, and is put back');
  assert.equal(problem(), undefined);
  await due(10_000);
  assert.equal(servers.length, 5, 'it was tried at once, and again whenever a second was over');
  assert.deepEqual(lost, [`the own socket is not at ${socketPath}`]);
  const fields = lines.map(({ level, fields: { address, error } }) => [level, address, error instanceof Error]);
  assert.deepEqual(fields, [...Array(3).fill(['error', socketPath, true]), ['warn', socketPath, false]]);
  await stop(0);
  assert.equal(timers(), 0);
});

test('a directory that is a file by now is told, and the socket comes back when it is gone', async (t) => {
  const { directory, start, problem, logged, due } = keep(t);
  await start();
  fs.rmSync(directory, { recursive: true });
  fs.writeFileSync(directory, 'in the way');
  await logged('cannot be put back');
  assert.match(problem() ?? '', /EEXIST/);
  fs.unlinkSync(directory);
  await due(1_000);
  await logged('is put back');
  assert.equal(problem(), undefined);
});

test('a stop while the socket is put in place, at first or anew, leaves nothing behind', async (t) => {
  const watched = watches();
  for (const which of [1, 2]) {
    const stopped = Promise.withResolvers<void>();
    const { directory, socketPath, servers, start, timers } = keep(t, {
      onServer: (_server, it) => {
        if (servers.length === which) {
          stopped.resolve(it.stop(60_000));
        }
      },
    });
    await start();
    if (which === 2) {
      fs.unlinkSync(socketPath);
    }
    await soon(stopped.promise, 'the end of the stop');
    assert.deepEqual(fs.readdirSync(directory), []);
    assert.equal(servers.length, which);
    for (const server of servers) {
      assertShutDown(server);
    }
    assert.equal(timers(), 0);
    // A watch that is closed within its own event is there until the event is over.
    await nextTurn();
    assert.equal(watches(), watched);
    await start();
    assert.equal(servers.length, which, 'a start after the stop is nothing');
  }
});

test('a start while the socket is put back waits for that, and takes it for nobody else', async (t) => {
  const again = Promise.withResolvers<void>();
  const { socketPath, servers, lines, start, problem, timers } = keep(t, {
    onServer: () => servers.length === 2 && again.resolve(),
  });
  await start();
  fs.unlinkSync(socketPath);
  await soon(again.promise, 'the second server');
  await start();
  assert.equal(problem(), undefined);
  assert.equal(servers.length, 2);
  assert.equal(lines.length, 1);
  assert.equal(timers(), 1);
});

test('what takes a served socket over does so at its start alone, and whoever lost it tells and waits', async (t) => {
  const first = keep(t);
  await first.start();
  const second = keep(t, { socketPath: first.socketPath, takesOver: true });
  await second.start();
  await first.logged('cannot be put back');
  assert.match(first.problem() ?? '', /^another process serves/);
  assert.equal(second.problem(), undefined);
  const third = keep(t, { socketPath: first.socketPath, takesOver: true });
  await third.start();
  await second.logged('cannot be put back');
  assert.match(second.problem() ?? '', /^another process serves/);
  await first.stop(0);
  assert.equal(third.problem(), undefined);
  await third.stop(0);
  await second.due(1_000);
  await second.logged('is put back');
  assert.equal(second.problem(), undefined);
});

test('a start that failed may be made again, and so may one after the socket could not be put back', async (t) => {
  const { directory, socketPath, start, problem, logged, timers } = keep(t);
  fs.mkdirSync(directory);
  for (const round of [1, 2]) {
    fs.writeFileSync(socketPath, 'in the way');
    await assert.rejects(start(), { code: 'SocketUnusable' });
    fs.unlinkSync(socketPath);
    await start();
    assert.equal(problem(), undefined);
    assert.equal(timers(), 1);
    if (round === 1) {
      fs.unlinkSync(socketPath);
      fs.writeFileSync(socketPath, 'in the way');
      await logged('cannot be put back');
      fs.unlinkSync(socketPath);
    }
  }
});

test('a directory that cannot be watched is told once, and its socket is put back all the same', async (t) => {
  const { directory, socketPath, servers, lines, start, logged } = keep(t, {
    onServer: (server) => {
      if (servers.length < 3) {
        whenLinked(server, socketPath, () => fs.rmSync(directory, { recursive: true }));
      }
    },
  });
  await start();
  await logged('is put back');
  const [warning, ...others] = lines.filter(({ message }) => !message.includes('is put back'));
  assert.deepEqual(others, []);
  assert.equal(warning?.level, 'warn');
  assert.equal(warning.message, 'a directory cannot be watched; it is looked at every few seconds');
  assert.equal(warning.fields.path, directory);
  assert.match(String(warning.fields.error), /ENOENT/);
});

test('a directory that could not be watched is, as soon as its socket is looked for', async (t) => {
  const { directory, socketPath, servers, start, logged } = keep(t, {
    onServer: (server) => {
      if (servers.length === 1) {
        whenLinked(server, socketPath, () => fs.renameSync(directory, `${directory}.away`));
      }
    },
    onWarning: () => servers.length === 1 && fs.renameSync(`${directory}.away`, directory),
  });
  await start();
  assert.equal(servers.length, 1);
  fs.unlinkSync(socketPath);
  await logged('is put back');
});

test('who is connected when the socket is lost is told to connect anew', async (t) => {
  const { socketPath, start } = keep(t);
  await start();
  const client = http2.connect('http://localhost', { createConnection: () => net.connect(socketPath) });
  t.after(() => client.destroy());
  await eventOf(client, 'remoteSettings', 'the connection');
  const told = eventOf(client, 'goaway', 'the server to say that it goes');
  fs.unlinkSync(socketPath);
  await soon(told, 'the word of the server that it goes');
});

test("by the system's timer the socket is tried again after a second, and a stop leaves no timer", async (t) => {
  const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
  const socketPath = path.join(temporaryDirectory(t), 'some.sock');
  const { log, logged } = makeLog();
  const socket = createKeptSocket({ name: 'own socket', socketPath, makeServer: () => overGrpc(new Server()), log });
  t.after(() => socket.stop(0));
  await socket.start();
  fs.unlinkSync(socketPath);
  fs.writeFileSync(socketPath, 'in the way');
  await logged('cannot be put back');
  fs.unlinkSync(socketPath);
  await logged('is put back');
  const before = timers();
  await socket.stop(60_000);
  assert.equal(timers(), before - 1);
});

test('connections that end in the moment of the stop do not hold it up', async (t) => {
  const socketPath = path.join(temporaryDirectory(t), 'csi.sock');
  const { log } = makeLog();
  const makeServer = () => {
    const server = new Server();
    const { tryShutdown } = server;
    // As when a kubelet has just gone: the session is destroyed, and has not told anybody yet.
    server.tryShutdown = (callback) => {
      const sessions: unknown = Reflect.get(server, 'sessions');
      assert.ok(sessions instanceof Map && sessions.size === 1, 'gRPC keeps its connections elsewhere by now');
      for (const session of sessions.keys()) {
        withFields<{ destroy(): void }>(session, 'destroy').destroy();
      }
      tryShutdown.call(server, callback);
    };
    return overGrpc(server);
  };
  for (const answered of [Promise.resolve(), undefined]) {
    const socket = createKeptSocket({ name: 'CSI socket', socketPath, makeServer, log });
    await socket.start();
    const client = http2.connect('http://localhost', { createConnection: () => net.connect(socketPath) });
    client.on('error', () => undefined);
    t.after(() => client.destroy());
    await eventOf(client, 'remoteSettings', 'the connection');
    // Where nobody tells when the calls are answered, the grace period is what ends the wait.
    await withinBound(socket.stop(answered === undefined ? 10 : 600_000, answered), 'the stop to end');
  }
});
