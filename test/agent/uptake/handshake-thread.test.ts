/** How long a handshake keeps a processor busy is in the hand of the pod's program: the agent's main thread has no part in one. */
import assert from 'node:assert/strict';
import { createServer } from 'node:https';
import { createServer as createTcpServer, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import tls from 'node:tls';
import { inspect } from 'node:util';
import type { Worker } from 'node:worker_threads';
import { ask } from '../../../agent/uptake/ask.ts';
import { handshake } from '../../../agent/uptake/handshake.ts';
import { createHandshakeThread } from '../../../agent/uptake/handshake-thread.ts';
import type { Attempt } from '../../../agent/uptake/teller.ts';
import type { HttpReload } from '../../../volumes/declaration/reload.ts';
import { until, withinBound } from '../../support/bounded.ts';
import { certify, type Holder, makeHolder, makeSlowHolder, pemOf } from '../../support/certificates.ts';
import { turnsOf } from '../../support/processor-time.ts';
import { createCrowd, listening } from './parts.ts';

const minute = 60_000;
const ip = '127.0.0.1';

const overTls = (port: number): HttpReload => ({ port, path: '/-/reload', method: 'POST', scheme: 'https' });

interface Chain {
  readonly key: string;
  readonly cert: string;
  /** DER. */
  readonly leaf: Uint8Array;
}

/** The first holder signs itself, and each the one that follows it. */
async function chainOf(holders: readonly Holder[]): Promise<Chain> {
  const chain = await Promise.all(
    holders.map((holder, index) =>
      certify(holder, holders[index - 1] ?? holder, { notAfter: Date.now() + 60 * minute }),
    ),
  );
  const { keys } = holders.at(-1) ?? assert.fail('no leaf');
  const pkcs8 = Buffer.from(await crypto.subtle.exportKey('pkcs8', keys.privateKey));
  const key = `-----BEGIN PRIVATE KEY-----\n${pkcs8.toString('base64')}\n-----END PRIVATE KEY-----\n`;
  return { key, cert: pemOf(...chain.toReversed()), leaf: chain.at(-1) ?? assert.fail('no leaf') };
}

/** Each signature takes OpenSSL some milliseconds, and it checks them all, whoever wants that. */
const slowChain = async (): Promise<Chain> =>
  chainOf(await Promise.all(Array.from({ length: 90 }, (_, index) => makeSlowHolder(`CN=c${index}`))));

/** @param onConnection is called when a connection's handshake is done */
async function listenOverTls(t: TestContext, onConnection: (socket: Socket) => void): Promise<number> {
  const { key, cert } = await chainOf([await makeHolder('CN=web')]);
  const server = tls.createServer({ key, cert }, (socket) => {
    socket.on('error', () => undefined);
    onConnection(socket.resume());
  });
  return await listening(t, server);
}

/** Those that are started until the test ends. */
function threadsOf(t: TestContext): readonly Worker[] {
  const threads: Worker[] = [];
  const onWorker = (thread: Worker): void => void threads.push(thread);
  process.on('worker', onWorker);
  t.after(() => process.off('worker', onWorker));
  return threads;
}

const inWords = (attempt: Attempt): string => `${attempt.type} ${'detail' in attempt ? attempt.detail : ''}`;

/** Processor time of the longest turn of the main thread, milliseconds. */
async function longestTurnMs(work: () => Promise<unknown>): Promise<number> {
  return (await turnsOf(work, process.threadCpuUsage)).longest;
}

test('while programs are told over TLS, or looked at, no turn of the main thread takes half as long as a handshake', async (t) => {
  const { key, cert, leaf } = await slowChain();
  const server = createServer({ key, cert }, (_request, response) => void response.writeHead(200).end());
  const port = await listening(t, server);
  const { signal } = new AbortController();
  const reload = overTls(port);
  const handshakeMs = Math.min(
    await longestTurnMs(() => ask({ ip, reload, timeoutMs: minute, signal })),
    await longestTurnMs(() => handshake({ ip, port }, minute, signal)),
  );
  for (const [asked, type] of [
    [{ reload: { http: reload } }, 'reloaded'],
    [{ probe: { port } }, 'servesCurrent'],
  ] as const) {
    const { clock, notices, uptakeOf } = createCrowd(t);
    for (const uid of ['one', 'two']) {
      uptakeOf(uid, asked, leaf).settled();
    }
    const longestMs = await longestTurnMs(async () => {
      clock.advance(minute);
      await until(() => notices.length === 2, 'both');
    });
    assert.deepEqual(
      notices.map((notice) => notice.type),
      [type, type],
      inspect(notices),
    );
    assert.ok(longestMs < handshakeMs / 2, `${type}: a turn of ${longestMs} ms; a handshake takes ${handshakeMs} ms`);
  }
});

test('no answer of a hostile program over TLS is followed, read, kept or waited for', async (t) => {
  let elsewhere = 0;
  const other = await listening(
    t,
    createTcpServer(() => {
      elsewhere += 1;
    }),
  );
  const pour = (socket: Socket, chunk: Buffer | string): void => {
    const on = (): void => {
      if (!socket.destroyed && socket.write(chunk)) {
        setImmediate(on);
      }
    };
    socket.on('drain', on);
    on();
  };
  const otherThanResponse = /answered with something else than a response$/;
  const cases: Readonly<Record<string, readonly [(socket: Socket) => void, RegExp]>> = {
    'it leads elsewhere': [
      (socket) => socket.end(`HTTP/1.1 307 Go\r\nLocation: https://127.0.0.1:${other}/\r\n\r\n`),
      /^failed .* was answered with 307, and no redirect is followed$/,
    ],
    'it says something that would be a log line': [
      (socket) => socket.end('HTTP/1.1 500 root: password=hunter2\r\n\r\n'),
      /^failed .* was answered with 500$/,
    ],
    'its head has no end': [
      (socket) => pour(socket, `HTTP/1.1 200 OK\r\nX: ${'x'.repeat(1_024)}`),
      /^failed .* failed: HPE_HEADER_OVERFLOW$/,
    ],
    'its body has no end': [
      (socket) => {
        socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n');
        pour(socket, 'x'.repeat(1_024));
      },
      /^done .* was answered with 200$/,
    ],
    'it asks for patience for ever': [(socket) => pour(socket, 'HTTP/1.1 102 Processing\r\n\r\n'), otherThanResponse],
    'it wants to speak another protocol': [
      (socket) => socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n'),
      otherThanResponse,
    ],
    'it hangs up': [(socket) => socket.destroy(), /^failed .* failed: ECONNRESET$/],
    'it never answers': [() => undefined, /^failed .* was not answered within 0\.5 s$/],
  };
  for (const [name, [onConnection, expected]] of Object.entries(cases)) {
    const port = await listenOverTls(t, onConnection);
    const thread = createHandshakeThread({ timeoutMs: /not answered/.test(expected.source) ? 500 : minute });
    const attempt = await thread.ask({ ip, reload: overTls(port) }, new AbortController().signal);
    assert.match(inWords(attempt), expected, name);
  }
  assert.equal(elsewhere, 0);
});

test('a program that speaks no TLS is not told in any other way', async (t) => {
  const asked: Buffer[] = [];
  const port = await listening(
    t,
    createTcpServer(
      (socket) => void socket.on('data', (data) => void asked.push(data)).write('HTTP/1.1 200 OK\r\n\r\n'),
    ),
  );
  const thread = createHandshakeThread({ timeoutMs: minute });
  const attempt = await thread.ask({ ip, reload: overTls(port) }, new AbortController().signal);
  assert.match(inWords(attempt), /^failed POST to port \d+ of the pod failed: (ERR_SSL_|EPROTO)/);
  assert.doesNotMatch(Buffer.concat(asked).toString('latin1'), /reload/);
});

test('a request that is called off leaves no connection, and the thread goes on', async (t) => {
  let connections = 0;
  const port = await listenOverTls(t, (socket) => {
    connections += 1;
    socket.on('close', () => {
      connections -= 1;
    });
  });
  const thread = createHandshakeThread({ timeoutMs: 10 * minute });
  const [calledOff, other] = [new AbortController(), new AbortController()];
  const attempts = [calledOff, other].map(({ signal }) => thread.ask({ ip, reload: overTls(port) }, signal));
  await until(() => connections === 2, 'two requests');
  calledOff.abort();
  await until(() => connections === 1, 'the connection of one to end');
  other.abort();
  const detail = `POST to port ${port} of the pod was called off`;
  assert.deepEqual(await Promise.all(attempts), [
    { type: 'failed', detail },
    { type: 'failed', detail },
  ]);
  await until(() => connections === 0, 'the other one too');
});

test('all that is under way in a thread that ends has failed, and what is asked for next has another thread', async (t) => {
  let connections = 0;
  const hanging = await listenOverTls(t, () => {
    connections += 1;
  });
  const port = await listenOverTls(t, (socket) => socket.end('HTTP/1.1 204 No Content\r\n\r\n'));
  const silent = await listening(
    t,
    createTcpServer(() => {
      connections += 1;
    }),
  );
  const threads = threadsOf(t);
  const thread = createHandshakeThread({ timeoutMs: minute });
  const { signal } = new AbortController();
  const request = thread.ask({ ip, reload: overTls(hanging) }, signal);
  const look = thread.look({ ip, port: silent }, signal);
  await until(() => connections === 2, 'both to be under way');
  assert.equal(threads.length, 1, 'both in one thread');
  await threads[0]?.terminate();
  assert.deepEqual(await withinBound(request, 'the request to fail'), {
    type: 'failed',
    detail: `POST to port ${hanging} of the pod was broken off`,
  });
  assert.deepEqual(await withinBound(look, 'the look to fail'), { type: 'nothing', why: 'the look was broken off' });
  assert.equal((await thread.ask({ ip, reload: overTls(port) }, signal)).type, 'done');
});

test('a request over TLS has 5 seconds more than its time before its thread is ended', async (t) => {
  const port = await listenOverTls(t, () => undefined);
  const threads = threadsOf(t);
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const thread = createHandshakeThread({ timeoutMs: 10 * minute });
  const attempts: Attempt[] = [];
  void thread.ask({ ip, reload: overTls(port) }, new AbortController().signal).then((attempt) => {
    attempts.push(attempt);
  });
  await until(() => threads.length > 0, 'a thread');
  t.mock.timers.tick(10 * minute + 5_000 - 1);
  await nextTurn();
  assert.deepEqual(attempts, []);
  t.mock.timers.tick(1);
  await until(() => attempts.length > 0, 'the request to fail');
  assert.deepEqual(attempts, [{ type: 'failed', detail: `POST to port ${port} of the pod was broken off` }]);
});
