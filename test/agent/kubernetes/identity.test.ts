import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { AgentError } from '../../../agent/base/errors.ts';
import { createIdentity, type IdentitySource } from '../../../agent/kubernetes/identity.ts';
import { makeDirectory } from '../../support/directory.ts';
import { createManualClock } from '../../support/manual-clock.ts';
import {
  clientOf,
  isWatch,
  type KeyPair,
  makeCertificate,
  openWatch,
  sendJson,
  sendStatus,
  startLoopback,
} from './loopback.ts';

function start(source: IdentitySource) {
  const clock = createManualClock();
  const errors: AgentError[] = [];
  return { clock, errors, identity: createIdentity(source, { clock, onError: (error) => errors.push(error) }) };
}

function writeKubeconfig(path: string, user: object, cluster: object = {}, server = 'https://10.0.0.1:6443/'): void {
  const config = {
    'current-context': 'main',
    clusters: [{ name: 'c', cluster: { server, ...cluster } }],
    users: [{ name: 'u', user }],
    contexts: [
      { name: 'main', context: { cluster: 'c', user: 'u' } },
      { name: 'broken', context: { cluster: 'none', user: 'u' } },
    ],
  };
  writeFileSync(`${path}.new`, JSON.stringify(config));
  renameSync(`${path}.new`, path);
}

/** The files that the kubelet projects for a service account, swapped through a symbolic link as the kubelet does. */
function serviceAccountFiles(t: TestContext, host = '127.0.0.1', port = '443') {
  const root = makeDirectory(t);
  const directory = join(root, 'var/run/secrets/kubernetes.io/serviceaccount');
  mkdirSync(directory, { recursive: true });
  let round = 0;
  const before = { ...process.env };
  process.env['KUBERNETES_SERVICE_HOST'] = host;
  process.env['KUBERNETES_SERVICE_PORT'] = port;
  t.after(() => {
    for (const name of ['KUBERNETES_SERVICE_HOST', 'KUBERNETES_SERVICE_PORT']) {
      if (before[name] === undefined) {
        delete process.env[name];
      } else {
        process.env[name] = before[name];
      }
    }
  });
  for (const name of ['token', 'ca.crt']) {
    symlinkSync(`..data/${name}`, join(directory, name));
  }
  return {
    root,
    rotate(token: string, ca: string): void {
      round += 1;
      mkdirSync(join(directory, `..${round}`));
      writeFileSync(join(directory, `..${round}`, 'token'), `${token}\n`);
      writeFileSync(join(directory, `..${round}`, 'ca.crt'), ca);
      symlinkSync(`..${round}`, join(directory, '..data.new'));
      renameSync(join(directory, '..data.new'), join(directory, '..data'));
    },
  };
}

test('a kubeconfig gives server, TLS material and token', async (t) => {
  const directory = makeDirectory(t);
  const { cert, key } = makeCertificate(directory);
  const path = join(directory, 'config');
  const inline = {
    'certificate-authority-data': Buffer.from(cert).toString('base64'),
    'tls-server-name': 'api.example',
  };
  writeKubeconfig(path, { token: 'secret', 'client-certificate': 'server.crt', 'client-key': 'server.key' }, inline);
  const { identity } = start({ kind: 'kubeconfig', path });
  const { server, tls, headers } = await identity.current();
  assert.equal(server, 'https://10.0.0.1:6443');
  assert.deepEqual(headers, { Authorization: 'Bearer secret' });
  assert.equal(tls.servername, 'api.example');
  assert.equal(String(tls.ca), cert);
  assert.equal(String(tls.cert), cert);
  assert.equal(String(tls.key), key);
  assert.equal(identity.name, `the user of ${path}`);
});

test('a kubeconfig may name another context, a token file, or an impersonated user', async (t) => {
  const directory = makeDirectory(t);
  const path = join(directory, 'config');
  writeFileSync(join(directory, 'token'), 'from-file\n');
  writeKubeconfig(path, { tokenFile: 'token', as: 'somebody' }, { 'insecure-skip-tls-verify': true });
  const { identity } = start({ kind: 'kubeconfig', path, context: 'main' });
  const { headers, tls } = await identity.current();
  assert.deepEqual(headers, { 'Impersonate-User': 'somebody', Authorization: 'Bearer from-file' });
  assert.equal(tls.rejectUnauthorized, false);
  const broken = start({ kind: 'kubeconfig', path, context: 'broken' });
  await assert.rejects(broken.identity.current(), {
    actor: 'cluster operator',
    message: /context "broken" names no cluster/,
  });
});

test('a kubeconfig that changes is read again within a second of its use, and connections stay when only the token did', async (t) => {
  const path = join(makeDirectory(t), 'config');
  writeKubeconfig(path, { token: 'one' });
  const { identity, clock } = start({ kind: 'kubeconfig', path });
  const first = await identity.current();
  assert.equal(await identity.current(), first);
  writeKubeconfig(path, { token: 'two' });
  clock.advance(1_000);
  const second = await identity.current();
  assert.equal(second.headers['Authorization'], 'Bearer two');
  assert.equal(second.tls, first.tls);
  writeKubeconfig(path, { token: 'two' }, {}, 'https://10.0.0.2:6443');
  clock.advance(1_000);
  const third = await identity.current();
  assert.equal(third.server, 'https://10.0.0.2:6443');
  assert.notEqual(third.tls, first.tls);
});

test('a file that changes without a mark is read again after a minute, and nothing is new when nothing changed', async (t) => {
  const path = join(makeDirectory(t), 'config');
  writeKubeconfig(path, { token: 'one' });
  const { identity, clock } = start({ kind: 'kubeconfig', path });
  const first = await identity.current();
  clock.advance(60_000);
  assert.equal(await identity.current(), first);
  assert.equal(await identity.renew(first), false);
});

test('credentials that cannot be read any more stay in use, and the fault is reported', async (t) => {
  const path = join(makeDirectory(t), 'config');
  writeKubeconfig(path, { token: 'one' });
  const { identity, clock, errors } = start({ kind: 'kubeconfig', path });
  const first = await identity.current();
  rmSync(path);
  clock.advance(1_000);
  assert.equal(await identity.current(), first);
  assert.match(errors[0]?.message ?? '', /cannot read credentials from .*ENOENT/);
  assert.equal(await identity.renew(first), false);
});

test('a kubeconfig that becomes a link to itself is a fault like any other: its credentials stay in use until it is a file again', async (t) => {
  const path = join(makeDirectory(t), 'config');
  writeKubeconfig(path, { token: 'one' });
  const { identity, clock, errors } = start({ kind: 'kubeconfig', path });
  const first = await identity.current();
  rmSync(path);
  symlinkSync('config', path);
  clock.advance(1_000);
  assert.equal(await identity.current(), first);
  assert.match(errors[0]?.message ?? '', /cannot read credentials from .*ELOOP/);
  writeKubeconfig(path, { token: 'two' });
  clock.advance(1_000);
  assert.equal((await identity.current()).headers['Authorization'], 'Bearer two');
});

test('a configuration that cannot be used says why, and never quotes what it read', async (t) => {
  const directory = makeDirectory(t);
  const path = join(directory, 'config');
  const read = async (): Promise<string> => {
    const { identity } = start({ kind: 'kubeconfig', path });
    return identity.current().then(
      () => 'read',
      (error: Error) => `${error.message} ${String(error.cause)}`,
    );
  };
  assert.match(await read(), /ENOENT/);
  writeFileSync(path, 'users:\n- name: "hunter2\n  token: [hunter2');
  const broken = await read();
  assert.match(broken, /cannot read credentials/);
  assert.doesNotMatch(broken, /hunter2/);
  writeKubeconfig(path, { token: 'a' }, {}, 'http://10.0.0.1');
  assert.match(await read(), /must be https/);
  for (const url of ['socks5://hunter2@proxy', 'http://hunter2:hunter2@:::', '']) {
    writeKubeconfig(path, { token: 'a' }, { 'proxy-url': url });
    const refused = await read();
    assert.match(refused, /proxy-url has to be a URL of http or https/);
    assert.doesNotMatch(refused, /hunter2/);
  }
  const plugin = join(directory, 'plugin');
  writeFileSync(plugin, '#!/bin/sh\necho "{hunter2"\n');
  chmodSync(plugin, 0o700);
  writeKubeconfig(path, { exec: { apiVersion: 'client.authentication.k8s.io/v1', command: plugin } });
  const garbled = await read();
  assert.match(garbled, /not valid JSON/);
  assert.doesNotMatch(garbled, /hunter2/);
});

test('outside a pod the in-cluster identity says what is missing', async (t) => {
  serviceAccountFiles(t, '', '');
  const { identity } = start({ kind: 'inCluster' });
  assert.equal(identity.name, "the agent's service account");
  await assert.rejects(identity.current(), /KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set/);
});

test('in a pod the service account’s token and CA are used, and followed when they are rotated', async (t) => {
  const files = serviceAccountFiles(t, 'fd00::1', '443');
  files.rotate('one', 'ca one');
  const { identity, clock } = start({ kind: 'inCluster', root: files.root });
  const first = await identity.current();
  assert.equal(first.server, 'https://[fd00::1]:443');
  assert.deepEqual(first.headers, { Authorization: 'Bearer one' });
  files.rotate('two', 'ca one');
  clock.advance(1_000);
  const second = await identity.current();
  assert.deepEqual(second.headers, { Authorization: 'Bearer two' });
  assert.equal(second.tls, first.tls);
  files.rotate('two', 'ca two');
  assert.equal(await identity.renew(second), true);
  assert.equal(String((await identity.current()).tls.ca), 'ca two');
});

test('a token that is rotated in the middle of a watch leaves the watch alone and serves the next call after one 401', async (t) => {
  const pair: KeyPair = makeCertificate(makeDirectory(t));
  let valid = 'Bearer one';
  const server = await startLoopback(
    t,
    (received) => {
      if (received.headers.authorization !== valid) {
        sendStatus(received.response, 401, 'Unauthorized');
      } else if (isWatch(received)) {
        openWatch(received.response);
      } else {
        sendJson(received.response, 200, {});
      }
    },
    pair,
  );
  const files = serviceAccountFiles(t, '127.0.0.1', new URL(server.url).port);
  files.rotate('one', pair.cert);
  const { identity } = start({ kind: 'inCluster', root: files.root });
  const client = clientOf(t, server, { identity });
  const frames: unknown[] = [];
  const watch = client.watch({ path: '/api/v1/pods', query: { watch: 'true' }, idleTimeoutMs: 60_000 }, (frame) => {
    frames.push(frame);
    return undefined;
  });
  const { response } = await server.nth(1, isWatch);
  valid = 'Bearer two';
  files.rotate('two', pair.cert);
  await client.request({ method: 'GET', path: '/api/v1/pods' });
  assert.deepEqual(
    server.received.map(({ headers }) => headers.authorization),
    ['Bearer one', 'Bearer one', 'Bearer two'],
  );
  response.end('{"type":"still here"}\n');
  await watch;
  assert.equal(frames.length, 1);
});

test('a CA that is rotated together with the server’s certificate is found out by the first call', async (t) => {
  const [older, newer] = [makeCertificate(makeDirectory(t)), makeCertificate(makeDirectory(t))];
  const server = await startLoopback(t, ({ response }) => sendJson(response, 200, { ok: true }), newer);
  const files = serviceAccountFiles(t, '127.0.0.1', new URL(server.url).port);
  files.rotate('one', older.cert);
  const { identity } = start({ kind: 'inCluster', root: files.root });
  await identity.current();
  files.rotate('one', newer.cert);
  assert.deepEqual(await clientOf(t, server, { identity }).request({ method: 'GET', path: '/api/v1/pods' }), {
    ok: true,
  });
  assert.equal(
    readFileSync(join(files.root, 'var/run/secrets/kubernetes.io/serviceaccount/ca.crt'), 'utf8'),
    newer.cert,
  );
});
