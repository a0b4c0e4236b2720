/**
 * A server in Java over mutual TLS with nothing but keystores: it serves the certificate of its pod, takes up renewals without a
 * restart, and lets in whom its truststore knows.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { connect } from 'node:tls';
import { until, withinBound } from '../support/bounded.ts';
import { javaIsMissing, javaOptions, javaProgram } from '../support/java.ts';
import { signerName, startNode, usualSources, written } from './node.ts';

const otherSigner = 'example.com/other';
const password = 'a given password';

const keystores = [
  {
    podCertificate: {
      ...{ signerName, keyType: 'ECDSAP256', credentialBundlePath: 'tls.pem' },
      ...{ keystorePath: 'keystore.p12', passwordPath: 'keystore.password' },
    },
  },
  { clusterTrustBundle: { signerName, labelSelector: {}, path: 'ca.pem', truststorePath: 'truststore.p12', password } },
];

test('a server in Java serves what its keystore holds, after a renewal too, and trusts whom its truststore names', {
  skip: javaIsMissing,
  timeout: 300_000,
}, async (t) => {
  const lived = { lifetimeSeconds: 120, refreshAtFraction: 0.1 };
  const node = await startNode(t, { signers: [{ signerName, ...lived }, { signerName: otherSigner }], timeScale: 60 });
  const { admin } = node.cluster;
  await admin.createPod({ name: 'server', volumes: [{ name: 'mtls', sources: keystores }] });
  await admin.createPod({ name: 'client', volumes: [{ name: 'mtls', sources: usualSources }] });
  const foreign = { signerName: otherSigner, keyType: 'ECDSAP256', credentialBundlePath: 'tls.pem' };
  await admin.createPod({ name: 'stranger', volumes: [{ name: 'mtls', sources: [{ podCertificate: foreign }] }] });
  const [server, client, stranger] = [
    await admin.podRunning('default', 'server'),
    await admin.podRunning('default', 'client'),
    await admin.podRunning('default', 'stranger'),
  ];
  const anchors = node.read(client, 'ca.pem');
  const port = await serve(t, node.volume(server));
  const first = await greeting(port, node.read(client, 'tls.pem'), anchors);
  assert.equal(first.text, 'hello\n');
  assert.equal((await greeting(port, node.read(stranger, 'tls.pem'), anchors)).text, '', 'a stranger is let in');

  await node.logged(written('server', false));
  await until(async () => {
    const { serial, text } = await greeting(port, node.read(client, 'tls.pem'), anchors);
    return text === 'hello\n' && serial !== first.serial && serial === node.leaf(server).serialNumber;
  }, 'the server to serve the renewed certificate');

  const made = node.read(server, 'keystore.password');
  const events = JSON.stringify(node.cluster.apiServer.store.list('events'));
  const state = join(node.volume(server), '..agent', 'volume.json');
  const places = [
    JSON.stringify(node.lines),
    events,
    await node.metrics(),
    await node.get('/statusz?format=json'),
    readFileSync(state, 'utf8'),
  ];
  for (const [index, text] of places.entries()) {
    assert.ok(text.length > 0 && !text.includes(made) && !text.includes(password), `place ${index} tells a password`);
  }
});

/** @returns the port */
async function serve(t: TestContext, volume: string): Promise<number> {
  const child = spawn('java', [...javaOptions, '-Xmx64m', javaProgram('TlsServer'), volume], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  child.stderr.on('data', (text) => {
    said += text;
  });
  const exit = once(child, 'exit');
  t.after(async () => {
    child.kill('SIGKILL');
    await exit;
  });
  const ended = exit.then(([code]) => assert.fail(`the server has ended with ${code}: ${said}`));
  const listens = Promise.race([once(child.stdout, 'data'), ended]);
  const [port] = await withinBound(listens, () => `the server's port; it says ${said}`);
  return Number(port);
}

interface Greeting {
  /** Of the certificate that the server has shown. */
  readonly serial: string;
  /** Empty where the server hangs up. */
  readonly text: string;
}

function greeting(port: number, credentials: string, anchors: string): Promise<Greeting> {
  const { promise, resolve } = Promise.withResolvers<Greeting>();
  let [serial, text] = ['', ''];
  const socket = connect({
    ...{ host: '127.0.0.1', port, ca: anchors, cert: credentials, key: credentials },
    // The name in the certificate is the signer's choice.
    checkServerIdentity: () => undefined,
  });
  socket.on('secureConnect', () => {
    serial = socket.getPeerX509Certificate()?.serialNumber ?? '';
  });
  socket.on('data', (bytes) => {
    text += bytes;
  });
  socket.on('error', () => undefined);
  socket.on('close', () => resolve({ serial, text }));
  return withinBound(promise, 'the server to answer').finally(() => socket.destroy());
}
