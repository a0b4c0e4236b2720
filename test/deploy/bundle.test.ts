/**
 * The bundle, run as the image runs it: one file, far from any package, in a process of its own.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, before, describe, test } from 'node:test';
import { bundleAgent } from '../../deploy/bundle.ts';
import packageJson from '../../package.json' with { type: 'json' };
import { startCluster } from '../../sandbox/cluster.ts';

const signerName = 'example.com/mesh';
const sources = [{ podCertificate: { signerName, keyType: 'ECDSAP384', credentialBundlePath: 'tls.pem' } }];

describe('the bundle', () => {
  const directory = mkdtempSync(join(tmpdir(), 'bundle-'));
  const output = join(directory, 'dist');
  const run = (args: readonly string[]) =>
    spawn(process.execPath, [join(output, 'agent.mjs'), ...args], {
      // Nothing of the clone is in reach: neither its packages nor its package.json.
      cwd: directory,
      env: {},
      stdio: ['ignore', 'pipe', 'pipe'],
    });

  before(() => bundleAgent(output));
  after(() => rmSync(directory, { recursive: true, force: true }));

  test('knows its version', async () => {
    const child = run(['--version']);
    assert.equal(await text(child.stdout), `${packageJson.version}\n`);
  });

  test('issues a certificate and stops in order', async (t) => {
    const cluster = await startCluster({ directory, signers: [{ signerName }] });
    t.after(() => cluster.close());
    const child = run([
      ...['--kubeconfig', cluster.kubeconfigs.agent, '--impersonate-node', '--node-name', cluster.nodeName],
      ...['--kubelet-root', cluster.kubeletRoot, '--csi-socket', cluster.csiSocket, '--no-registration'],
      ...['--volume-mode', 'directory', '--metrics-address', ''],
    ]);
    const ended = once(child, 'exit');
    t.after(() => child.kill('SIGKILL'));
    const log = text(child.stdout);
    await cluster.admin.createPod({ name: 'web', volumes: [{ name: 'mtls', sources }] });
    const pod = await cluster.admin.podRunning('default', 'web');
    const volume = join(cluster.kubeletRoot, 'pods', pod.metadata.uid ?? '', 'volumes/kubernetes.io~csi/mtls/mount');
    const bundle = readFileSync(join(volume, 'tls.pem'), 'utf8');
    assert.match(bundle, /^-----BEGIN PRIVATE KEY-----[^-]+-----END PRIVATE KEY-----\n-----BEGIN CERTIFICATE-----/);
    child.kill('SIGTERM');
    assert.deepEqual(await ended, [0, null]);
    assert.match(await log, /"message":"the agent stops/);
  });

  test('comes with the licences of what is in it', () => {
    assert.deepEqual(readdirSync(output).toSorted(), ['THIRD-PARTY-LICENSES.txt', 'agent.mjs', 'agent.mjs.map']);
    const licenses = readFileSync(join(output, 'THIRD-PARTY-LICENSES.txt'), 'utf8');
    for (const name of ['@grpc/grpc-js', '@noble/curves', 'pino']) assert.match(licenses, new RegExp(`^${name} `, 'm'));
    assert.doesNotMatch(licenses, /^(typescript|esbuild|fast-check) /m);
  });
});
