import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { get } from 'node:https';
import { connect, type Socket } from 'node:net';
import { describe, type TestContext, test } from 'node:test';
import type { Verdict } from '../../../../agent/observe/endpoint/access.ts';
import { createConnectionShares } from '../../../../agent/observe/endpoint/connection-shares.ts';
import { createObserveServer } from '../../../../agent/observe/endpoint/http.ts';
import { peerOf } from '../../../../agent/observe/endpoint/peer.ts';
import { createRoutes } from '../../../../agent/observe/endpoint/routes.ts';
import { createSelfSigned } from '../../../../agent/observe/endpoint/self-signed.ts';
import { maxConnections, maxConnectionsOfPeer } from '../../../../agent/observe/limits.ts';
import { createMetrics } from '../../../../agent/observe/metrics/metrics.ts';
import { createSystemClock } from '../../../../agent/time/system-clock.ts';
import { eventOf, withinBound } from '../../../support/bounded.ts';
import { createLogProbe, statusSources } from '../subjects.ts';

describe('the shares of connections', () => {
  const open = () => {
    const shares = createConnectionShares({ total: 6, peer: 3 });
    const closed: string[] = [];
    const admit = (id: string): boolean => shares.admit(id, id.charAt(0), () => closed.push(id));
    return { shares, closed, admit };
  };

  test('a peer beyond its share loses its own oldest connection', () => {
    const { admit, closed } = open();
    for (const id of ['b1', 'a1', 'a2', 'a3', 'a4']) {
      assert.equal(admit(id), true);
    }
    assert.deepEqual(closed, ['a1']);
  });

  test('when all are taken, the peer with the most makes room', () => {
    const { admit, closed } = open();
    for (const id of ['b1', 'a1', 'a2', 'a3', 'b2', 'c1', 'd1']) {
      assert.equal(admit(id), true);
    }
    assert.deepEqual(closed, ['a1']);
  });

  test('a peer keeps 16 connections and all peers together 256, and for one more another is closed', () => {
    const shares = createConnectionShares({ total: maxConnections, peer: maxConnectionsOfPeer });
    const closed: string[] = [];
    const admit = (peer: number, count: number): boolean =>
      shares.admit(`${peer}-${count}`, `peer ${peer}`, () => closed.push(`${peer}-${count}`));
    for (let index = 0; index < 256; index += 1) {
      assert.equal(admit(Math.floor(index / 16), index % 16), true);
    }
    assert.deepEqual(closed, []);
    assert.equal(admit(3, 16), true);
    assert.deepEqual(closed, ['3-0'], 'its own, beyond its share');
    assert.equal(admit(16, 0), true);
    assert.deepEqual(closed, ['3-0', '0-0'], 'one of those that have most');
  });

  test('a connection on which a good token was shown stays', () => {
    const { shares, admit, closed } = open();
    for (const id of ['a1', 'a2', 'a3']) {
      admit(id);
      shares.prove(id);
    }
    assert.equal(admit('a4'), false);
    for (const id of ['b1', 'c1', 'd1', 'e1']) {
      assert.equal(admit(id), true);
    }
    assert.deepEqual(closed, ['b1']);
    shares.release('a2');
    assert.equal(admit('a5'), true);
  });
});

test('peers are IPv4 addresses and IPv6 networks', () => {
  assert.equal(peerOf('::ffff:10.0.0.1'), peerOf('10.0.0.1'));
  assert.notEqual(peerOf('10.0.0.1'), peerOf('10.0.0.2'));
  assert.equal(peerOf('2001:db8:1:2::1'), peerOf('2001:db8:1:2:3:4:5:6'));
  assert.notEqual(peerOf('2001:db8:1:2::1'), peerOf('2001:db8:1:3::1'));
  assert.equal(peerOf('fe80::1%eth0'), peerOf('fe80::2'));
  assert.notEqual(peerOf('fe80::1'), peerOf('2001:db8::1'));
  assert.equal(peerOf(undefined), '');
});

/** An endpoint beyond loopback, whose only good token is `good`; peers are addresses of 127.0.0.0/8. */
async function serve(t: TestContext) {
  const metrics = createMetrics({ version: '1' });
  const { log } = createLogProbe();
  const health = { live: () => [], ready: () => [] };
  const routes = createRoutes({ metrics, health, status: statusSources(), flags: () => [] });
  const certificate = await createSelfSigned({
    clock: createSystemClock(),
    nodeName: 'node-1',
    onFault: () => assert.fail(),
  });
  t.after(() => certificate.close());
  const access = async (token: string): Promise<Verdict> => (token === 'good' ? 'allowed' : 'unauthenticated');
  const address = { host: '127.0.0.1', port: 0 };
  const server = await createObserveServer({ address, routes, log, access });
  const tls = await createObserveServer({ address, routes, log, access, certificate });
  t.after(() => Promise.all([server.close(), tls.close()]));
  const dial = async (peer: string, port = server.address.port): Promise<Socket> => {
    const socket = connect({ port, host: '127.0.0.1', localAddress: peer });
    socket.on('error', () => undefined);
    t.after(() => socket.destroy());
    await eventOf(socket, 'connect', 'the connection');
    return socket;
  };
  return { dial, tlsPort: tls.address.port };
}

/** What an HTTP/1.1 server answers first; empty when it hangs up. */
async function scrape(socket: Socket): Promise<string> {
  socket.write('GET /flagz HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer good\r\n\r\n');
  const answered = Promise.race([once(socket, 'data'), once(socket, 'close')]);
  const answer = await withinBound(answered, 'an answer, or the end of the connection');
  return String(answer[0]).split('\r\n', 1)[0] ?? '';
}

test('whoever scrapes gets in and stays although strangers hold every connection that there is', async (t) => {
  const { dial } = await serve(t);
  const early = await dial('127.0.0.9');
  assert.equal(await scrape(early), 'HTTP/1.1 200 OK');
  for (let peer = 1; peer <= 20; peer += 1) {
    await Promise.all(Array.from({ length: 20 }, () => dial(`127.0.1.${peer}`)));
  }
  assert.equal(await scrape(early), 'HTTP/1.1 200 OK');
  assert.equal(await scrape(await dial('127.0.0.10')), 'HTTP/1.1 200 OK');
});

test('strangers that leave their TLS handshakes undone keep nobody out either', async (t) => {
  const { dial, tlsPort: port } = await serve(t);
  for (let peer = 1; peer <= 15; peer += 1) {
    await Promise.all(Array.from({ length: 20 }, () => dial(`127.0.1.${peer}`, port)));
  }
  const from = { host: '127.0.0.1', port, localAddress: '127.0.0.9', rejectUnauthorized: false, agent: false as const };
  const asking = get({ ...from, path: '/flagz', headers: { Authorization: 'Bearer good' } });
  const [response]: IncomingMessage[] = await eventOf(asking, 'response', 'the response');
  response?.resume();
  assert.equal(response?.statusCode, 200);
});

test('a connection on which nothing is asked is closed after 5 seconds, and one whose token is not good at once', async (t) => {
  const { dial } = await serve(t);
  const from = performance.now();
  const stranger = await dial('127.0.0.9');
  const silent = await dial('127.0.0.9');
  const ended = Promise.all([
    eventOf(silent, 'close', 'the silent connection to be closed'),
    eventOf(stranger, 'close', "the stranger's connection to be closed"),
  ]);
  silent.resume();
  stranger.resume();
  stranger.write('GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n');
  await ended;
  const tookMs = performance.now() - from;
  assert.ok(tookMs >= 5_000, `it was closed after ${tookMs} ms`);
});
