import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { inspect } from 'node:util';
import { parseReport, type Report } from '../../../../sandbox/demo/workloads/report.ts';
import { type Authority, createAuthority } from '../../../../sandbox/signers/authority.ts';
import { eventOf, withinBound } from '../../../support/bounded.ts';
import { makeDirectory } from '../../../support/directory.ts';

/** A test that waits for something that never comes fails instead of hanging. */
const limit = { timeout: 60_000 };

let directory: string;
const children: ChildProcess[] = [];

beforeEach(() => {
  directory = makeDirectory();
});
afterEach(async () => {
  for (const child of children.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) {
      continue;
    }
    child.kill('SIGKILL');
    await eventOf(child, 'exit', 'the workload to end');
  }
});

let version = 0;

/** Projects files into a volume as the agent does: a new directory, then the exchange of `..data`. */
function project(volume: string, files: Readonly<Record<string, string>>): void {
  version += 1;
  const name = `..version-${version}`;
  mkdirSync(join(volume, name), { recursive: true });
  for (const [path, text] of Object.entries(files)) {
    writeFileSync(join(volume, name, path), text);
  }
  symlinkSync(name, join(volume, '..data_tmp'));
  renameSync(join(volume, '..data_tmp'), join(volume, '..data'));
}

interface Credential {
  readonly key: string;
  readonly chain: string;
}

async function credential(authority: Authority, account: string): Promise<Credential> {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const leaf = await authority.issue({
    publicKey: publicKey.export({ type: 'spki', format: 'der' }),
    uris: [`spiffe://example.com/ns/demo/sa/${account}`],
    dnsNames: [`${account}.demo.svc`],
    notBefore: Date.now() - 60_000,
    notAfter: Date.now() + 3600_000,
  });
  const key = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  return { key, chain: leaf + authority.intermediatePem };
}

async function projectBundle(account: string, authority: Authority, anchors: string): Promise<void> {
  const { key, chain } = await credential(authority, account);
  project(join(directory, account), { 'credentials.pem': key + chain, 'trust-anchors.pem': anchors });
}

/** A workload's process and what it has said; `until` waits for a report. */
function start(script: 'server' | 'client', args: readonly string[]) {
  const path = fileURLToPath(new URL(`../../../../sandbox/demo/workloads/${script}.ts`, import.meta.url));
  const child = spawn(process.execPath, [path, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(child);
  const reports: Report[] = [];
  const waiting = new Set<() => void>();
  createInterface({ input: child.stdout }).on('line', (line) => {
    const report = parseReport(line);
    assert.ok(report, line);
    reports.push(report);
    for (const wake of waiting) {
      wake();
    }
  });
  const until = async <R extends Report>(matches: (report: Report) => report is R, from = 0): Promise<R> => {
    for (;;) {
      const found = reports.slice(from).find(matches);
      if (found !== undefined) {
        return found;
      }
      const { promise, resolve } = Promise.withResolvers<void>();
      waiting.add(resolve);
      await withinBound(
        promise,
        () => `a report of the ${script}, whose last one is ${JSON.stringify(reports.at(-1))}`,
      );
      waiting.delete(resolve);
    }
  };
  const ended = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)));
  const exit = () => withinBound(ended, `the ${script} to end`);
  return { child, reports, until, exit };
}

type Said<T extends Report['type']> = Extract<Report, { type: T }>;
const is =
  <T extends Report['type']>(type: T, accept: (report: Said<T>) => boolean = () => true) =>
  (report: Report): report is Said<T> =>
    report.type === type && accept(report as Said<T>);

const serverId = 'spiffe://example.com/ns/demo/sa/server';
const clientId = 'spiffe://example.com/ns/demo/sa/client';

async function startPair() {
  const server = start('server', ['--volume', join(directory, 'server'), '--peer', clientId]);
  const { port } = await server.until(is('listening'));
  const volume = ['--volume', join(directory, 'client'), '--port', String(port)];
  const client = start('client', [...volume, '--peer', serverId, '--interval-ms', '20']);
  return { server, client };
}

/** Waits until the client has begun and ended a request over a fresh connection: none that was under way before still is. */
async function moreRequests(client: ReturnType<typeof start>): Promise<void> {
  const seen = client.reports.length;
  const { fresh: before } = await client.until(is('counters'), seen);
  const isLater = is('counters', (report) => report.fresh > before + 1);
  await client.until(isLater, seen);
}

test('server and client learn each other, and neither a new leaf nor a new root fails a request', limit, async () => {
  const old = await createAuthority('mesh 1', Date.now());
  await projectBundle('server', old, old.rootPem);
  await projectBundle('client', old, old.rootPem);
  const { server, client } = await startPair();
  const first = await client.until(is('peer'));
  assert.equal(first.identity.spiffeId, serverId);
  assert.equal((await server.until(is('peer'))).identity.spiffeId, clientId);

  await projectBundle('server', old, old.rootPem);
  const renewed = await client.until(is('peer', (report) => report.identity.serial !== first.identity.serial));
  assert.equal(renewed.identity.issuer, 'mesh 1 intermediate');

  const fresh = await createAuthority('mesh 2', Date.now());
  const both = old.rootPem + fresh.rootPem;
  for (const account of ['server', 'client']) {
    await projectBundle(account, old, both);
  }
  const trustsBoth = is('anchors', (report) => report.subjects.length === 2);
  await Promise.all([server.until(trustsBoth), client.until(trustsBoth)]);
  for (const account of ['server', 'client']) {
    await projectBundle(account, fresh, both);
  }
  const isNew = is('peer', (report) => report.identity.issuer === 'mesh 2 intermediate');
  await Promise.all([server.until(isNew), client.until(isNew)]);
  await moreRequests(client);
  for (const account of ['server', 'client']) {
    await projectBundle(account, fresh, fresh.rootPem);
  }
  const trustsNew = is('anchors', (report) => report.subjects.join() === 'mesh 2 root');
  await Promise.all([server.until(trustsNew), client.until(trustsNew)]);

  await moreRequests(client);
  const failures = [...server.reports, ...client.reports].filter(is('failure'));
  client.child.kill('SIGTERM');
  assert.equal(await client.exit(), 0);
  server.child.kill('SIGTERM');
  assert.equal(await server.exit(), 0);
  const counters = client.reports.filter(is('counters')).at(-1);
  assert.ok(counters && counters.fresh > 0 && counters.lasting > 0, inspect(counters));
  assert.equal(counters.failed, 0);
  assert.deepEqual(failures, []);
});

test('a client that goes away by a reset does not end the server', limit, async () => {
  const authority = await createAuthority('mesh', Date.now());
  await projectBundle('server', authority, authority.rootPem);
  const server = start('server', ['--volume', join(directory, 'server')]);
  const { port } = await server.until(is('listening'));
  const { key, chain } = await credential(authority, 'client');
  const raw = connect({ host: '127.0.0.1', port });
  const servername = 'server.demo.svc';
  const socket = connectTls({ socket: raw, key, cert: chain, ca: authority.rootPem, servername });
  socket.write('hello\n');
  await eventOf(socket, 'data', 'the answer of the server');
  raw.resetAndDestroy();
  await server.until(is('failure', ({ message }) => message.includes('ECONNRESET')));
  server.child.kill('SIGTERM');
  assert.equal(await server.exit(), 0);
});

test('key and chain in separate files serve as well as a bundle', limit, async () => {
  const authority = await createAuthority('mesh', Date.now());
  const { key, chain } = await credential(authority, 'server');
  project(join(directory, 'server'), { 'key.pem': key, 'chain.pem': chain, 'trust-anchors.pem': authority.rootPem });
  await projectBundle('client', authority, authority.rootPem);
  const files = ['--key', 'key.pem', '--chain', 'chain.pem'];
  const server = start('server', ['--volume', join(directory, 'server'), ...files]);
  const { port } = await server.until(is('listening'));
  const client = start('client', ['--volume', join(directory, 'client'), '--port', String(port)]);
  assert.equal((await client.until(is('peer'))).identity.spiffeId, serverId);
  await client.until(is('counters', (report) => report.fresh > 0 && report.failed === 0));
});

test('a client of an untrusted authority fails its requests, and both sides say so', limit, async () => {
  const authority = await createAuthority('mesh', Date.now());
  const stranger = await createAuthority('stranger', Date.now());
  await projectBundle('server', authority, authority.rootPem);
  await projectBundle('client', stranger, authority.rootPem);
  const { server, client } = await startPair();
  await client.until(is('counters', (report) => report.failed > 0));
  await server.until(is('failure'));
  assert.deepEqual(server.reports.filter(is('peer')), []);
});

test('a server with another identity than the expected one is refused', limit, async () => {
  const authority = await createAuthority('mesh', Date.now());
  await projectBundle('server', authority, authority.rootPem);
  await projectBundle('client', authority, authority.rootPem);
  const server = start('server', ['--volume', join(directory, 'server')]);
  const { port } = await server.until(is('listening'));
  const args = ['--volume', join(directory, 'client'), '--port', String(port), '--peer', 'spiffe://example.com/other'];
  const client = start('client', args);
  const failure = await client.until(is('failure'));
  assert.match(failure.message, /the server is spiffe:\/\/example\.com\/ns\/demo\/sa\/server, not/);
});

test('a missing volume ends a workload with an error', limit, async () => {
  const child = start('server', ['--volume', join(directory, 'nowhere')]);
  assert.equal(await child.exit(), 1);
});
