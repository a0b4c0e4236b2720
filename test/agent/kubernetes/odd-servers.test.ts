/** What a server, or whoever sits between it and the agent, may send in place of a reply: none of it costs more than the call's own time. */
import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { pageDecoder } from '../../../agent/kubernetes/envelopes.ts';
import { decodeObject } from '../../../agent/kubernetes/schemas.ts';
import { until, withinBound } from '../../support/bounded.ts';
import { createManualClock } from '../../support/manual-clock.ts';
import { clientOf, openWatch, sendJson, startLoopback } from './loopback.ts';

const pods = '/api/v1/namespaces/shop/pods';
const fine = '/version';

/** Writes what the server's own library would not. */
function sendRaw({ socket }: ServerResponse, text: string): void {
  socket?.write(text);
}

/** Sends a piece again and again, until the connection is closed. */
function sendForEver(response: ServerResponse, send: () => void): void {
  const timer = setInterval(send, 5);
  response.on('close', () => clearInterval(timer));
}

test('a server that changes to another protocol ends the call, and its place is free again', async (t) => {
  const server = await startLoopback(t, ({ response, path }) =>
    path === fine
      ? sendJson(response, 200, {})
      : sendRaw(response, 'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n'),
  );
  const client = clientOf(t, server, { concurrency: 1 });
  await assert.rejects(client.request({ method: 'GET', path: pods }), /changed to another protocol/);
  await client.request({ method: 'GET', path: fine });
  assert.equal(client.load().active, 0);
});

test('64 early heads are passed over, and a server that sends more of them gets no further', async (t) => {
  const early = 'HTTP/1.1 103 Early Hints\r\n\r\n';
  const server = await startLoopback(t, ({ response, path }) => {
    sendRaw(response, early.repeat(path === fine ? 64 : 65));
    sendJson(response, 200, {});
  });
  const client = clientOf(t, server);
  await client.request({ method: 'GET', path: fine });
  await assert.rejects(client.request({ method: 'GET', path: pods }), /more than 64 early heads/);
});

test('a redirect is an error, and nothing is sent to where it leads', async (t) => {
  const other = await startLoopback(t, ({ response }) => sendJson(response, 200, {}));
  const headers = { Location: `${other.url}${pods}` };
  const server = await startLoopback(t, ({ response, query }) =>
    sendJson(response, Number(query.get('status')), {}, headers),
  );
  const client = clientOf(t, server);
  for (const status of ['301', '302', '303', '307', '308']) {
    await assert.rejects(
      client.request({ method: 'GET', path: pods, query: { status } }),
      new RegExp(`HTTP ${status}`),
    );
  }
  assert.equal(other.connections(), 0);
});

test('a reply that never ends, in blanks or in a value, ends the call at its time limit', async (t) => {
  const server = await startLoopback(t, ({ response, query }) => {
    openWatch(response);
    response.write(query.get('start'));
    sendForEver(response, () => response.write(' '.repeat(1000)));
  });
  const client = clientOf(t, server, { timeoutMs: 200 });
  for (const start of ['\n', '{"passedOver":"', '{"kind":"']) {
    await assert.rejects(client.request({ method: 'GET', path: pods, query: { start } }), /not complete within 200 ms/);
  }
});

test('a list may take longer than another reply as long as items come, though not for ever', async (t) => {
  const server = await startLoopback(t, ({ response }) => {
    openWatch(response);
    response.write('{"items":[{}');
  });
  const clock = createManualClock();
  const read = Promise.withResolvers<void>();
  const client = clientOf(t, server, { timeoutMs: 40, clock });
  const items: unknown[] = [];
  const list = client.request({
    method: 'GET',
    path: pods,
    decode: pageDecoder(decodeObject),
    onItem: (item) => items.push(item) === 1 && read.resolve(),
  });
  void list.catch(read.reject);
  const { response } = await server.nth(1);
  await withinBound(read.promise, 'the first item');
  for (let count = 2; count <= 11; count += 1) {
    clock.advance(39);
    response.write(',{}');
    await until(() => items.length === count, `item ${count}`);
  }
  const ended = assert.rejects(list, /not complete within 400 ms/);
  clock.advance(10);
  await ended;
});

test('a reply in an encoding that nobody asked for is not unfolded', async (t) => {
  const bomb = gzipSync(JSON.stringify({ kind: 'x'.repeat(1_000_000) }));
  const server = await startLoopback(t, ({ response }) => {
    response.writeHead(200, { 'Content-Type': 'application/json', 'Content-Encoding': 'gzip' });
    response.end(bomb);
  });
  await assert.rejects(clientOf(t, server).request({ method: 'GET', path: pods }), /is not JSON/);
  assert.equal(server.received[0]?.headers['accept-encoding'], undefined);
});
