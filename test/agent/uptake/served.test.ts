/** Whether a program serves the certificate in its files: seen from outside, over TLS, whatever the program does to whoever looks. */
import assert from 'node:assert/strict';
import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { createServer as createTcpServer, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import tls from 'node:tls';
import { inspect } from 'node:util';
import type { Worker } from 'node:worker_threads';
import type { UptakeNotice } from '../../../agent/lifecycle/uptake.ts';
import { createHandshakeThread } from '../../../agent/uptake/handshake-thread.ts';
import { until } from '../../support/bounded.ts';
import { certify, createRootAuthority, makeHolder, pemOf } from '../../support/certificates.ts';
import { createCrowd, createSetting, listening, type Setting } from './parts.ts';

const second = 1_000;
const minute = 60 * second;

interface Identity {
  readonly key: string;
  readonly cert: string;
  readonly der: Uint8Array;
}

/** Leaves of one authority, each with a key of its own. */
async function identities(count: number): Promise<readonly Identity[]> {
  const authority = await createRootAuthority('CN=mesh');
  return await Promise.all(
    Array.from({ length: count }, async () => {
      const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      const spki = publicKey.export({ type: 'spki', format: 'der' });
      const cert = await authority.issueLeaf({ spki });
      return {
        key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
        cert,
        der: Uint8Array.from(new X509Certificate(cert).raw),
      };
    }),
  );
}

interface Program {
  readonly port: number;
  /** Names that were asked for. */
  readonly names: (string | undefined)[];
  serve(identity: Identity): void;
}

async function program(t: TestContext, first: Identity, options: tls.TlsOptions = {}): Promise<Program> {
  const names: (string | undefined)[] = [];
  const server = tls.createServer({ key: first.key, cert: first.cert, ...options }, (socket) => {
    names.push(socket.servername === false ? undefined : (socket.servername ?? undefined));
    socket.on('error', () => undefined);
  });
  server.on('tlsClientError', () => undefined);
  const port = await listening(t, server);
  return { port, names, serve: ({ key, cert }) => server.setSecureContext({ key, cert }) };
}

/** Lets time pass until the next look, and waits for its end. */
async function look({ clock, uptake, asked, notices }: Setting, ms: number): Promise<void> {
  const [before, said] = [asked.length, notices.length];
  clock.advance(ms);
  await until(() => asked.length > before, 'a look');
  await until(() => clock.alarms() > 0 || notices.length > said || uptake.served()?.state === 'current', 'its end');
}

const types = (notices: readonly UptakeNotice[]): readonly string[] => notices.map(({ type }) => type);

test('nobody looks before the first change, and after one until the program serves what is in its files', async (t) => {
  const [one, two] = await identities(2);
  assert.ok(one && two, 'two certificates');
  const server = await program(t, one);
  const setting = await createSetting(t, { probe: { port: server.port, serverName: 'web.shop.svc' } });
  await setting.change(one.der);
  setting.clock.advance(60 * minute);
  assert.equal(setting.uptake.served(), undefined);
  assert.equal(setting.asked.length, 0, 'no look without a change');
  await setting.change(two.der);
  await look(setting, 5 * second);
  assert.equal(setting.uptake.served()?.state, 'looking');
  assert.deepEqual(setting.notices, []);
  server.serve(two);
  await look(setting, 10 * second);
  assert.equal(setting.uptake.served()?.state, 'current');
  assert.deepEqual(setting.notices, [{ type: 'servesCurrent', afterMs: 15 * second, wasTold: false }]);
  assert.deepEqual(server.names, ['web.shop.svc', 'web.shop.svc']);
  assert.equal(setting.clock.alarms(), 0, 'nobody looks any more');
});

test('a program that serves the old certificate after five minutes is told of once, and again when that is over', async (t) => {
  const [one, two] = await identities(2);
  assert.ok(one && two, 'two certificates');
  const server = await program(t, one);
  const setting = await createSetting(t, { probe: { port: server.port } });
  await setting.change(one.der);
  const changedAt = setting.clock.now();
  await setting.change(two.der);
  for (const ms of [5, 10, 15, 30, 60]) {
    await look(setting, ms * second);
    assert.deepEqual(setting.notices, [], 'it has time');
  }
  await look(setting, 180 * second);
  const serialNumber = new X509Certificate(one.cert).serialNumber;
  const notAfter = new X509Certificate(one.cert).validToDate.getTime();
  const stale = {
    type: 'servesOther',
    since: changedAt,
    serialNumber,
    notAfter,
    hasExpired: notAfter <= setting.clock.now(),
  };
  assert.deepEqual(setting.notices, [stale]);
  assert.deepEqual(setting.uptake.served(), { state: 'other', since: changedAt });
  await look(setting, 15 * minute);
  await look(setting, 15 * minute);
  assert.equal(setting.notices.length, 1, 'it is said once');
  server.serve(two);
  await look(setting, 15 * minute);
  assert.deepEqual(types(setting.notices), ['servesOther', 'servesCurrent']);
  assert.ok(setting.notices[1]?.type === 'servesCurrent' && setting.notices[1].wasTold, inspect(setting.notices));
  assert.equal(setting.uptake.served()?.state, 'current');
});

test('a restart of the agent goes on looking where a program has not been seen with its files', async (t) => {
  const [one, two] = await identities(2);
  assert.ok(one && two, 'two certificates');
  const server = await program(t, one);
  const setting = await createSetting(t, { probe: { port: server.port } });
  await setting.change(one.der);
  await setting.change(two.der);
  setting.uptake.stop();
  setting.clock.advance(60 * minute);
  const second = setting.restart();
  second.settled();
  await look({ ...setting, uptake: second }, minute);
  assert.equal(second.served()?.state, 'other');
  server.serve(two);
  await look({ ...setting, uptake: second }, 15 * minute);
  assert.equal(second.served()?.state, 'current');
  second.stop();
  const third = setting.restart();
  third.settled();
  assert.equal(setting.clock.alarms(), 0, 'and not where it has been');
});

test('a server that wants to see a certificate is seen all the same', async (t) => {
  const [one] = await identities(1);
  assert.ok(one, 'a certificate');
  for (const maxVersion of ['TLSv1.3', 'TLSv1.2'] as const) {
    const { port } = await program(t, one, { requestCert: true, rejectUnauthorized: true, ca: [one.cert], maxVersion });
    const sight = await createHandshakeThread({ timeoutMs: minute }).look(
      { ip: '127.0.0.1', port },
      new AbortController().signal,
    );
    assert.ok(sight.type === 'leaf', `${maxVersion}: ${inspect(sight)}`);
    assert.deepEqual(Buffer.from(sight.der), Buffer.from(one.der));
  }
});

test('nothing that a hostile program does keeps the agent from its work', async (t) => {
  const flood = Buffer.alloc(64 * 1024, 0x16);
  const cases: Readonly<Record<string, readonly [(socket: Socket) => void, RegExp]>> = {
    'it says nothing': [() => undefined, /no answer within 0\.5 s$/],
    'it hangs up': [(socket) => socket.destroy(), /ECONNRESET|the connection was closed$/],
    'it speaks another language': [(socket) => socket.end('HTTP/1.1 200 OK\r\n\r\n'), /ERR_SSL_|EPROTO/],
    'it pours': [
      (socket) => {
        const pour = (): void => {
          if (!socket.destroyed && socket.write(flood)) {
            setImmediate(pour);
          }
        };
        pour();
      },
      /ERR_SSL_|EPROTO/,
    ],
    'it sends a record a byte at a time': [
      (socket) => {
        // A handshake record of TLS 1.2 with 16 KiB to come.
        socket.write(Buffer.from([0x16, 3, 3, 0x3f, 0xff]));
        const timer = setInterval(() => socket.write(Buffer.from([2])), 50);
        socket.on('close', () => clearInterval(timer));
      },
      /no answer within 0\.5 s$/,
    ],
  };
  for (const [name, [onConnection, expected]] of Object.entries(cases)) {
    const port = await listening(t, createTcpServer(onConnection));
    const sight = await createHandshakeThread({ timeoutMs: /no answer/.test(expected.source) ? 500 : minute }).look(
      { ip: '127.0.0.1', port },
      new AbortController().signal,
    );
    assert.ok(sight.type === 'nothing', `${name}: ${inspect(sight)}`);
    assert.match(sight.why, expected, name);
  }
});

test('a chain of more than 100 KiB is not read', async (t) => {
  const [one] = await identities(1);
  const authority = await makeHolder('CN=big');
  const big = await certify(authority, authority, { notAfter: Date.now() + 60 * minute });
  const server = tls.createServer({
    key: one?.key,
    cert: `${one?.cert}${pemOf(...Array.from({ length: 400 }, () => big))}`,
  });
  server.on('tlsClientError', () => undefined);
  const port = await listening(t, server);
  const sight = await createHandshakeThread({ timeoutMs: minute }).look(
    { ip: '127.0.0.1', port },
    new AbortController().signal,
  );
  assert.ok(sight.type === 'nothing' && /EXCESSIVE_MESSAGE_SIZE/.test(sight.why), inspect(sight));
});

test('a program that cannot be seen for five minutes is told of, and goes on being looked for', async (t) => {
  const [one, two] = await identities(2);
  assert.ok(one && two, 'two certificates');
  const port = await listening(
    t,
    createTcpServer((socket) => socket.destroy()),
  );
  const setting = await createSetting(t, { probe: { port } });
  await setting.change(one.der);
  await setting.change(two.der);
  for (const ms of [5, 10, 15, 30, 60, 180]) {
    await look(setting, ms * second);
  }
  assert.deepEqual(types(setting.notices), ['notSeen']);
  assert.match(inspect(setting.notices[0]), /no certificate is seen on port \d+ of the pod/);
  assert.equal(setting.uptake.served()?.state, 'unknown');
  await look(setting, 15 * minute);
  assert.equal(setting.notices.length, 1, 'it is said once');
});

test('the thread ends with the last look, and one that is broken off takes no other along', async (t) => {
  const hanging = await listening(
    t,
    createTcpServer(() => undefined),
  );
  const [one] = await identities(1);
  assert.ok(one, 'a certificate');
  const { port } = await program(t, one);
  const thread = createHandshakeThread({ timeoutMs: minute });
  const calledOff = new AbortController();
  const broken = thread.look({ ip: '127.0.0.1', port: hanging }, calledOff.signal);
  const good = thread.look({ ip: '127.0.0.1', port }, new AbortController().signal);
  calledOff.abort();
  assert.deepEqual(await broken, { type: 'nothing', why: 'the look was called off' });
  assert.equal((await good).type, 'leaf');
  const threads = () => process.getActiveResourcesInfo().filter((name) => name === 'MessagePort' || name === 'Worker');
  await until(
    () => threads().length === 0,
    () => `the thread to end; there are ${threads().join(', ')}`,
  );
  assert.equal(
    (await thread.look({ ip: '127.0.0.1', port }, new AbortController().signal)).type,
    'leaf',
    'and begins anew',
  );
});

test('a look that is broken off leaves no connection, and the thread goes on', async (t) => {
  let connections = 0;
  const hanging = await listening(
    t,
    createTcpServer((socket) => {
      connections += 1;
      socket.resume().on('close', () => {
        connections -= 1;
      });
    }),
  );
  const thread = createHandshakeThread({ timeoutMs: 10 * minute });
  const [calledOff, other] = [new AbortController(), new AbortController()];
  const sights = [
    thread.look({ ip: '127.0.0.1', port: hanging }, calledOff.signal),
    thread.look({ ip: '127.0.0.1', port: hanging }, other.signal),
  ];
  await until(() => connections === 2, 'two looks');
  calledOff.abort();
  await until(() => connections === 1, 'the connection of one to end');
  other.abort();
  await Promise.all(sights);
});

test('a hundred programs that accept and never answer hold up the look at another for a moment each', async (t) => {
  const hanging = await listening(
    t,
    createTcpServer(() => undefined),
  );
  const [one] = await identities(1);
  assert.ok(one, 'a certificate');
  const { port } = await program(t, one);
  const { uptakeOf, clock, notices } = createCrowd(t, { turnMs: 100 });
  for (let count = 0; count < 100; count += 1) {
    uptakeOf(`slow-${count}`, { probe: { port: hanging } }, one.der).settled();
  }
  uptakeOf('ordinary', { probe: { port } }, one.der).settled();
  clock.advance(5 * second);
  await until(() => notices.length > 0, 'the ordinary pod to be seen');
  assert.deepEqual(
    notices.map(({ uid, type }) => `${uid} ${type}`),
    ['ordinary servesCurrent'],
  );
});

test('a look has 5 seconds more than its handshake before its thread is ended, and the thread has 16 MiB', async (t) => {
  const hanging = await listening(
    t,
    createTcpServer(() => undefined),
  );
  const threads: Worker[] = [];
  const onWorker = (thread: Worker): void => void threads.push(thread);
  process.on('worker', onWorker);
  t.after(() => process.off('worker', onWorker));
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const thread = createHandshakeThread({ timeoutMs: 10 * minute });
  const sights: unknown[] = [];
  const seen = thread.look({ ip: '127.0.0.1', port: hanging }, new AbortController().signal).then((sight) => {
    sights.push(sight);
  });
  await until(() => threads.length > 0, 'a thread');
  assert.deepEqual(
    threads.map(({ resourceLimits }) => resourceLimits?.maxOldGenerationSizeMb),
    [16],
  );
  t.mock.timers.tick(10 * minute + 5 * second - 1);
  await nextTurn();
  assert.deepEqual(sights, []);
  t.mock.timers.tick(1);
  await seen;
  assert.deepEqual(sights, [{ type: 'nothing', why: 'the look was broken off' }]);
});
