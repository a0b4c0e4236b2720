/** Damage to a volume on a whole node: an agent that starts takes it up again under its running pod, as soon as it can know the pod. */
import assert from 'node:assert/strict';
import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { mountSkip } from '../volumes/support.ts';
import { usualSources } from './node.ts';
import { startRealNode } from './real-node.ts';

const damages: Readonly<Record<string, (state: string) => void>> = {
  'is damaged': (state) => writeFileSync(join(state, 'volume.json'), 'damaged'),
  'is missing': (state) => rmSync(join(state, 'volume.json')),
};

for (const [what, damage] of Object.entries(damages)) {
  test(`a volume whose record ${what} keeps its files until its pod can be looked up, and is then taken up with the certificate in them`, {
    skip: mountSkip,
    timeout: 300_000,
  }, async (t) => {
    const node = await startRealNode(t);
    const { admin, apiServer } = node.cluster;
    const first = await node.startAgent();
    await admin.createPod({ name: 'web', volumes: [{ name: 'mtls', sources: usualSources }] });
    const pod = await admin.podRunning('default', 'web');
    await first.end('SIGKILL');
    const state = join(node.volume(pod), '..agent');
    damage(state);
    const before = node.read(pod, 'tls.pem');

    const mend = apiServer.faults.add({ kind: 'error', code: 503, match: { resource: 'pods' } });
    const agent = node.spawnAgent();
    await agent.logged(({ message }) => message.startsWith('a volume of an earlier run cannot be taken up'));
    assert.ok(node.read(pod, 'tls.pem') === before, 'the files stay while nobody can say whose they are');
    mend();
    await agent.logged(({ message }) => message === 'volume made anew from its pod and taken up');

    assert.ok(node.read(pod, 'tls.pem') === before, 'the certificate, which is valid, is taken up with the volume');
    await agent.end('SIGKILL');
    const next = await node.startAgent();
    await next.logged(({ message }) => message === 'certificate adopted');
    assert.equal(node.created.length, 1, 'its record is whole again');
    assert.deepEqual(node.mounts(), [node.volume(pod)], 'the new mount takes the place of the old one');
    await admin.deletePod('default', 'web');
    assert.deepEqual(node.mounts(), []);
    assert.deepEqual(readdirSync(join(node.cluster.kubeletRoot, 'pods')), []);
  });
}
