import assert from 'node:assert/strict';
import { Agent, request } from 'node:http';
import { connect } from 'node:net';
import { describe, type TestContext, test } from 'node:test';
import { createObserveServer } from '../../../../agent/observe/endpoint/http.ts';
import { createRoutes } from '../../../../agent/observe/endpoint/routes.ts';
import type { Health, HealthCheck } from '../../../../agent/observe/health.ts';
import type { Metrics } from '../../../../agent/observe/metrics/metrics.ts';
import { createMetrics } from '../../../../agent/observe/metrics/metrics.ts';
import { eventOf } from '../../../support/bounded.ts';
import { createLogProbe, statusSources } from '../subjects.ts';

async function open(t: TestContext, given: { readonly health?: Partial<Health>; readonly metrics?: Metrics } = {}) {
  const metrics = given.metrics ?? createMetrics({ version: '1' });
  const { log, entries } = createLogProbe();
  const health: Health = { live: () => [], ready: () => [], ...given.health };
  const routes = createRoutes({
    metrics,
    health,
    status: statusSources(),
    flags: () => ['--log-level=info', '--burst=50'],
  });
  const server = await createObserveServer({ address: { host: '127.0.0.1', port: 0 }, routes, log });
  t.after(() => server.close());
  const { host, port } = server.address;
  const get = async (path: string, init?: RequestInit) => {
    const response = await fetch(`http://${host}:${port}${path}`, init);
    return { status: response.status, headers: response.headers, body: await response.text() };
  };
  return { server, entries, get, host, port };
}

describe('the HTTP endpoint', () => {
  test('serves the metrics', async (t) => {
    const { get } = await open(t);
    const { status, headers, body } = await get('/metrics');
    assert.equal(status, 200);
    assert.equal(headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8');
    assert.equal(headers.get('cache-control'), 'no-store');
    assert.match(body, /^podcert_agent_build_info\{/m);
  });

  test('answers ok to probes when all is well, and lists the checks when asked', async (t) => {
    const ready: HealthCheck[] = [
      { name: 'csi-socket', ok: true },
      { name: 'watch', ok: true, message: 'not shown' },
    ];
    const { get } = await open(t, { health: { ready: () => ready, live: () => [{ name: 'clock', ok: true }] } });
    for (const path of ['/livez', '/healthz', '/readyz']) {
      const { status, body } = await get(path);
      assert.deepEqual([status, body], [200, 'ok\n']);
    }
    assert.equal((await get('/readyz?verbose')).body, '[+]csi-socket ok\n[+]watch ok\nreadyz check passed\n');
    assert.equal((await get('/livez?verbose=true')).body, '[+]clock ok\nlivez check passed\n');
  });

  test('answers 503 with the reason when a check fails, and only to the probe it concerns', async (t) => {
    const ready: HealthCheck[] = [
      { name: 'csi-socket', ok: true },
      { name: 'watch', ok: false, message: 'the API server has not answered yet' },
      { name: 'registration', ok: false },
    ];
    const { get } = await open(t, { health: { ready: () => ready } });
    const { status, body } = await get('/readyz');
    assert.equal(status, 503);
    assert.equal(
      body,
      '[+]csi-socket ok\n[-]watch failed: the API server has not answered yet\n[-]registration failed: no reason given\nreadyz check failed\n',
    );
    assert.equal((await get('/livez')).status, 200);
  });

  test('lists the options in force', async (t) => {
    const { get } = await open(t);
    assert.equal((await get('/flagz')).body, '--log-level=info\n--burst=50\n');
  });

  test('answers under names of this machine only, so that no web site reads it through a browser', async (t) => {
    const { host, port } = await open(t);
    const statusFor = async (name: string): Promise<number | undefined> => {
      const outgoing = request({ host, port, path: '/livez', headers: { Host: name } }).end();
      const [response] = await eventOf(outgoing, 'response', 'the response');
      response.resume();
      return response.statusCode;
    };
    for (const name of ['localhost', `localhost:${port}`, '127.0.0.1:9808', '[::1]:9808']) {
      assert.equal(await statusFor(name), 200, name);
    }
    for (const name of ['evil.example', '127.0.0.1.evil.example', '[::2]', '10.0.0.1:9808']) {
      assert.equal(await statusFor(name), 421, name);
    }
  });

  test('answers HEAD like GET, without the body', async (t) => {
    const { get } = await open(t);
    const { status, headers, body } = await get('/livez', { method: 'HEAD' });
    assert.deepEqual([status, headers.get('content-length'), body], [200, '3', '']);
  });

  test('knows no other path and no other method, and does not read what is sent to it', async (t) => {
    const { get } = await open(t);
    for (const path of ['/', '/metrics/', '/statusz/', '//livez', '/livez/../metrics%00']) {
      assert.equal((await get(path)).status, 404, path);
    }
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS']) {
      const { status, headers } = await get('/metrics', { method, ...(method === 'POST' ? { body: 'x' } : {}) });
      assert.deepEqual([status, headers.get('allow'), headers.get('connection')], [405, 'GET, HEAD', 'close']);
    }
  });

  test('reads a head of 8 KiB, as the parser counts it, and refuses a longer one', async (t) => {
    const { host, port } = await open(t);
    // It counts the path, and names and values of the fields.
    const counted = ['/livez', 'Host', 'localhost', 'X'].join('').length;
    const statusOf = async (bytes: number): Promise<string> => {
      const socket = connect({ host, port });
      t.after(() => socket.destroy());
      socket.write(`GET /livez HTTP/1.1\r\nHost: localhost\r\nX: ${'x'.repeat(bytes - counted)}\r\n\r\n`);
      const [answer] = await eventOf(socket, 'data', 'an answer');
      return String(answer).split(' ')[1] ?? '';
    };
    assert.deepEqual([await statusOf(8_191), await statusOf(8_192)], ['200', '431']);
  });

  test('answers 500 when something behind it fails, says why in the log only, and goes on', async (t) => {
    let isBroken = true;
    const { get, entries } = await open(t, {
      health: {
        ready: () => {
          if (isBroken) {
            throw new Error('secret detail');
          }
          return [];
        },
      },
    });
    const { status, body } = await get('/readyz?verbose');
    assert.deepEqual([status, body], [500, 'internal error\n']);
    assert.deepEqual(
      entries().map(({ message, path, error }) => [message, path, error]),
      [['a request to the HTTP endpoint failed', '/readyz', 'secret detail']],
    );
    isBroken = false;
    assert.equal((await get('/readyz')).status, 200);
  });

  test('renders once for scrapes that come at the same time, and anew for the next', async (t) => {
    const metrics = createMetrics({ version: '1' });
    const gate = Promise.withResolvers<void>();
    let renderings = 0;
    let probes = 0;
    const counting: Metrics = {
      ...metrics,
      render: async () => {
        renderings += 1;
        await gate.promise;
        return metrics.render();
      },
    };
    // A probe sent behind a scrape on the same connection is handled after it: with both probes both scrapes are there.
    const live = (): readonly HealthCheck[] => {
      probes += 1;
      if (probes === 2) {
        gate.resolve();
      }
      return [];
    };
    const { host, port, get } = await open(t, { metrics: counting, health: { live } });
    const line = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`;
    const sockets = [connect(port, host), connect(port, host)];
    for (const socket of sockets) {
      t.after(() => socket.destroy());
      socket.write(line('/metrics') + line('/livez'));
    }
    for (const [chunk] of await Promise.all(sockets.map((socket) => eventOf(socket, 'data', 'the first output')))) {
      assert.match(String(chunk), /^HTTP\/1\.1 200/);
    }
    assert.equal(renderings, 1);
    assert.equal((await get('/metrics')).status, 200);
    assert.equal(renderings, 2);
  });

  test('closes at once when nothing is under way, although connections are kept alive', async (t) => {
    const { server, host, port } = await open(t);
    const agent = new Agent({ keepAlive: true });
    t.after(() => agent.destroy());
    const outgoing = request({ host, port, path: '/livez', agent }).end();
    const [response] = await eventOf(outgoing, 'response', 'the response');
    response.resume();
    await eventOf(response, 'end', 'the end of the response');
    await server.close();
    await server.close();
    await assert.rejects(fetch(`http://${host}:${port}/livez`));
  });

  test('closes although a client sends its request very slowly', async (t) => {
    const { server, host, port } = await open(t);
    const socket = connect(port, host);
    socket.on('error', () => undefined);
    await eventOf(socket, 'connect', 'the connection');
    socket.write('GET /metrics HTTP/1.1\r\n');
    const closed = eventOf(socket, 'close', 'the connection to be closed');
    await fetch(`http://${host}:${port}/livez`);
    await server.close();
    await closed;
  });

  test('says why it cannot start', async (t) => {
    const { host, port } = await open(t);
    const { log } = createLogProbe();
    await assert.rejects(createObserveServer({ address: { host, port }, routes: new Map(), log }), {
      code: 'EADDRINUSE',
    });
  });

  test('serves many scrapes without keeping anything', async (t) => {
    const { get } = await open(t);
    // What the runtime says of itself comes and goes: kinds of collections, of handles.
    const series = async (): Promise<number> => (await get('/metrics')).body.match(/^podcert_/gm)?.length ?? 0;
    const before = await series();
    for (let count = 0; count < 200; count += 1) {
      await get('/metrics');
    }
    assert.equal(await series(), before);
  });
});
