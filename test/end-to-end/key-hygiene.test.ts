/**
 * Private keys are in the volumes' tmpfs and nowhere else that anybody can look: every key of a whole run, of all types and with
 * rotations, is searched for in what the agent says and leaves.
 */
import assert from 'node:assert/strict';
import { createPrivateKey, type KeyObject } from 'node:crypto';
import { lstatSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { keyTypes } from '../../volumes/declaration/key-types.ts';
import { until } from '../support/bounded.ts';
import { mountSkip } from '../volumes/support.ts';
import { signerName, usualSources } from './node.ts';
import { startRealNode } from './real-node.ts';

test('no private key is in logs, metrics, events, requests, core dumps or files outside the volumes', {
  skip: mountSkip,
  timeout: 600_000,
}, async (t) => {
  const signers = [{ signerName, lifetimeSeconds: 20, refreshAtFraction: 0.1 }];
  const node = await startRealNode(t, { timeScale: 600, signers });
  const agent = await node.startAgent();
  const names = keyTypes.map((keyType) => keyType.toLowerCase());
  for (const keyType of keyTypes) {
    const certificate = { signerName, keyType, keyPath: 'key.pem', certificateChainPath: 'chain.pem' };
    const volumes = [{ name: 'mtls', sources: [{ podCertificate: certificate }, ...usualSources.slice(1)] }];
    await node.cluster.admin.createPod({ name: keyType.toLowerCase(), volumes });
  }
  const pods = await Promise.all(names.map((name) => node.cluster.admin.podRunning('default', name)));
  const first = pods.map((pod) => node.read(pod, 'key.pem'));
  // By the files, not by the log: what is in the log may have been read long after the files.
  await Promise.all(
    pods.map((pod, index) => until(() => node.read(pod, 'key.pem') !== first[index], `another key of ${names[index]}`)),
  );
  const keys = new Set(first);
  for (const pod of pods) {
    keys.add(node.read(pod, 'key.pem'));
  }
  assert.ok(keys.size >= 2 * keyTypes.length, String(keys.size));

  const metrics = await agent.get('/metrics');
  assert.equal(metrics.status, 200);
  const filter = readFileSync(`/proc/${agent.pid}/coredump_filter`, 'utf8');
  assert.equal(Number.parseInt(filter, 16), 0);
  const recorded = (): string => JSON.stringify(node.cluster.apiServer.store.list('events'));
  await until(() => recorded().includes('"Rotated"'), 'an event that tells of a renewal');
  const events = recorded();
  await agent.end('SIGTERM');
  const requests = JSON.stringify(node.created);
  const places = new Map([
    ['log', agent.output()],
    ['metrics', metrics.text],
    ['events', events],
    ['requests', requests],
    ...filesOutsideVolumes(node.directory),
  ]);
  assert.ok(places.size > 8, `${places.size} is not more than 8`);
  for (const [place, text] of places) {
    // The cluster's users have keys of their own, in their kubeconfig files.
    assert.ok(place.endsWith('.kubeconfig') || !text.includes('PRIVATE KEY'), place);
    for (const key of keys) {
      for (const form of formsOf(createPrivateKey(key))) {
        assert.ok(!text.includes(form), place);
      }
    }
  }
});

/** Characters from which on a text cannot be in another by chance. */
const shortestTelling = 32;

/** How a key might be written: the lines of its PEM, and its PKCS#8 and its secret number in base64, base64url and hex. */
function formsOf(key: KeyObject): readonly string[] {
  const der = key.export({ type: 'pkcs8', format: 'der' });
  const { d = '' } = key.export({ format: 'jwk' });
  const secret = Buffer.from(d, 'base64url');
  const pem = String(key.export({ type: 'pkcs8', format: 'pem' }));
  // A key's first line says its type only, and its last may be a byte or two, which stand in any base64.
  const lines = pem
    .trim()
    .split('\n')
    .slice(2, -1)
    .filter((line) => line.length >= shortestTelling);
  const encoded = [der, secret].flatMap((bytes) =>
    (['base64', 'base64url', 'hex'] as const).map((encoding) => bytes.toString(encoding)),
  );
  return [...lines, ...encoded, secret.toString('hex').toUpperCase(), secret.toString('latin1')];
}

/** Every file below a directory that is not in a file system of its own. */
function filesOutsideVolumes(directory: string, device = lstatSync(directory).dev): readonly [string, string][] {
  return readdirSync(directory).flatMap((name): readonly [string, string][] => {
    const path = join(directory, name);
    const stats = lstatSync(path);
    if (stats.isDirectory()) {
      return stats.dev === device ? filesOutsideVolumes(path, device) : [];
    }
    return stats.isFile() ? [[path, readFileSync(path, 'latin1')]] : [];
  });
}
