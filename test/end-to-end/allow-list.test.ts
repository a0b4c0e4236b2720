/**
 * The operator's allow-list, seen from outside: who is refused, who is told, and that a change needs no restart.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { signerName, startNode, usualSources } from './node.ts';

const volumes = [{ name: 'mtls', sources: usualSources }];

test('a namespace that may not ask a signer gets an event instead of a request, until the file allows it', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'allow-list-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const file = join(directory, 'config.yaml');
  const write = (namespace: string) =>
    writeFileSync(file, `allowedSigners:\n- namespaces: [${namespace}]\n  signers: [example.com/*]\n`);
  write('elsewhere');
  const node = await startNode(t, { flags: ['--config', file] });

  await node.cluster.admin.createPod({ name: 'refused', volumes });
  const event = await node.event('refused', 'SignerNotAllowed');
  assert.equal(event.type, 'Warning');
  assert.match(event.message ?? '', new RegExp(`namespace default may not ask signer ${signerName}`));
  assert.deepEqual(node.requests(), []);

  write('default');
  await node.logged((line) => line.message === 'the configuration file has changed');
  await node.cluster.admin.createPod({ name: 'allowed', volumes });
  const pod = await node.cluster.admin.podRunning('default', 'allowed');
  assert.match(node.read(pod, 'tls.pem'), /BEGIN PRIVATE KEY/);
});
