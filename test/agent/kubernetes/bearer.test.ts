/** Calls on behalf of a bearer of a token carry that token, and nothing that says who the agent is. */
import assert from 'node:assert/strict';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { TLSSocket } from 'node:tls';
import { inspect } from 'node:util';
import { createApiClient } from '../../../agent/kubernetes/client.ts';
import { eventOf } from '../../support/bounded.ts';
import { makeDirectory } from '../../support/directory.ts';
import { clientOf, fixedIdentity, makeCertificate, sendJson, sendStatus, startLoopback } from './loopback.ts';

const path = '/apis/certificates.k8s.io/v1/certificatesigningrequests';
const bearer = { account: 'service account shop/web', token: () => 'token-of-the-pod' };
const create = { method: 'POST', path, body: {} } as const;

/** A server that asks for a client certificate, as the API server does, and notes whose it was. */
async function startCurious(t: TestContext) {
  const { cert, key } = makeCertificate(makeDirectory(t));
  const clients: unknown[] = [];
  const server = createServer({ cert, key, requestCert: true, rejectUnauthorized: false }, (request, response) => {
    assert.ok(request.socket instanceof TLSSocket, 'the connection is TLS');
    clients.push([request.headers.authorization, request.socket.getPeerCertificate().subject?.CN]);
    sendJson(response, 200, {});
  });
  server.listen(0, '127.0.0.1');
  await eventOf(server, 'listening', 'the server to listen');
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  return { clients, ca: cert, url: `https://127.0.0.1:${port}` };
}

test("a bearer's call is made without the agent's token, impersonation and headers", async (t) => {
  const server = await startLoopback(t, ({ response }) => sendJson(response, 200, {}));
  const headers = { Authorization: 'Bearer own', 'Impersonate-User': 'somebody' };
  const identity = fixedIdentity({ server: server.url, tls: { ca: server.ca }, headers });
  const client = clientOf(t, server, { identity, impersonateNode: 'worker-1' });
  await client.request({ ...create, as: 'node', bearer });
  await client.request({ ...create, as: 'node' });
  assert.deepEqual(
    server.received.map((each) => [each.headers.authorization, each.headers['impersonate-user']]),
    [
      ['Bearer token-of-the-pod', undefined],
      ['Bearer own', 'system:node:worker-1'],
    ],
  );
});

test("the agent's client certificate does not go along, since it would count for more than the token", async (t) => {
  const server = await startCurious(t);
  const { cert, key } = makeCertificate(makeDirectory(t));
  const client = createApiClient({
    identity: fixedIdentity({ server: server.url, tls: { ca: server.ca, cert, key }, headers: {} }),
  });
  t.after(() => client.close());
  await client.request(create);
  await client.request({ ...create, bearer });
  await client.request(create);
  assert.deepEqual(server.clients, [
    [undefined, 'loopback'],
    ['Bearer token-of-the-pod', undefined],
    [undefined, 'loopback'],
  ]);
});

test('bearers share a kept connection', async (t) => {
  const server = await startLoopback(t, ({ response }) => sendJson(response, 200, {}));
  const client = clientOf(t, server);
  await client.request({ ...create, bearer });
  await client.request({ ...create, bearer: { account: 'another', token: () => 'another-token' } });
  assert.equal(server.connections(), 1);
  assert.equal(server.received[1]?.headers.authorization, 'Bearer another-token');
});

test("a refused token names its account, and the agent's own credentials are not read again for it", async (t) => {
  const server = await startLoopback(t, ({ response }) => sendStatus(response, 401, 'Unauthorized', 'no'));
  let renewals = 0;
  const own = fixedIdentity({ server: server.url, tls: { ca: server.ca }, headers: {} });
  const identity = {
    ...own,
    async renew() {
      renewals += 1;
      return true;
    },
  };
  const client = clientOf(t, server, { identity });
  await assert.rejects(client.request({ ...create, bearer }), (error: unknown) => {
    assert.match(inspect(error), /credentials of service account shop\/web \(create certificatesigningrequests/);
    assert.doesNotMatch(inspect(error, { depth: 10, showHidden: true }), /token-of-the-pod/);
    return true;
  });
  assert.equal(renewals, 0);
  assert.equal(server.received.length, 1);
});

test('whoever prints a bearer does not print the token', () => {
  assert.doesNotMatch(inspect(bearer, { showHidden: true }) + JSON.stringify(bearer), /token-of-the-pod/);
});

test("a pause that the server asks of a pod's account is none of the agent and the other pods", async (t) => {
  const server = await startLoopback(t, ({ response, headers }) =>
    headers.authorization === 'Bearer token-of-the-pod'
      ? sendJson(response, 429, {}, { 'Retry-After': '60' })
      : sendJson(response, 200, {}),
  );
  const client = clientOf(t, server);
  await assert.rejects(client.request({ ...create, bearer }), { retryAfterMs: 60_000 });
  assert.equal(client.load().pausedForMs, 0);
});
