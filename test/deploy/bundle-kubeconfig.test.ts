/**
 * Every way to the API server that the agent knows, in the bundle: it leaves out most of the Kubernetes client library, and
 * none of what a kubeconfig may ask for. Each test runs the bundle against the sandbox until a pod has its certificate.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { createServer, request } from 'node:https';
import { type AddressInfo, connect } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Duplex } from 'node:stream';
import { after, before, describe, type TestContext, test } from 'node:test';
import { parse } from 'yaml';
import { bundleAgent } from '../../deploy/bundle.ts';
import { type Cluster, startCluster } from '../../sandbox/cluster/cluster.ts';
import { makeCertificate } from '../agent/kubernetes/loopback.ts';
import { eventOf, withinBound } from '../support/bounded.ts';
import { makeDirectory } from '../support/directory.ts';

const signerName = 'example.com/mesh';
const sources = [{ podCertificate: { signerName, keyType: 'ECDSAP256', credentialBundlePath: 'tls.pem' } }];
const accountFiles = '/var/run/secrets/kubernetes.io/serviceaccount';
/** What a node has to load, parse and keep in memory. */
const maxBundleBytes = 2_200_000;

interface Target {
  readonly server: string;
  readonly ca: string;
  /** More fields of the kubeconfig's cluster, in YAML. */
  readonly more?: string;
}

describe('the bundle, by', { timeout: 600_000 }, () => {
  const directory = makeDirectory();
  const bundle = join(directory, 'dist', 'agent.mjs');
  let cluster: Cluster;
  /** What the agent's kubeconfig says. */
  let token: string;
  let ca: string;

  before(async () => {
    await bundleAgent(join(directory, 'dist'));
    cluster = await startCluster({ directory, signers: [{ signerName }] });
    const { clusters, users } = parse(readFileSync(cluster.kubeconfigs.agent, 'utf8'));
    token = users[0].user.token;
    ca = Buffer.from(clusters[0].cluster['certificate-authority-data'], 'base64').toString('utf8');
  });
  after(async () => {
    await cluster.close();
  });

  const sandbox = (): Target => ({ server: cluster.apiServer.url, ca });

  /** A kubeconfig, in YAML as people write it. */
  const kubeconfig = (name: string, user: string, cluster = sandbox()): string => {
    const path = join(directory, `${name}.yaml`);
    writeFileSync(join(directory, `${name}.crt`), cluster.ca);
    const text = `# Made for the agent.
apiVersion: v1
kind: Config
current-context: main
clusters:
- name: c
  cluster: { server: "${cluster.server}", certificate-authority: ${name}.crt${cluster.more ?? ''} }
contexts:
- { name: main, context: { cluster: c, user: u } }
users:
- name: u
  user:
${user.replace(/^/gm, '    ')}
`;
    writeFileSync(path, text, { mode: 0o600 });
    return path;
  };

  const options = (): string[] => [
    ...['--node-name', cluster.nodeName, '--kubelet-root', cluster.kubeletRoot, '--csi-socket', cluster.csiSocket],
    ...['--no-registration', '--volume-mode', 'directory', '--metrics-address', '127.0.0.1:0', '--impersonate-node'],
  ];

  const run = (t: TestContext, args: readonly string[], env: Readonly<Record<string, string>> = {}): ChildProcess => {
    const child = spawn(process.execPath, [bundle, ...options(), ...args], {
      cwd: directory,
      env: { PATH: '/usr/bin:/bin', ...env },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    t.after(() => child.kill('SIGKILL'));
    return child;
  };

  /** Runs the agent until a pod of that name has its certificate, and stops it. */
  const issues = async (child: ChildProcess, name: string): Promise<void> => {
    child.stdout?.resume();
    const ended = once(child, 'exit');
    await cluster.admin.createPod({ name, volumes: [{ name: 'mtls', sources }] });
    const running = Promise.race([
      cluster.admin.podRunning('default', name),
      ended.then(() => assert.fail('the agent ended')),
    ]);
    await withinBound(running, `the pod ${name} to run`);
    child.kill('SIGTERM');
    assert.deepEqual(await withinBound(ended, 'the agent to end'), [0, null]);
  };

  test('a token and the CA as data', async (t) => {
    await issues(run(t, ['--kubeconfig', cluster.kubeconfigs.agent]), 'token');
  });

  test('a token file and the CA as file', async (t) => {
    writeFileSync(join(directory, 'token'), `${token}\n`, { mode: 0o600 });
    await issues(run(t, ['--kubeconfig', kubeconfig('file', 'tokenFile: token')]), 'token-file');
  });

  test('a program that prints a token', async (t) => {
    const reply = { apiVersion: 'client.authentication.k8s.io/v1', kind: 'ExecCredential', status: { token } };
    const program = join(directory, 'credentials');
    writeFileSync(program, `#!/bin/sh\nprintf '%s' "$REPLY"\n`, { mode: 0o700 });
    const user = `exec:
  apiVersion: client.authentication.k8s.io/v1
  command: ${program}
  interactiveMode: Never
  env:
  - name: REPLY
    value: '${JSON.stringify(reply)}'`;
    await issues(run(t, ['--kubeconfig', kubeconfig('exec', user)]), 'exec');
  });

  test('a client certificate, inline and as files', async (t) => {
    const { cert, key } = makeCertificate(directory);
    const { url, seen } = await startDoor(t, { cert, key, upstream: cluster.apiServer.url, ca, token });
    const door = { server: url, ca: cert };
    const files = 'client-certificate: server.crt\nclient-key: server.key';
    await issues(run(t, ['--kubeconfig', kubeconfig('files', files, door)]), 'certificate-files');
    const data = (pem: string): string => Buffer.from(pem).toString('base64');
    const inline = `client-certificate-data: ${data(cert)}\nclient-key-data: ${data(key)}`;
    await issues(run(t, ['--kubeconfig', kubeconfig('inline', inline, door)]), 'certificate-data');
    assert.ok(seen() > 0, 'no call came with the certificate');
  });

  test('the service account of its pod', async (t) => {
    // In mounts of its own, so that the files lie where the kubelet puts them and nothing of this machine changes.
    if (spawnSync('unshare', ['--mount', 'true']).status !== 0) {
      return t.skip('making mounts needs root');
    }
    const account = join(directory, 'account');
    mkdirSync(account);
    writeFileSync(join(account, 'token'), token);
    writeFileSync(join(account, 'ca.crt'), ca);
    const script = `mount -t tmpfs tmpfs /run && mkdir -p ${accountFiles} && mount --bind ${account} ${accountFiles} && exec "$@"`;
    const { hostname, port } = new URL(cluster.apiServer.url);
    const child = spawn('unshare', ['--mount', 'sh', '-c', script, 'sh', process.execPath, bundle, ...options()], {
      cwd: directory,
      env: { PATH: '/usr/bin:/bin', KUBERNETES_SERVICE_HOST: hostname, KUBERNETES_SERVICE_PORT: port },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    t.after(() => child.kill('SIGKILL'));
    await issues(child, 'in-cluster');
  });

  test('a proxy', async (t) => {
    const proxy = await startProxy(t);
    const path = kubeconfig('proxy', `token: ${token}`, { ...sandbox(), more: `, proxy-url: "${proxy.url}"` });
    await issues(run(t, ['--kubeconfig', path]), 'proxy');
    const { host } = new URL(cluster.apiServer.url);
    assert.deepEqual([...new Set(proxy.targets)], [host], 'the API server is all that is asked for');
  });

  test('no proxy but one of HTTP, which it says', async (t) => {
    const path = kubeconfig('socks', 'token: none', { ...sandbox(), more: ', proxy-url: "socks5://127.0.0.1:1080"' });
    const child = run(t, ['--kubeconfig', path]);
    const said = await firstLine(child, /proxy-url has to be a URL of http or https/);
    assert.ok(said.includes(path), said);
  });

  test('no more than it needs: at most 2.2 MB, in ASCII, of which V8 keeps one byte a character', () => {
    const bytes = readFileSync(bundle);
    assert.ok(bytes.length <= maxBundleBytes, `the bundle has ${bytes.length} bytes`);
    const other = bytes.findIndex((byte) => byte > 0x7f);
    assert.equal(other, -1, `not ASCII: ${bytes.subarray(Math.max(0, other - 60), other + 20).toString('utf8')}`);
  });
});

/** A proxy that opens tunnels (CONNECT), and remembers to where. */
async function startProxy(t: TestContext): Promise<{ readonly url: string; readonly targets: readonly string[] }> {
  const targets: string[] = [];
  const sockets = new Set<Duplex>();
  const server = createHttpServer((_request, reply) => reply.writeHead(405).end());
  server.on('connect', ({ url = '' }, client, head) => {
    targets.push(url);
    const { hostname, port } = new URL(`http://${url}`);
    const upstream = connect(Number(port), hostname, () => {
      client.write('HTTP/1.1 200 Connection established\r\n\r\n');
      upstream.write(head);
      upstream.pipe(client).pipe(upstream);
    });
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => client.destroy()).on('close', () => upstream.destroy());
    }
  });
  server.listen(0, '127.0.0.1');
  await eventOf(server, 'listening', 'the server to listen');
  t.after(() => {
    for (const socket of sockets) {
      socket.destroy();
    }
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}`, targets };
}

/** Resolves with the first line of the child's output that matches. */
function firstLine(child: ChildProcess, pattern: RegExp): Promise<string> {
  return withinBound(findLine(child, pattern), `a line that matches ${pattern}`);
}

async function findLine(child: ChildProcess, pattern: RegExp): Promise<string> {
  if (child.stdout === null) {
    assert.fail('the output is not a pipe');
  }
  for await (const line of createInterface({ input: child.stdout })) {
    if (pattern.test(line)) {
      return line;
    }
  }
  return assert.fail(`the agent ended without saying ${pattern}`);
}

/** A server that lets only its certificate's holder in, and passes their calls on to the API server under a token. */
async function startDoor(
  t: TestContext,
  options: Readonly<Record<'cert' | 'key' | 'upstream' | 'ca' | 'token', string>>,
): Promise<{ readonly url: string; readonly seen: () => number }> {
  const { cert, key, upstream, ca, token } = options;
  let calls = 0;
  const server = createServer({ cert, key, ca: cert, requestCert: true, rejectUnauthorized: true }, (call, reply) => {
    calls += 1;
    const headers = { ...call.headers, authorization: `Bearer ${token}` };
    const passed = request(`${upstream}${call.url}`, { ca, method: call.method, headers }, (answer) => {
      reply.writeHead(answer.statusCode ?? 502, answer.headers);
      reply.flushHeaders();
      answer.pipe(reply);
    });
    passed.on('error', () => reply.destroy());
    reply.on('close', () => passed.destroy());
    call.pipe(passed);
  });
  server.listen(0, '127.0.0.1');
  await eventOf(server, 'listening', 'the server to listen');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return { url: `https://127.0.0.1:${port}`, seen: () => calls };
}
