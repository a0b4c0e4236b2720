/**
 * The operator's allow-list, seen from outside: who is refused, who is told, and that a change needs no restart.
 */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { runCommand } from '../../agent/cli/commands.ts';
import { makeDirectory } from '../support/directory.ts';
import { signerName, startNode, usualSources, written } from './node.ts';

const volumes = [{ name: 'mtls', sources: usualSources }];

/** A configuration file that lets one namespace ask. */
function allowListFile(t: TestContext): { readonly path: string; allow(namespace: string): void } {
  const directory = makeDirectory(t);
  const path = join(directory, 'config.yaml');
  const allow = (namespace: string) =>
    writeFileSync(path, `allowedSigners:\n- namespaces: [${namespace}]\n  signers: [example.com/*]\n`);
  return { path, allow };
}

test('a namespace that may not ask a signer gets an event instead of a request, until the file allows it', async (t) => {
  const file = allowListFile(t);
  file.allow('elsewhere');
  const node = await startNode(t, { flags: ['--config', file.path] });

  await node.cluster.admin.createPod({ name: 'refused', volumes });
  const event = await node.event('refused', 'SignerNotAllowed');
  assert.equal(event.type, 'Warning');
  assert.match(event.message ?? '', new RegExp(`namespace default may not ask signer ${signerName}`));
  assert.deepEqual(node.requests(), []);

  file.allow('default');
  await node.logged((line) => line.message === 'the configuration file has changed');
  // The pod that was refused before goes on by itself: a change of the list is what it waits for.
  const pod = await node.cluster.admin.podRunning('default', 'refused');
  assert.match(node.read(pod, 'tls.pem'), /BEGIN PRIVATE KEY/);
  const [announced] = node.lines.flatMap((line) => line['retryAt'] ?? []);
  const asked = node.lines.find(({ message }) => message === 'certificate requested')?.['time'];
  assert.ok(String(asked) < String(announced), `asked at ${asked}, announced for ${announced}`);
});

test('a volume of an earlier run keeps its certificate and gets no other, once its namespace may not ask any more', async (t) => {
  const file = allowListFile(t);
  file.allow('default');
  const signers = [{ signerName, lifetimeSeconds: 20, refreshAtFraction: 0.1 }];
  const node = await startNode(t, { timeScale: 600, signers, flags: ['--config', file.path] });
  await node.cluster.admin.createPod({ name: 'web', volumes });
  await node.logged(written('web', true));
  const pod = await node.cluster.admin.podRunning('default', 'web');
  await node.stopAgent();
  const { serialNumber } = node.leaf(pod);
  const asked = node.requests().length;

  file.allow('elsewhere');
  await node.startAgent();
  await node.event('web', 'SignerNotAllowed');
  assert.equal(node.leaf(pod).serialNumber, serialNumber);
  assert.ok(node.requests().length <= asked, `${node.requests().length} is more than ${asked}`);
});

test('the operator ends the pause of a pod that was refused, over the socket of the agent alone', async (t) => {
  const file = allowListFile(t);
  file.allow('elsewhere');
  const node = await startNode(t, { flags: ['--config', file.path] });
  const socket = `${node.cluster.csiSocket}.probe`;
  await node.cluster.admin.createPod({ name: 'refused', volumes });
  await node.event('refused', 'SignerNotAllowed');
  const told: string[] = [];
  const retry = (pod: string) => {
    const note = { write: (text: string) => told.push(text) };
    const stopping = AbortSignal.timeout(10_000);
    return runCommand('retry', ['--pod', pod, '--socket', socket], { stdout: note, stderr: note, stopping });
  };
  assert.equal(await retry('default/other'), 1);
  assert.match(told.join(''), /^no pod default\/other has a volume/);
  told.length = 0;
  await retry('default/refused');
  // Between two pauses there is a moment at which the attempt is under way already.
  assert.match(told.join(''), /^default\/refused volume mtls sources\[\d\] of |^nothing pauses; 1 other/);
});
