/** A program is told of new files: once a change, after they are in place, at its own pod's address and nowhere else. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { createServer, type RequestListener } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { createServer as createTcpServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { inspect, promisify } from 'node:util';
import { AgentError } from '../../../agent/base/errors.ts';
import type { PodIdentity } from '../../../agent/lifecycle/ports.ts';
import { addressOf } from '../../../agent/uptake/address.ts';
import { attemptSpacingMs, maxAttempts, maxAttemptsUnderWay, maxSlowUnderWay } from '../../../agent/uptake/limits.ts';
import type { HttpReload } from '../../../volumes/declaration/reload.ts';
import { boundMs, until } from '../../support/bounded.ts';
import { createRootAuthority } from '../../support/certificates.ts';
import { anchors } from '../../volumes/support.ts';
import { type CrowdOptions, createCrowd, createSetting, listening, type Setting } from './parts.ts';

const minute = 60_000;

const listen = (t: TestContext, onRequest: RequestListener): Promise<number> => listening(t, createServer(onRequest));

/** A server that counts what it is asked, and answers well. */
async function listenCounting(t: TestContext) {
  const asked = { port: 0, times: 0 };
  asked.port = await listen(t, (_request, response) => {
    asked.times += 1;
    response.writeHead(200).end();
  });
  return asked;
}

function asking(port: number, more: Partial<HttpReload> = {}) {
  return { reload: { http: { port, path: '/-/reload', method: 'POST', scheme: 'http', ...more } as const } };
}

/** Programs of many pods, and what is heard of them. */
function createTold(t: TestContext, options?: CrowdOptions) {
  const { clock, notices, uptakeOf } = createCrowd(t, options);
  const order = (uid: string, port: number): void => uptakeOf(uid, asking(port)).settled();
  const told = (): readonly string[] =>
    notices.map((notice) => `${notice.uid} ${notice.type}${notice.type === 'notReloaded' ? `: ${notice.detail}` : ''}`);
  return { clock, told, order };
}

/** Lets attempt after attempt be made until no other is planned. */
async function exhaust({ clock, noticed, notices }: Setting): Promise<void> {
  for (let count = 1; count <= maxAttempts; count += 1) {
    await noticed(count);
    const last = notices.at(-1);
    if (last?.type !== 'notReloaded' || last.retryAt === undefined) {
      return;
    }
    clock.advance(2 * minute);
  }
}

test("the first set of files is nobody's news, and each change after it is told once", async (t) => {
  const requests: string[] = [];
  const port = await listen(t, (request, response) => {
    requests.push(
      `${request.method} ${request.url} ${request.headers.host} ${request.headers['content-length'] ?? ''}`,
    );
    response.writeHead(204).end();
  });
  const setting = await createSetting(t, asking(port));
  await setting.change();
  setting.clock.advance(minute);
  assert.deepEqual(setting.asked, [], 'nothing is asked for the first set');
  await setting.change();
  await setting.noticed(1);
  assert.deepEqual(setting.notices, [
    { type: 'reloaded', way: 'http', attempts: 1, detail: `POST to port ${port} of the pod was answered with 204` },
  ]);
  assert.deepEqual(requests, [`POST /-/reload 127.0.0.1:${port} 0`]);
  setting.uptake.settled();
  setting.clock.advance(minute);
  assert.equal(setting.clock.alarms(), 0, 'nothing is planned when nothing has changed');
  await setting.change();
  await setting.noticed(2);
  assert.equal(requests.length, 2);
  assert.deepEqual(setting.faults, []);
});

test('a restart of the agent tells nobody twice, and leaves out nothing that was due', async (t) => {
  const asked = await listenCounting(t);
  const setting = await createSetting(t, asking(asked.port));
  await setting.change();
  await setting.change();
  await setting.noticed(1);
  setting.uptake.stop();
  const second = setting.restart();
  second.settled();
  setting.clock.advance(minute);
  assert.equal(setting.asked.length, 1, 'what was told before the restart is not told again');
  second.stop();
  // A change of which this run of the agent hears nothing: it dies over it.
  await setting.volume.project(new Map([[0, anchors(77)]]));
  setting.restart().settled();
  setting.clock.advance(0);
  await setting.noticed(2);
  assert.equal(asked.times, 2);
});

test('a program that refuses is asked again with growing pauses, and given up until the next change', async (t) => {
  let status = 503;
  const port = await listen(t, (_request, response) => void response.writeHead(status).end());
  const setting = await createSetting(t, asking(port));
  await setting.change();
  await setting.change();
  await exhaust(setting);
  const detail = `POST to port ${port} of the pod was answered with 503`;
  const pauses = setting.notices.map((notice, index) => {
    assert.deepEqual(
      { ...notice, retryAt: 0 },
      { type: 'notReloaded', way: 'http', attempts: index + 1, detail, retryAt: 0 },
    );
    return 'retryAt' in notice ? 'again' : 'given up';
  });
  assert.deepEqual(pauses, [...Array.from({ length: maxAttempts - 1 }, () => 'again'), 'given up']);
  assert.equal(setting.clock.alarms(), 0, 'nothing more is planned');
  const restarted = setting.restart();
  restarted.settled();
  assert.equal(setting.clock.alarms(), 0, 'nor by the next run of the agent');
  status = 200;
  setting.clock.advance(attemptSpacingMs);
  await setting.change();
  await setting.noticed(maxAttempts + 1);
  assert.equal(setting.notices.at(-1)?.type, 'reloaded');
});

test('changes that follow each other fast are told of together', async (t) => {
  const asked = await listenCounting(t);
  const setting = await createSetting(t, asking(asked.port));
  await setting.change();
  await setting.change();
  await setting.noticed(1);
  for (let count = 0; count < 20; count += 1) {
    await setting.change();
    setting.clock.advance(100);
  }
  assert.equal(asked.times, 1, 'the next one waits');
  setting.clock.advance(attemptSpacingMs);
  await setting.noticed(2);
  setting.clock.advance(minute);
  assert.equal(asked.times, 2);
  assert.equal(setting.clock.alarms(), 0, 'nothing is left to be told');
});

test('a redirect is not followed, wherever it leads', async (t) => {
  let elsewhere = 0;
  const other = await listen(t, (_request, response) => {
    elsewhere += 1;
    response.writeHead(200).end();
  });
  for (const status of [301, 302, 307, 308]) {
    const location = `http://127.0.0.1:${other}/`;
    const port = await listen(t, (_request, response) => void response.writeHead(status, { location }).end());
    const setting = await createSetting(t, asking(port));
    await setting.change();
    await setting.change();
    await setting.noticed(1);
    const [notice] = setting.notices;
    assert.ok(notice?.type === 'notReloaded', inspect(notice));
    assert.equal(
      notice.detail,
      `POST to port ${port} of the pod was answered with ${status}, and no redirect is followed`,
    );
  }
  assert.equal(elsewhere, 0);
});

test('a proxy that the environment names is not asked', async (t) => {
  let proxied = 0;
  const proxy = await listen(t, (_request, response) => {
    proxied += 1;
    response.writeHead(200).end();
  });
  const port = await listen(t, (_request, response) => void response.writeHead(204).end());
  const program = `
    import { ask } from ${JSON.stringify(join(import.meta.dirname, '../../../agent/uptake/ask.ts'))};
    const reload = { port: ${port}, path: '/', method: 'POST', scheme: 'http' };
    const result = await ask({ ip: '127.0.0.1', reload, timeoutMs: 30_000, signal: new AbortController().signal });
    console.log(result.type, result.detail);`;
  const environment = {
    NODE_USE_ENV_PROXY: '1',
    HTTP_PROXY: `http://127.0.0.1:${proxy}`,
    http_proxy: `http://127.0.0.1:${proxy}`,
  };
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', program], {
    env: { ...process.env, ...environment },
    timeout: boundMs,
  });
  assert.equal(stdout, `done POST to port ${port} of the pod was answered with 204\n`);
  assert.equal(proxied, 0);
});

test('no answer of a hostile pod is read, kept or waited for', async (t) => {
  const flood = Buffer.alloc(64 * 1024, 'x');
  const pour = (socket: Socket, chunk: Buffer): void => {
    while (!socket.destroyed && socket.write(chunk)) {
      // On, until the other side is slower.
    }
    socket.once('drain', () => pour(socket, chunk));
  };
  const cases: Readonly<Record<string, readonly [(socket: Socket) => void, RegExp]>> = {
    'it never answers': [() => undefined, /was not answered within 0\.5 s$/],
    'its answer comes a byte at a time': [
      (socket) => {
        socket.write('HTTP/1.1 200 OK\r\nX: ');
        const timer = setInterval(() => socket.write('a'), 100);
        socket.on('close', () => clearInterval(timer));
      },
      /was not answered within 0\.5 s$/,
    ],
    'its head has no end': [
      (socket) => {
        socket.write('HTTP/1.1 200 OK\r\nX: ');
        pour(socket, flood);
      },
      /failed: HPE_HEADER_OVERFLOW$/,
    ],
    'it speaks no HTTP': [(socket) => pour(socket, flood), /failed: HPE_/],
    'it asks for patience for ever': [
      (socket) => pour(socket, Buffer.from('HTTP/1.1 102 Processing\r\n\r\n'.repeat(2_000))),
      /answered with something else than a response$/,
    ],
    'it wants to speak another protocol': [
      (socket) => socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n'),
      /answered with something else than a response$/,
    ],
    'it says something that would be a log line': [
      (socket) => socket.end('HTTP/1.1 500 root: password=hunter2\r\n\r\n'),
      /was answered with 500$/,
    ],
    'it hangs up': [(socket) => socket.destroy(), /failed: ECONNRESET$/],
  };
  for (const [name, [onConnection, expected]] of Object.entries(cases)) {
    const port = await listening(t, createTcpServer(onConnection));
    const setting = await createSetting(t, asking(port), {
      attemptMs: /not answered/.test(expected.source) ? 500 : boundMs,
    });
    await setting.change();
    await setting.change();
    await setting.noticed(1);
    const [notice] = setting.notices;
    assert.ok(notice?.type === 'notReloaded', `${name}: ${inspect(notice)}`);
    assert.match(notice.detail, expected, name);
    setting.uptake.stop();
  }
});

test('an answer without an end has told the program, and its body is not read', async (t) => {
  let poured = 0;
  const port = await listening(
    t,
    createTcpServer((socket) => {
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n');
      const pour = (): void => {
        poured += 1;
        if (!socket.destroyed && socket.write(Buffer.alloc(64 * 1024))) {
          setImmediate(pour);
        }
      };
      pour();
    }),
  );
  const setting = await createSetting(t, asking(port));
  await setting.change();
  await setting.change();
  await setting.noticed(1);
  assert.equal(setting.notices[0]?.type, 'reloaded');
  assert.ok(poured < 1_000, `${poured} pieces of 64 KiB were taken`);
});

test('a program that serves TLS is told whatever certificate it shows', async (t) => {
  const authority = await createRootAuthority('CN=nobody');
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const spki = publicKey.export({ type: 'spki', format: 'der' });
  const cert = await authority.issueLeaf({
    spki,
    notAfter: Date.parse('2020-01-02'),
    notBefore: Date.parse('2020-01-01'),
  });
  const key = privateKey.export({ type: 'pkcs8', format: 'pem' });
  const server = createTlsServer({ key, cert }, (_request, response) => void response.writeHead(200).end());
  const port = await listening(t, server);
  const setting = await createSetting(t, asking(port, { scheme: 'https' }));
  await setting.change();
  await setting.change();
  await setting.noticed(1);
  assert.equal(setting.notices[0]?.type, 'reloaded', inspect(setting.notices));
});

test('a pod without an address of its own is not asked anywhere else', async (t) => {
  const cases: readonly (readonly [Partial<PodIdentity>, boolean, RegExp])[] = [
    [{ podIPs: [] }, true, /the pod has no address yet$/],
    [{ podIPs: ['127.0.0.1'] }, false, /127\.0\.0\.1, is none that a pod has/],
    [{ podIPs: ['169.254.169.254'] }, false, /169\.254\.169\.254, is none that a pod has/],
  ];
  for (const [identity, isRetried, expected] of cases) {
    const setting = await createSetting(t, asking(1), { identify: () => identity, addressOf });
    await setting.change();
    await setting.change();
    await setting.noticed(1);
    const [notice] = setting.notices;
    assert.ok(notice?.type === 'notReloaded', inspect(notice));
    assert.match(notice.detail, expected);
    assert.equal(notice.retryAt !== undefined, isRetried, notice.detail);
    setting.uptake.stop();
  }
});

test('nobody is asked for a pod that has ended or is gone', async (t) => {
  const gone = (): never => {
    throw new AgentError('PodGone', 'it does not exist', { actor: 'nobody' });
  };
  for (const identify of [gone, () => ({ ended: true })]) {
    const setting = await createSetting(t, asking(1), { identify });
    await setting.change();
    await setting.change();
    await until(() => setting.asked.length === 1, 'the pod to be looked up');
    await nextTurn();
    setting.clock.advance(60 * minute);
    assert.deepEqual(setting.notices, []);
    assert.equal(setting.asked.length, 1);
  }
});

test('an attempt that is under way when the volume goes is called off', async (t) => {
  const port = await listening(
    t,
    createTcpServer(() => undefined),
  );
  const setting = await createSetting(t, asking(port));
  await setting.change();
  await setting.change();
  await until(() => setting.asked.length === 1, 'an attempt');
  setting.uptake.stop();
  await nextTurn();
  setting.clock.advance(60 * minute);
  assert.deepEqual(setting.notices, []);
  assert.equal(setting.clock.alarms(), 0, 'nothing is left of it');
});

test('many pods that hang hold up another for no longer than their turns', async (t) => {
  const hanging = await listening(
    t,
    createTcpServer((socket) => void setTimeout(() => socket.destroy(), 300)),
  );
  const port = await listen(t, (_request, response) => void response.writeHead(200).end());
  const { clock, told, order } = createTold(t);
  for (let count = 0; count < 3 * maxAttemptsUnderWay; count += 1) {
    order('hostile', hanging);
  }
  order('victim', port);
  clock.advance(0);
  await until(() => told().includes('victim reloaded'), 'the victim to be told');
  assert.ok(told().length <= maxAttemptsUnderWay + 1, `${told().length - 1} attempts of another pod came first`);
});

test('a hundred pods that accept and never answer hold up another for a moment each, and not until each has had its time', async (t) => {
  let connections = 0;
  const hanging = await listening(
    t,
    createTcpServer(() => {
      connections += 1;
    }),
  );
  const asked = await listenCounting(t);
  const { clock, told, order } = createTold(t, { turnMs: 100 });
  for (let count = 0; count < 100; count += 1) {
    order(`slow-${count}`, hanging);
  }
  order('ordinary', asked.port);
  clock.advance(0);
  await until(() => told().includes('ordinary reloaded'), 'the ordinary pod to be told');
  await until(() => connections === 100, 'all others to be asked too');
  await until(() => told().length > 100 - maxSlowUnderWay, 'those to end that had most time');
  const [first] = told().filter((line) => line.startsWith('slow'));
  assert.match(
    first ?? '',
    /^slow-0 notReloaded: the pod did not answer within \d+\.\d s, and more slow pods wait than the agent waits for$/,
  );
  assert.equal(asked.times, 1);
});

test('8 attempts are under way, and 32 of one pod wait; one more counts as failed', async (t) => {
  let underWay = 0;
  const { clock, told, order } = createTold(t, {
    identify: () => {
      underWay += 1;
      return new Promise(() => undefined);
    },
  });
  for (let count = 0; count < 8 + 32; count += 1) {
    order('one', 1);
  }
  clock.advance(0);
  await until(() => underWay >= 8, 'attempts to begin');
  await nextTurn();
  assert.deepEqual([underWay, told()], [8, []]);
  order('one', 1);
  clock.advance(0);
  const why = 'are waiting already; the next is taken when one is done';
  await until(() => told().length > 0, 'an attempt to fail');
  assert.deepEqual(told(), [`one notReloaded: 32 attempts to tell programs of new files of this pod ${why}`]);
});

test('2048 attempts of all pods wait, and one more counts as failed', async (t) => {
  const { clock, told, order } = createTold(t, { identify: () => new Promise(() => undefined) });
  for (let count = 0; count < 8 + 2_048; count += 1) {
    order(`pod-${count}`, 1);
    clock.advance(0);
  }
  await nextTurn();
  assert.deepEqual(told(), []);
  order('last', 1);
  clock.advance(0);
  await until(() => told().length > 0, 'an attempt to fail');
  assert.match(told().join('\n'), /^last notReloaded: .*2048/);
});

test('an attempt follows the last one after 5 seconds, and no sooner', async (t) => {
  const asked = await listenCounting(t);
  const setting = await createSetting(t, asking(asked.port));
  await setting.change();
  await setting.change();
  await setting.noticed(1);
  await setting.change();
  setting.clock.advance(4_999);
  await nextTurn();
  assert.equal(setting.asked.length, 1, 'the pod is looked up before each attempt');
  setting.clock.advance(1);
  await setting.noticed(2);
  assert.equal(asked.times, 2);
});

test('an attempt ends after 10 seconds, and no sooner', async (t) => {
  const connected = Promise.withResolvers<void>();
  const port = await listening(
    t,
    createTcpServer(() => connected.resolve()),
  );
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const setting = await createSetting(t, asking(port));
  await setting.change();
  await setting.change();
  await connected.promise;
  t.mock.timers.tick(9_999);
  await nextTurn();
  assert.deepEqual(setting.notices, []);
  t.mock.timers.tick(1);
  await setting.noticed(1);
  assert.match(inspect(setting.notices), /'notReloaded'.*was not answered within 10 s'/s);
});

test("the head of a pod's answer may have 8 KiB, as the parser counts it, and no more", async (t) => {
  // It counts the words of the status, and names and values of the fields: `OK`, `X` and the value.
  for (const [bytes, type] of [
    [8_191, 'reloaded'],
    [8_192, 'notReloaded'],
  ] as const) {
    const head = `HTTP/1.1 200 OK\r\nX: ${'a'.repeat(bytes - 'OKX'.length)}\r\n\r\n`;
    const port = await listening(
      t,
      createTcpServer((socket) => void socket.write(head)),
    );
    const setting = await createSetting(t, asking(port));
    await setting.change();
    await setting.change();
    await setting.noticed(1);
    const [notice] = setting.notices;
    assert.equal(notice?.type, type, inspect(notice));
    assert.match(inspect(notice), type === 'reloaded' ? /answered with 200/ : /failed: HPE_HEADER_OVERFLOW/);
  }
});
