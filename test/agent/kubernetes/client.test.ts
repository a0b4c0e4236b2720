import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { inspect } from 'node:util';
import type { FinishedCall } from '../../../agent/base/call.ts';
import { AgentError } from '../../../agent/base/errors.ts';
import { createApiClient } from '../../../agent/kubernetes/client.ts';
import { apiFailureOf } from '../../../agent/kubernetes/failure.ts';
import { readFrames } from '../../../agent/kubernetes/frames.ts';
import type { Credentials, Identity } from '../../../agent/kubernetes/identity.ts';
import { createTransport, readBody } from '../../../agent/kubernetes/transport.ts';
import { createMonotonicClock } from '../../../agent/time/monotonic-clock.ts';
import { asSent } from '../../../sandbox/base/client.ts';
import { eventOf, until } from '../../support/bounded.ts';
import { makeDirectory } from '../../support/directory.ts';
import { createManualClock } from '../../support/manual-clock.ts';
import {
  clientOf,
  fixedIdentity,
  identityFor,
  makeCertificate,
  openWatch,
  sendJson,
  sendStatus,
  startLoopback,
} from './loopback.ts';

const pods = '/api/v1/namespaces/shop/pods';

test('calls share a kept connection and carry credentials, user agent and JSON', async (t) => {
  const server = await startLoopback(t, ({ response, body }) => sendJson(response, 200, { body, unknown: ['kept'] }));
  const client = clientOf(t, server, { userAgent: 'pod-certificate-agent/1.2.3' });
  const reply = await client.request({
    decode: asSent<unknown>,
    method: 'POST',
    path: pods,
    body: { a: 'ü' },
    query: { x: 'a b', y: undefined },
  });
  assert.deepEqual(reply, { body: '{"a":"ü"}', unknown: ['kept'] });
  await client.request({ method: 'PATCH', path: pods, body: {}, contentType: 'application/merge-patch+json' });
  await client.request({ method: 'GET', path: pods });
  const [first, patch, get] = server.received;
  assert.equal(first?.query.toString(), 'x=a+b');
  assert.equal(first?.headers['content-type'], 'application/json');
  assert.equal(first?.headers.authorization, 'Bearer test-token');
  assert.equal(first?.headers['user-agent'], 'pod-certificate-agent/1.2.3');
  assert.equal(patch?.headers['content-type'], 'application/merge-patch+json');
  assert.equal(get?.headers['content-type'], undefined);
  assert.equal(server.connections(), 1);
});

test('the node is impersonated by its user name alone, and only where a call asks for it', async (t) => {
  const server = await startLoopback(t, ({ response }) => sendJson(response, 200, {}));
  const client = clientOf(t, server, { impersonateNode: 'worker-1' });
  await client.request({ method: 'GET', path: pods, as: 'node' });
  await client.request({ method: 'GET', path: pods });
  await clientOf(t, server).request({ method: 'GET', path: pods, as: 'node' });
  assert.deepEqual(
    server.received.map(({ headers }) => [headers['impersonate-user'], headers['impersonate-group']]),
    [
      ['system:node:worker-1', undefined],
      [undefined, undefined],
      [undefined, undefined],
    ],
  );
});

test('each error code becomes the agent error that says who must act', async (t) => {
  const server = await startLoopback(t, ({ response, query }) =>
    sendStatus(response, Number(query.get('code')), 'Reason', 'why'),
  );
  const client = clientOf(t, server);
  const table = {
    400: ['Rejected', 'pod author'],
    401: ['Forbidden', 'cluster operator'],
    403: ['Forbidden', 'cluster operator'],
    404: ['NotFound', 'nobody'],
    405: ['Rejected', 'cluster operator'],
    409: ['Conflict', 'nobody'],
    410: ['Unavailable', 'nobody'],
    422: ['Rejected', 'pod author'],
    429: ['Unavailable', 'nobody'],
    500: ['Unavailable', 'nobody'],
    503: ['Unavailable', 'nobody'],
    302: ['Unavailable', 'nobody'],
  };
  for (const [code, [word, actor]] of Object.entries(table)) {
    await assert.rejects(client.request({ method: 'GET', path: pods, query: { code } }), (error: unknown) => {
      assert.ok(error instanceof AgentError, `${error} is no AgentError`);
      assert.deepEqual([code, error.code, error.actor], [code, word, actor]);
      assert.deepEqual(
        [apiFailureOf(error)?.httpStatus, apiFailureOf(error)?.reason, apiFailureOf(error)?.message],
        [Number(code), 'Reason', 'why'],
      );
      return true;
    });
  }
});

test('a forbidden call names verb, resource and who may not', async (t) => {
  const server = await startLoopback(t, ({ response }) => sendStatus(response, 403, 'Forbidden', 'no rule'));
  const client = clientOf(t, server, { impersonateNode: 'w1' });
  const path = '/apis/certificates.k8s.io/v1/namespaces/shop/podcertificaterequests';
  await assert.rejects(client.request({ method: 'POST', path, body: {}, as: 'node' }), {
    message:
      'the API server does not let system:node:w1 create podcertificaterequests.certificates.k8s.io in namespace "shop": no rule',
  });
  await assert.rejects(client.request({ method: 'GET', path: '/api/v1/nodes/w1' }), {
    message: 'the API server does not let the tester get nodes "w1": no rule',
  });
  await assert.rejects(
    client.watch({ path: '/api/v1/nodes', idleTimeoutMs: 1000 }, () => {}),
    {
      message: 'the API server does not let the tester watch nodes: no rule',
    },
  );
});

test('a rejected object names every field at fault', async (t) => {
  const causes = [
    { reason: 'FieldValueInvalid', message: 'too long', field: 'spec.podUID' },
    { reason: 'FieldValueRequired', field: 'spec.nodeUID' },
  ];
  const server = await startLoopback(t, ({ response }) => sendStatus(response, 422, 'Invalid', 'invalid', { causes }));
  await assert.rejects(clientOf(t, server).request({ method: 'POST', path: pods, body: {} }), (error: unknown) => {
    assert.match(String(error), /spec\.podUID: too long; spec\.nodeUID: FieldValueRequired/);
    assert.deepEqual(apiFailureOf(error)?.causes, causes);
    return true;
  });
});

test('a reply that no Kubernetes server wrote is an error with its own words, bounded', async (t) => {
  const replies = [
    { status: 502, body: 'upstream away', match: /upstream away \[HTTP 502\]/ },
    { status: 500, body: 'x'.repeat(5000), match: /^.{900,1200}$/ },
    { status: 503, body: '', match: /no message/ },
    { status: 200, body: '<html>', match: /the reply is not JSON/ },
  ];
  const server = await startLoopback(t, ({ response, query }) => {
    const reply = replies[Number(query.get('n'))];
    response.writeHead(reply?.status ?? 0).end(reply?.body);
  });
  const client = clientOf(t, server);
  for (const [n, { match }] of replies.entries()) {
    await assert.rejects(client.request({ method: 'GET', path: pods, query: { n: String(n) } }), (error: unknown) => {
      assert.ok(error instanceof AgentError, `${error} is no AgentError`);
      assert.equal(error.code, 'Unavailable');
      assert.match(error.message, match);
      return true;
    });
  }
});

test('Retry-After holds every call back and is handed to the caller', async (t) => {
  const server = await startLoopback(t, ({ response, query }) =>
    query.get('busy')
      ? sendJson(response, 429, { kind: 'Status', details: { retryAfterSeconds: 1 } }, { 'Retry-After': '1' })
      : sendJson(response, 200, {}),
  );
  const clock = createManualClock();
  const client = clientOf(t, server, { clock });
  await assert.rejects(client.request({ method: 'GET', path: pods, query: { busy: '1' } }), { retryAfterMs: 1000 });
  assert.equal(client.load().pausedForMs, 1000);
  const held = client.request({ method: 'GET', path: pods, priority: 'first' });
  clock.advance(999);
  await nextTurn();
  assert.deepEqual([client.load().active, client.load().pausedForMs], [0, 1]);
  clock.advance(1);
  await held;
  assert.equal(server.received.length, 2);
});

test('a Retry-After that is a date, nonsense or in the body is understood or left alone', async (t) => {
  const headers = [{ 'Retry-After': new Date(Date.now() + 30_000).toUTCString() }, { 'Retry-After': 'soon' }, {}];
  const server = await startLoopback(t, ({ response, query }) =>
    sendJson(response, 409, { kind: 'Status', details: { retryAfterSeconds: 7 } }, headers[Number(query.get('n'))]),
  );
  const client = clientOf(t, server);
  const waits: number[] = [];
  for (const n of ['0', '1', '2']) {
    await assert.rejects(client.request({ method: 'GET', path: pods, query: { n } }), (error: unknown) => {
      waits.push(error instanceof AgentError ? (error.retryAfterMs ?? 0) : 0);
      return true;
    });
  }
  assert.ok((waits[0] ?? 0) > 20_000, `${waits[0] ?? 0} is not more than 20000`);
  assert.deepEqual(waits.slice(1), [7000, 7000]);
});

test('a Retry-After that is neither seconds nor a date to come is none, and no wait that is asked for is longer than five minutes', async (t) => {
  const inAYear = new Date(Date.now() + 365 * 86_400_000).toUTCString();
  const inTheBody = (value: string): string =>
    `{"kind":"Status","reason":"TooManyRequests","code":429,"message":"later","details":{"retryAfterSeconds":${value}}}`;
  const nothing = [
    '-5',
    '1.5',
    '1e3',
    '0x20',
    '+5',
    'NaN',
    'Infinity',
    '[3]',
    'in 5 minutes, not before 2093',
    '2093-01-01',
  ];
  const past = [new Date(0).toUTCString(), 'Sun, 06 Nov 1994 08:49:37 GMT', '0'];
  const tooLong = ['86400', '9'.repeat(400), inAYear];
  const cases: readonly (readonly [string, string, number | undefined])[] = [
    ...[...nothing, ...past].map((header) => [header, inTheBody('null'), undefined] as const),
    ...tooLong.map((header) => [header, inTheBody('-1'), 300_000] as const),
    ...['-1', '0', '0.5', '1e400', '"7"', '[7]', '{}', 'true', 'null'].map(
      (value) => ['', inTheBody(value), undefined] as const,
    ),
    ...['86400', '1e300'].map((value) => ['', inTheBody(value), 300_000] as const),
  ];
  const server = await startLoopback(t, ({ response, query }) => {
    const [header = '', body] = cases[Number(query.get('n'))] ?? [];
    response.writeHead(429, header === '' ? {} : { 'Retry-After': header }).end(body);
  });
  for (const [n, [header, body, wait]] of cases.entries()) {
    const client = clientOf(t, server);
    await assert.rejects(client.request({ method: 'GET', path: pods, query: { n: String(n) } }), (error: unknown) => {
      assert.ok(error instanceof AgentError, `${error} is no AgentError`);
      assert.deepEqual(
        [error.retryAfterMs, apiFailureOf(error)?.reason, apiFailureOf(error)?.message],
        [wait, 'TooManyRequests', 'later'],
        `${header} ${body}`,
      );
      return true;
    });
    const paused = client.load().pausedForMs;
    assert.ok(
      header !== '' && wait !== undefined ? paused > 0 && paused <= 60_000 : paused === 0,
      `${header}: ${paused}`,
    );
  }
});

test('a call for a certificate that is about to end does not sit out the pause that the server asked for', {
  timeout: 20_000,
}, async (t) => {
  const server = await startLoopback(t, ({ response, query }) =>
    query.get('busy') ? sendJson(response, 429, {}, { 'Retry-After': '60' }) : sendJson(response, 200, { here: true }),
  );
  const client = clientOf(t, server);
  await assert.rejects(client.request({ method: 'GET', path: pods, query: { busy: '1' } }));
  assert.ok(client.load().pausedForMs > 50_000, `${client.load().pausedForMs} is not more than 50000`);
  const expiresAt = Date.now() + 60_000;
  const reply = await client.request({ method: 'GET', path: pods, priority: 'refresh', owner: 'web', expiresAt });
  assert.deepEqual(reply, { here: true });
});

test('a server that asks for a day, in the header or in the body, gets five minutes, and all other calls pause for one', async (t) => {
  const server = await startLoopback(t, ({ response, query }) =>
    sendJson(
      response,
      429,
      { kind: 'Status', details: { retryAfterSeconds: 86_400 } },
      query.get('header') ? { 'Retry-After': '86400' } : {},
    ),
  );
  const client = clientOf(t, server);
  await assert.rejects(client.request({ method: 'GET', path: pods }), { retryAfterMs: 300_000 });
  assert.equal(client.load().pausedForMs, 0);
  await assert.rejects(client.request({ method: 'GET', path: pods, query: { header: '1' } }), {
    retryAfterMs: 300_000,
  });
  assert.ok(client.load().pausedForMs <= 60_000, `${client.load().pausedForMs} is more than 60000`);
});

test('a call that gets no reply, or half of one, ends at its time limit', async (t) => {
  const server = await startLoopback(t, ({ response, query }) => {
    if (query.get('half')) {
      response.writeHead(200, { 'Content-Length': '100' });
      response.write('{');
    }
  });
  const clock = createManualClock();
  const limits = new EventEmitter();
  const at = (time: number, callback: () => void): (() => void) => {
    limits.emit('set');
    return clock.at(time, callback);
  };
  const client = clientOf(t, server, { timeoutMs: 40, clock: { ...clock, at } });
  const unanswered = assert.rejects(client.request({ method: 'GET', path: pods }), {
    code: 'Unavailable',
    message: /no reply within 40 ms/,
  });
  await server.nth(1);
  clock.advance(40);
  await unanswered;
  const forHead = eventOf(limits, 'set', 'the limit to be set');
  const half = assert.rejects(
    client.request({ method: 'GET', path: pods, query: { half: '1' } }),
    /not complete within 40 ms/,
  );
  await forHead;
  // The head of the reply is here when the limit for its body is set.
  await eventOf(limits, 'set', 'the limit to be set');
  clock.advance(40);
  await half;
});

test('a reply beyond the size limit is not read to its end', async (t) => {
  const server = await startLoopback(t, ({ response }) => sendJson(response, 200, { text: 'x'.repeat(10_000) }));
  const client = clientOf(t, server, { maxObjectBytes: 5_000 });
  await assert.rejects(client.request({ method: 'GET', path: pods }), /longer than 5000 bytes/);
});

test('16 MiB of a reply or of a frame are read, and not a byte more', async (t) => {
  const most = 16 * 1024 * 1024;
  /** A JSON text of so many bytes. */
  const text = (bytes: number): string => `"${'x'.repeat(bytes - 2)}"`;
  const server = await startLoopback(t, ({ response, query }) => {
    const bytes = Number(query.get('bytes'));
    if (query.get('watch') === 'true') {
      openWatch(response);
      response.end(`${text(bytes)}\n`);
    } else {
      response.writeHead(200, { 'Content-Type': 'application/json' });
      response.end(text(bytes));
    }
  });
  const client = clientOf(t, server);
  const read = (bytes: number) => client.request({ method: 'GET', path: pods, query: { bytes: String(bytes) } });
  assert.equal(String(await read(most)).length, most - 2);
  await assert.rejects(read(most + 1), { code: 'Unavailable', message: /longer than 16777216 bytes/ });
  const frames: number[] = [];
  const watch = (bytes: number) =>
    client.watch({ path: pods, query: { watch: 'true', bytes: String(bytes) }, idleTimeoutMs: 60_000 }, (frame) => {
      frames.push(String(frame).length);
    });
  await watch(most);
  await assert.rejects(watch(most + 1), { code: 'Unavailable', message: /longer than 16777216 bytes/ });
  assert.deepEqual(frames, [most - 2]);
});

test('a megabyte of an error is read, and not a byte more', async (t) => {
  const most = 1024 * 1024;
  const server = await startLoopback(t, ({ response, query }) => {
    const status = JSON.stringify({ kind: 'Status', code: 409, reason: 'Conflict', message: 'taken' });
    response.writeHead(409, { 'Content-Type': 'application/json' });
    response.end(status.padEnd(Number(query.get('bytes'))));
  });
  const client = clientOf(t, server);
  const read = (bytes: number) => client.request({ method: 'GET', path: pods, query: { bytes: String(bytes) } });
  await assert.rejects(read(most), { code: 'Conflict', message: /taken/ });
  await assert.rejects(read(most + 1), { code: 'Unavailable', message: /longer than 1048576 bytes/ });
});

test('a broken connection is Unavailable, in the middle of a reply too', async (t) => {
  const server = await startLoopback(t, ({ response, reset, query }) => {
    if (query.get('half')) {
      response.writeHead(200, { 'Content-Length': '100' });
      response.write('{', reset);
    } else {
      reset();
    }
  });
  const client = clientOf(t, server);
  await assert.rejects(client.request({ method: 'GET', path: pods }), { code: 'Unavailable', actor: 'nobody' });
  await assert.rejects(client.request({ method: 'GET', path: pods, query: { half: '1' } }), { code: 'Unavailable' });
  await server.close();
  await assert.rejects(client.request({ method: 'GET', path: pods }), /ECONNREFUSED/);
});

test('a kept connection that the server has closed is not the call’s fault: it is made again', async (t) => {
  const server = await startLoopback(t, ({ response, reset }) =>
    server.received.length === 2 ? reset() : sendJson(response, 200, {}),
  );
  const client = clientOf(t, server);
  await client.request({ method: 'GET', path: pods });
  await client.request({ method: 'GET', path: pods });
  assert.equal(server.received.length, 3);
  assert.equal(server.connections(), 2);
});

test('a call ends when its caller ends it: waiting for its turn, for the reply, or before it began', async (t) => {
  const server = await startLoopback(t, () => {});
  const client = clientOf(t, server, { concurrency: 1 });
  const aborted = { code: 'Aborted' };
  await assert.rejects(client.request({ method: 'GET', path: pods, signal: AbortSignal.abort() }), aborted);
  const [running, waiting] = [new AbortController(), new AbortController()];
  const first = client.request({ method: 'GET', path: pods, signal: running.signal });
  const second = client.request({ method: 'GET', path: pods, signal: waiting.signal });
  await server.nth(1);
  assert.deepEqual(client.load(), { waiting: 1, active: 1, pausedForMs: 0 });
  waiting.abort();
  await assert.rejects(second, aborted);
  running.abort();
  await assert.rejects(first, aborted);
  assert.equal(client.load().active, 0);
});

test('a call that is ended while its credentials are read is not sent', async (t) => {
  const server = await startLoopback(t, ({ response }) => sendJson(response, 200, {}));
  const ending = new AbortController();
  const identity: Identity = {
    ...identityFor(server),
    async current() {
      ending.abort();
      return identityFor(server).current();
    },
  };
  const call = clientOf(t, server, { identity }).request({ method: 'GET', path: pods, signal: ending.signal });
  await assert.rejects(call, { code: 'Aborted' });
  assert.equal(server.received.length, 0);
});

test('a connection that breaks between head and body of a reply is noticed', async (t) => {
  const clock = createMonotonicClock();
  const server = await startLoopback(t, ({ response }) => openWatch(response));
  const transport = createTransport(clock);
  t.after(() => transport.close());
  const credentials = await identityFor(server).current();
  const reply = await transport.send(credentials, { method: 'GET', path: pods, headers: {} }, undefined, 5_000);
  reply.destroy(new Error('broken'));
  reply.message.on('error', () => {});
  await assert.rejects(readBody(reply, 1_000, clock, 5_000), /closed before the reply was complete/);
  await assert.rejects(
    readFrames(reply, () => {}, {
      shape: 'all',
      maxBytes: 1_000,
      budget: (work) => work(),
      clock,
      idleTimeoutMs: 5_000,
    }),
    /closed before the reply was complete/,
  );
});

test('closing the client ends what is under way and refuses what comes', async (t) => {
  const server = await startLoopback(t, ({ response, query }) => {
    if (query.get('watch')) {
      openWatch(response);
    }
  });
  const client = clientOf(t, server, { concurrency: 1 });
  const watch = client.watch({ path: pods, query: { watch: 'true' }, idleTimeoutMs: 60_000 }, () => {});
  const calls = [client.request({ method: 'GET', path: pods }), client.request({ method: 'GET', path: pods })];
  const outcomes = [watch, ...calls].map((call) => assert.rejects(call, { code: 'Aborted' }));
  await server.nth(2);
  client.close();
  await Promise.all(outcomes);
  await assert.rejects(client.request({ method: 'GET', path: pods }), { code: 'Aborted' });
});

test('what a frame handler throws ends the watch; a frame too long does too', async (t) => {
  const server = await startLoopback(t, ({ response, query }) => {
    openWatch(response);
    response.write(query.get('long') ? `"${'x'.repeat(200)}` : '{"a":1}\n\n{"b":2}\n');
  });
  const client = clientOf(t, server, { maxObjectBytes: 100 });
  const frames: unknown[] = [];
  const stop = new AgentError('Conflict', 'enough', { actor: 'nobody' });
  const watch = client.watch({ path: pods, idleTimeoutMs: 60_000 }, (frame) => {
    frames.push(frame);
    if (frames.length === 2) {
      throw stop;
    }
  });
  await assert.rejects(watch, stop);
  assert.deepEqual(frames, [{ a: 1 }, { b: 2 }]);
  await assert.rejects(
    client.watch({ path: pods, query: { long: '1' }, idleTimeoutMs: 60_000 }, () => {}),
    /longer than 100 bytes/,
  );
});

test('a watch is given up when nothing comes for its idle time, and kept as long as something does', async (t) => {
  const server = await startLoopback(t, ({ response }) => openWatch(response));
  const clock = createManualClock();
  const client = clientOf(t, server, { clock });
  const frames = new EventEmitter();
  const watch = client.watch({ path: pods, idleTimeoutMs: 80 }, () => {
    frames.emit('frame');
  });
  const givenUp = assert.rejects(watch, { code: 'Unavailable', message: /silent for 80 ms/ });
  const { response } = await server.nth(1);
  for (let beat = 0; beat < 4; beat += 1) {
    const came = eventOf(frames, 'frame', 'the frame');
    response.write('{}\n');
    await Promise.race([came, givenUp.then(() => assert.fail('given up although frames came'))]);
    clock.advance(60);
  }
  clock.advance(20);
  await givenUp;
});

test('credentials renewed after a 401 are used at once, and the call is made once more', async (t) => {
  let token = 'old';
  const server = await startLoopback(t, ({ response, headers }) =>
    headers.authorization === 'Bearer new'
      ? sendJson(response, 200, { ok: true })
      : sendStatus(response, 401, 'Unauthorized'),
  );
  const credentials = (): Credentials => ({ ...base, headers: { Authorization: `Bearer ${token}` } });
  const base = { server: server.url, tls: { ca: server.ca }, headers: {} };
  const identity: Identity = {
    name: 'the tester',
    current: async () => credentials(),
    renew: async () => {
      const changed = token !== 'new';
      token = 'new';
      return changed;
    },
  };
  const client = clientOf(t, server, { identity });
  assert.deepEqual(await client.request({ method: 'GET', path: pods }), { ok: true });
  assert.equal(server.received.length, 2);
  token = 'wrong';
  identity.renew(credentials());
  token = 'wrong';
  const never = clientOf(t, server, { identity: fixedIdentity(credentials()) });
  await assert.rejects(never.request({ method: 'GET', path: pods }), {
    code: 'Forbidden',
    message: /does not accept the credentials of the tester/,
  });
});

test('a server that our CA does not vouch for is the operator’s matter, unless a new CA is there', async (t) => {
  const server = await startLoopback(t, ({ response }) => sendJson(response, 200, {}));
  const other = makeCertificate(makeDirectory(t)).cert;
  const wrong = fixedIdentity({ server: server.url, tls: { ca: other }, headers: {} });
  await assert.rejects(clientOf(t, server, { identity: wrong }).request({ method: 'GET', path: pods }), {
    code: 'Unavailable',
    actor: 'cluster operator',
  });
  let current = await wrong.current();
  const rotating: Identity = {
    name: 'the tester',
    current: async () => current,
    renew: async () => {
      current = await identityFor(server).current();
      return true;
    },
  };
  assert.deepEqual(await clientOf(t, server, { identity: rotating }).request({ method: 'GET', path: pods }), {});
});

test('new TLS material makes new connections while calls on the old ones run on', async (t) => {
  const server = await startLoopback(t, ({ response, query }) => {
    if (query.get('watch')) {
      openWatch(response);
    } else {
      sendJson(response, 200, {});
    }
  });
  let credentials: Credentials = { server: server.url, tls: { ca: server.ca }, headers: {} };
  const identity: Identity = { name: 'the tester', current: async () => credentials, renew: async () => false };
  const client = clientOf(t, server, { identity });
  const frames: unknown[] = [];
  const watch = client.watch({ path: pods, query: { watch: 'true' }, idleTimeoutMs: 60_000 }, (frame) => {
    frames.push(frame);
    return undefined;
  });
  const { response } = await server.nth(1);
  for (let round = 0; round < 3; round += 1) {
    await client.request({ method: 'GET', path: pods });
    credentials = { ...credentials, tls: { ca: server.ca } };
  }
  await client.request({ method: 'GET', path: pods });
  assert.equal(server.connections(), 5);
  response.end('{"still":"here"}\n');
  await watch;
  assert.deepEqual(frames, [{ still: 'here' }]);
  // Connections of earlier material are closed as soon as they are free.
  await until(() => server.openConnections() <= 1, 'the connections of earlier material to be closed');
});

test('each call is reported once, with its verb, resource, status and times', async (t) => {
  const calls: FinishedCall[] = [];
  const server = await startLoopback(t, ({ response, reset, query }) =>
    query.get('reset') ? reset() : query.get('watch') ? response.end() : sendStatus(response, 404, 'NotFound'),
  );
  const client = clientOf(t, server, { onCall: (call) => calls.push(call) });
  await assert.rejects(client.request({ method: 'DELETE', path: `${pods}/web` }));
  await assert.rejects(client.request({ method: 'POST', path: pods, body: {}, query: { reset: '1' } }));
  await client.watch({ path: pods, query: { watch: 'true' }, idleTimeoutMs: 1000 }, () => {});
  assert.deepEqual(
    calls.map(({ verb, resource, status }) => [verb, resource, status]),
    [
      ['delete', 'pods', 404],
      ['create', 'pods', 0],
      ['watch', 'pods', 200],
    ],
  );
  assert.ok(
    Math.abs((calls[2]?.serverTime ?? 0) - Date.now()) < 60_000,
    `the server's time was taken to be ${calls[2]?.serverTime}`,
  );
  assert.ok(
    calls.every(({ tookMs, waitedMs }) => tookMs >= 0 && waitedMs >= 0),
    inspect(calls),
  );
});

test('a client needs no more than an identity', async (t) => {
  const server = await startLoopback(t, ({ response }) => sendJson(response, 200, {}));
  const client = createApiClient({ identity: identityFor(server) });
  t.after(() => client.close());
  await client.request({ method: 'GET', path: pods });
  assert.equal(server.received[0]?.headers['user-agent'], 'pod-certificate-agent');
});
