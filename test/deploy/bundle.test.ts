/**
 * The bundle, run as the image and the plain manifest run it: far from any package, in a process of its own, with
 * the configuration that the manifest mounts.
 */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { get } from 'node:https';
import { type AddressInfo, createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, before, describe, test } from 'node:test';
import { bundleAgent } from '../../deploy/bundle.ts';
import { manifestFile } from '../../deploy/manifest.ts';
import { images } from '../../deploy/release/images.ts';
import packageJson from '../../package.json' with { type: 'json' };
import { startCluster } from '../../sandbox/cluster/cluster.ts';
import { eventOf, withinBound } from '../support/bounded.ts';
import { makeDirectory } from '../support/directory.ts';
import { withFields } from '../support/fields.ts';
import { objectsIn, one } from './objects.ts';

const signerName = 'example.com/mesh';
const sources = [{ podCertificate: { signerName, keyType: 'ECDSAP384', credentialBundlePath: 'tls.pem' } }];

describe('the bundle', () => {
  const directory = makeDirectory({ after });
  const output = join(directory, 'dist');
  /** What a program says at its end: each module of Node.js itself that it has loaded. */
  const tell = "process.once('exit', () => process.stderr.write(process.moduleLoadList.join('\\n')))";
  const telling = ['--import', `data:text/javascript,${encodeURIComponent(tell)}`];
  const run = (args: readonly string[]) =>
    spawn(process.execPath, [...telling, join(output, 'agent.mjs'), ...args], {
      // Nothing of the clone is in reach: neither its packages nor its package.json.
      cwd: directory,
      env: {},
      stdio: ['ignore', 'pipe', 'pipe'],
    });

  /** As the kubelet asks. @returns the exit code */
  const probe = (what: string, socket: string): number | null => {
    const words = [...telling, join(output, 'probe.mjs'), what, `--socket=${socket}`];
    const { status, stderr } = spawnSync(process.execPath, words, { cwd: directory, env: {}, encoding: 'utf8' });
    assertLoadsNoUndici(stderr);
    return status;
  };

  before(() => bundleAgent(output));

  test('knows its version, also when it is started through the link of its image in its own right', async () => {
    assert.equal(await withinBound(text(run(['--version']).stdout), 'the version'), `${packageJson.version}\n`);
    const env = { PATH: `${dirname(process.execPath)}:/usr/bin:/bin` };
    for (const { name, programs } of images) {
      const link = join(directory, name);
      symlinkSync(join(output, programs[0]), link);
      const { stdout } = spawnSync(link, ['--version'], { env, encoding: 'utf8' });
      assert.equal(stdout, `${packageJson.version}\n`, name);
    }
  });

  test('issues a certificate, answers the probes and nobody else, and stops in order', async (t) => {
    const cluster = await startCluster({ directory, signers: [{ signerName }] });
    t.after(() => cluster.close());
    const { data } = withFields<{ data: Record<string, string> }>(
      one(objectsIn(readFileSync(manifestFile, 'utf8')), 'ConfigMap'),
      'data',
    );
    const configuration = join(directory, 'config.yaml');
    writeFileSync(configuration, data['config.yaml'] ?? '');
    const port = await freePort();
    const child = run([
      ...['--config', configuration, '--node-name', cluster.nodeName],
      // What only this machine has otherwise.
      ...['--kubeconfig', cluster.kubeconfigs.agent, '--kubelet-root', cluster.kubeletRoot],
      ...['--csi-socket', cluster.csiSocket, '--no-registration', '--volume-mode', 'directory'],
      ...['--metrics-address', `0.0.0.0:${port}`, '--local-address', '127.0.0.1:0'],
    ]);
    const ended = once(child, 'exit');
    t.after(() => child.kill('SIGKILL'));
    const log = text(child.stdout);
    const loaded = text(child.stderr);
    await cluster.admin.createPod({ name: 'web', volumes: [{ name: 'mtls', sources }] });
    const pod = await cluster.admin.podRunning('default', 'web');
    const volume = join(cluster.kubeletRoot, 'pods', pod.metadata.uid ?? '', 'volumes/kubernetes.io~csi/mtls/mount');
    const bundle = readFileSync(join(volume, 'tls.pem'), 'utf8');
    assert.match(bundle, /^-----BEGIN PRIVATE KEY-----[^-]+-----END PRIVATE KEY-----\n-----BEGIN CERTIFICATE-----/);
    for (const what of ['live', 'ready']) {
      assert.equal(probe(what, `${cluster.csiSocket}.probe`), 0, what);
    }
    // As one asks who believes any certificate and has no token.
    for (const path of ['/livez', '/readyz']) {
      assert.equal(await statusOf(port, path), 200, path);
    }
    for (const path of ['/metrics', '/statusz', '/flagz']) {
      assert.equal(await statusOf(port, path), 401, path);
    }
    child.kill('SIGTERM');
    assert.deepEqual(await withinBound(ended, 'the agent to end'), [0, null]);
    assert.equal(probe('live', `${cluster.csiSocket}.probe`), 1);
    assert.match(await withinBound(log, 'the end of the log'), /"message":"the agent stops/);
    assertLoadsNoUndici(await withinBound(loaded, 'what the agent has loaded'));
  });

  test('keeps the second implementation of signatures, which is needed for a second, out of the process that stays', () => {
    const isNoble = (module: string) => module.includes('/@noble/');
    assert.deepEqual(modulesIn(join(output, 'agent.mjs.map')).filter(isNoble), []);
    assert.notEqual(modulesIn(join(output, 'second-opinion.mjs.map')).filter(isNoble).length, 0);
  });

  test('comes with the licences of what is in it', () => {
    assert.deepEqual(readdirSync(output).toSorted(), [
      'THIRD-PARTY-LICENSES.txt',
      ...[
        'agent.mjs',
        'agent.mjs.map',
        'handshake.mjs',
        'handshake.mjs.map',
        'probe.mjs',
        'probe.mjs.map',
        'second-opinion.mjs',
        'second-opinion.mjs.map',
        'signer.mjs',
        'signer.mjs.map',
      ],
    ]);
    const licenses = readFileSync(join(output, 'THIRD-PARTY-LICENSES.txt'), 'utf8');
    for (const name of ['@grpc/grpc-js', '@noble/curves', 'pino']) {
      assert.match(licenses, new RegExp(`^${name} `, 'm'));
    }
    assert.doesNotMatch(licenses, /^(typescript|esbuild|fast-check) /m);
  });
});

/** The paths of the modules that a file of the bundle was made of. */
function modulesIn(map: string): readonly string[] {
  const { sources }: { sources: readonly string[] } = JSON.parse(readFileSync(map, 'utf8'));
  return sources;
}

/** An import statement of `node:http` loads it: 10 MiB and a tenth of a second, of the agent and of each of the kubelet's probes. */
function assertLoadsNoUndici(modules: string): void {
  assert.match(modules, /^NativeModule http$/m);
  assert.doesNotMatch(modules, /undici/);
}

async function statusOf(port: number, path: string): Promise<number | undefined> {
  const call = get({ host: '127.0.0.1', port, path, rejectUnauthorized: false, agent: false });
  const [response]: IncomingMessage[] = await eventOf(call, 'response', 'the response');
  response?.resume();
  return response?.statusCode;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '0.0.0.0');
  await eventOf(server, 'listening', 'the server to listen');
  const { port } = server.address() as AddressInfo;
  server.close();
  await eventOf(server, 'close', 'the server to be closed');
  return port;
}
