import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { mkdirSync, renameSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, type TestContext, test } from 'node:test';
import { type ServerCertificate, watchCertificateFiles } from '../../../../agent/observe/endpoint/certificate-files.ts';
import { type EndpointOptions, openEndpoint } from '../../../../agent/observe/endpoint/endpoint.ts';
import { createSelfSigned } from '../../../../agent/observe/endpoint/self-signed.ts';
import { createMetrics } from '../../../../agent/observe/metrics/metrics.ts';
import type { Clock } from '../../../../agent/time/clock.ts';
import { createMonotonicClock } from '../../../../agent/time/monotonic-clock.ts';
import { createSystemClock } from '../../../../agent/time/system-clock.ts';
import { eventOf, withinBound } from '../../../support/bounded.ts';
import { makeDirectory } from '../../../support/directory.ts';
import { createLogProbe, statusSources } from '../subjects.ts';

/** Tokens are their holders' names here; the API server is away when it is told to be. */
function createReviewer() {
  const server = { away: false };
  const request = async <T>({ path, body }: { readonly path: string; readonly body: unknown }): Promise<T> => {
    if (server.away) {
      throw new Error('the API server is away');
    }
    const { spec } = body as { readonly spec: { readonly token?: string; readonly user?: string } };
    const status = path.endsWith('tokenreviews')
      ? { authenticated: spec.token !== 'stranger', user: { username: spec.token } }
      : { allowed: spec.user === 'prometheus' };
    return { status } as T;
  };
  return { server, client: { request } };
}

async function open(t: TestContext, given: Partial<EndpointOptions> = {}) {
  const metrics = createMetrics({ version: '1' });
  const { log, entries } = createLogProbe();
  const { server, client } = createReviewer();
  const checks = [{ name: 'watch', ok: false, message: 'a detail' }];
  const endpoint = await openEndpoint({
    address: { host: '127.0.0.1', port: 0 },
    auth: 'token',
    certFile: undefined,
    keyFile: undefined,
    sources: {
      metrics,
      health: { live: () => [], ready: () => checks },
      status: statusSources(),
      flags: () => ['--burst=50'],
    },
    client,
    clock: createSystemClock(),
    monotonic: createMonotonicClock(),
    log,
    ...given,
  });
  t.after(() => endpoint.close());
  return { endpoint, server, entries, port: endpoint.address.port };
}

/** One request over a connection of its own; the certificate is looked at, not judged. */
async function getTls(port: number, path: string, headers: Readonly<Record<string, string>> = {}) {
  const outgoing = request({ host: '127.0.0.1', port, path, headers, agent: false, rejectUnauthorized: false }).end();
  const [response] = await eventOf(outgoing, 'response', 'the response');
  const certificate = new X509Certificate(response.socket.getPeerCertificate().raw);
  const body = await withinBound(text(response), `the end of the reply to ${path}`);
  return { status: response.statusCode as number, body, certificate };
}

async function certificatePair(nodeName: string): Promise<ServerCertificate> {
  const source = await createSelfSigned({ clock: createSystemClock(), nodeName, onFault: () => undefined });
  await source.close();
  return source.current;
}

/** Files as a mounted Secret has them: names that lead through `..data` to the version in use. */
function mountSecret(t: TestContext) {
  const directory = makeDirectory(t);
  let version = 0;
  const write = ({ cert, key }: ServerCertificate): void => {
    version += 1;
    mkdirSync(join(directory, `..v${version}`));
    writeFileSync(join(directory, `..v${version}`, 'tls.crt'), cert);
    writeFileSync(join(directory, `..v${version}`, 'tls.key'), key);
    symlinkSync(`..v${version}`, join(directory, '..data_tmp'));
    renameSync(join(directory, '..data_tmp'), join(directory, '..data'));
  };
  for (const name of ['tls.crt', 'tls.key']) {
    symlinkSync(`..data/${name}`, join(directory, name));
  }
  return { write, certFile: join(directory, 'tls.crt'), keyFile: join(directory, 'tls.key') };
}

describe('the endpoint', () => {
  test('asks for a token where it is told to: 401 without one, 403 without permission', async (t) => {
    const { port } = await open(t);
    const get = async (path: string, token?: string) => {
      const headers = token === undefined ? {} : { Authorization: token };
      const response = await fetch(`http://127.0.0.1:${port}${path}`, { headers });
      return { status: response.status, body: await response.text(), headers: response.headers };
    };
    for (const path of ['/metrics', '/statusz', '/flagz']) {
      const anonymous = await get(path);
      assert.deepEqual([anonymous.status, anonymous.headers.get('www-authenticate')], [401, 'Bearer'], path);
      assert.equal(anonymous.headers.get('connection'), 'close');
      assert.equal((await get(path, 'Bearer stranger')).status, 401);
      assert.equal((await get(path, 'Basic prometheus')).status, 401);
      assert.equal((await get(path, 'Bearer somebody')).status, 403);
      const known = await get(path, 'Bearer prometheus');
      assert.deepEqual([known.status, known.headers.get('connection')], [200, 'keep-alive']);
    }
    assert.equal((await get('/livez')).headers.get('connection'), 'close');
  });

  test('fails closed when the API server is away, and says so in the log once', async (t) => {
    const { port, server, entries } = await open(t);
    server.away = true;
    const headers = { Authorization: 'Bearer prometheus' };
    for (let count = 0; count < 2; count += 1) {
      assert.equal((await fetch(`http://127.0.0.1:${port}/metrics`, { headers })).status, 503);
    }
    const told = entries().filter(({ level }) => level === 'warn');
    assert.deepEqual(
      told.map(({ error }) => error),
      ['the API server is away'],
    );
  });

  test('answers probes without a token, and tells details only to who may look', async (t) => {
    const { port } = await open(t);
    const probe = async (headers: Readonly<Record<string, string>>): Promise<readonly [number, string]> => {
      const response = await fetch(`http://127.0.0.1:${port}/readyz?verbose`, { headers });
      return [response.status, await response.text()];
    };
    assert.deepEqual(await probe({}), [503, 'readyz check failed\n']);
    assert.deepEqual(await probe({ Authorization: 'Bearer somebody' }), [503, 'readyz check failed\n']);
    const details = '[-]watch failed: a detail\nreadyz check failed\n';
    assert.deepEqual(await probe({ Authorization: 'Bearer prometheus' }), [503, details]);
    assert.equal((await fetch(`http://127.0.0.1:${port}/livez`)).status, 200);
  });

  test('beyond loopback is HTTPS with a certificate of its own, and asks for a token without being told', async (t) => {
    const { port } = await open(t, { address: { host: '0.0.0.0', port: 0 }, auth: 'auto' });
    const { status, certificate } = await getTls(port, '/metrics');
    assert.equal(status, 401);
    assert.equal(certificate.subjectAltName, 'DNS:node-1');
    assert.ok(
      !certificate.ca && certificate.verify(certificate.publicKey),
      `a certificate of an authority, or not self-signed: ${certificate}`,
    );
    const leftMs = certificate.validToDate.getTime() - Date.now();
    assert.ok(leftMs > 89 * 86_400_000 && leftMs <= 90 * 86_400_000, `the certificate is valid for ${leftMs} ms more`);
    assert.equal((await getTls(port, '/metrics', { Authorization: 'Bearer prometheus' })).status, 200);
    await assert.rejects(fetch(`http://127.0.0.1:${port}/metrics`));
  });

  test('takes over a new certificate while it runs, and keeps the old one when the new does not fit', async (t) => {
    const files = mountSecret(t);
    const [first, second, third] = await Promise.all(['one', 'two', 'three'].map(certificatePair));
    assert.ok(
      first !== undefined && second !== undefined && third !== undefined,
      'there is no first or no second or no third',
    );
    files.write(first);
    const rejected = Promise.withResolvers<void>();
    const renewed = Promise.withResolvers<void>();
    const { log } = createLogProbe();
    const watching = {
      ...log,
      error: () => rejected.resolve(),
      info: () => renewed.resolve(),
    };
    const { port } = await open(t, { auth: 'auto', certFile: files.certFile, keyFile: files.keyFile, log: watching });
    assert.equal((await getTls(port, '/livez')).certificate.subjectAltName, 'DNS:one');
    files.write({ cert: second.cert, key: third.key });
    await withinBound(rejected.promise, 'the files to be rejected');
    assert.equal((await getTls(port, '/livez')).certificate.subjectAltName, 'DNS:one');
    files.write(second);
    await withinBound(renewed.promise, 'the new certificate to be taken over');
    assert.equal((await getTls(port, '/livez')).certificate.subjectAltName, 'DNS:two');
  });

  test('does not start with files that are missing or do not fit, or where somebody else listens', async (t) => {
    const files = mountSecret(t);
    await assert.rejects(open(t, { certFile: files.certFile, keyFile: files.keyFile }), { code: 'ENOENT' });
    const [one, other] = await Promise.all([certificatePair('one'), certificatePair('two')]);
    files.write({ cert: one.cert, key: other.key });
    await assert.rejects(open(t, { certFile: files.certFile, keyFile: files.keyFile }), /mismatch/);
    files.write(one);
    const { port } = await open(t);
    const address = { host: '127.0.0.1', port };
    await assert.rejects(open(t, { address, certFile: files.certFile, keyFile: files.keyFile }), {
      code: 'EADDRINUSE',
    });
  });
});

test('files that change without news in them are not taken over, and none after the end', async (t) => {
  const files = mountSecret(t);
  const pair = await certificatePair('one');
  files.write(pair);
  const rejected = Promise.withResolvers<unknown>();
  const source = await watchCertificateFiles({ ...files, onRejected: rejected.resolve });
  const taken: ServerCertificate[] = [];
  source.onChange((certificate) => taken.push(certificate));
  files.write(pair);
  // The same again, then none at all: once the loss is noticed, the repetition has been passed over.
  unlinkSync(files.certFile);
  await withinBound(rejected.promise, 'the files to be rejected');
  assert.deepEqual(taken, []);
  await source.close();
  await source.close();
});

test('a self-signed certificate is renewed after two thirds of its life, until the end', async () => {
  let now = Date.now();
  const alarms = new Map<number, () => void>();
  const clock: Clock = {
    now: () => now,
    at: (time, callback) => {
      alarms.set(time, callback);
      return () => alarms.delete(time);
    },
  };
  const source = await createSelfSigned({ clock, nodeName: 'node-1', onFault: () => assert.fail() });
  const renewal = Promise.withResolvers<ServerCertificate>();
  source.onChange(renewal.resolve);
  const [[due, ring] = []] = [...alarms];
  assert.equal(due, now + 60 * 86_400_000);
  alarms.clear();
  now = due ?? now;
  ring?.();
  const renewed = new X509Certificate((await withinBound(renewal.promise, 'the renewal')).cert);
  assert.ok(
    renewed.validToDate.getTime() >= now + 89 * 86_400_000,
    `${renewed.validToDate.getTime()} is less than ${now + 89 * 86_400_000}`,
  );
  await new Promise(setImmediate);
  assert.equal(alarms.size, 1);
  await source.close();
  assert.equal(alarms.size, 0);
});
