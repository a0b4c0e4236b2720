/**
 * What a restart of the agent costs its pods: nothing. Agents are processes that end in every way, volumes are real.
 */
import assert from 'node:assert/strict';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { mountSkip } from '../volumes/support.ts';
import { flagsFor, issuerCases, startAnswering } from './issuers.ts';
import { signerName, usualSources, written } from './node.ts';
import { type AgentProcess, startRealNode } from './real-node.ts';

const volumes = [{ name: 'mtls', sources: usualSources }];
const quickSigner = 'example.com/quick';
const quickVolumes = [
  {
    name: 'mtls',
    sources: [{ podCertificate: { signerName: quickSigner, keyType: 'ED25519', credentialBundlePath: 'tls.pem' } }],
  },
];

test('agents that are killed or stopped leave the volumes as they are; the next one asks for nothing and goes on refreshing', {
  skip: mountSkip,
  timeout: 600_000,
}, async (t) => {
  const signers = [{ signerName, lifetimeSeconds: 600 }];
  const node = await startRealNode(t, { timeScale: 600, signers });
  await node.cluster.addSigner({ signerName: quickSigner, lifetimeSeconds: 12, refreshAtFraction: 0.1 });
  let agent = await node.startAgent();
  await node.cluster.admin.createPod({ name: 'web', volumes });
  await node.cluster.admin.createPod({ name: 'quick', volumes: quickVolumes });
  const web = await node.cluster.admin.podRunning('default', 'web');
  const quick = await node.cluster.admin.podRunning('default', 'quick');
  const before = { bundle: node.read(web, 'tls.pem'), data: readlinkSync(join(node.volume(web), '..data')) };
  const requestsOf = (signer: string) => node.created.filter(({ spec }) => spec.signerName === signer).length;

  for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
    const exit = await agent.end(signal);
    assert.deepEqual(exit, signal === 'SIGTERM' ? { code: 0, signal: null } : { code: null, signal });
    assert.equal(node.mounts().length, 2);
    assert.equal(existsSync(node.cluster.csiSocket), signal === 'SIGKILL');
    assert.equal(readdirSync(node.cluster.registrationDirectory).length, signal === 'SIGKILL' ? 1 : 0);
    agent = await node.startAgent();
    const adopted = await agent.logged((line) => line.message === 'certificate adopted' && line['pod'] === 'web');
    assert.equal(adopted['signerName'], signerName);
    const renewed = await agent.logged(written('quick', false));
    assert.equal(leafOf(node.read(quick, 'tls.pem')).serialNumber, renewed['serial']);
    assert.equal(node.read(web, 'tls.pem'), before.bundle);
    assert.equal(readlinkSync(join(node.volume(web), '..data')), before.data);
    assert.equal(requestsOf(signerName), 1);
    assert.ok(!agent.lines.some((line) => line.level === 'error' && line['pod'] !== 'quick'), agent.output());
  }

  await node.cluster.admin.deletePod('default', 'web');
  await node.cluster.admin.deletePod('default', 'quick');
  assert.deepEqual(node.mounts(), []);
  assert.deepEqual(readdirSync(join(node.cluster.kubeletRoot, 'pods')), []);
});

test('a kubelet that restarts finds driver and volumes as they were, and a volume that it has forgotten goes with its pod', {
  skip: mountSkip,
  timeout: 600_000,
}, async (t) => {
  const node = await startRealNode(t);
  const { cluster } = node;
  const agent = await node.startAgent();
  for (const name of ['web', 'lost', 'kept']) {
    await cluster.admin.createPod({ name, volumes });
  }
  const web = await cluster.admin.podRunning('default', 'web');
  const lost = await cluster.admin.podRunning('default', 'lost');
  const kept = await cluster.admin.podRunning('default', 'kept');
  const before = readlinkSync(join(node.volume(web), '..data'));
  const count = (message: string, method?: string) =>
    agent.lines.filter((line) => line.message === message && line['method'] === method).length;
  await cluster.stopKubelet();
  const published = count('call answered', 'NodePublishVolume');
  cluster.startKubelet();
  await agent.logged(() => count('the kubelet registered the driver') === 2);
  await agent.logged(() => count('call answered', 'NodePublishVolume') === published + 3);
  assert.equal(readlinkSync(join(node.volume(web), '..data')), before);
  assert.equal(node.created.length, 3);

  await cluster.stopKubelet();
  await agent.end('SIGKILL');
  for (const pod of [lost, kept]) {
    rmSync(join(node.volume(pod), '..', 'vol_data.json'));
  }
  cluster.apiServer.store.remove('pods', 'default', 'lost');
  const next = node.spawnAgent();
  // Two looks a minute apart come before that.
  await next.logged((line) => line.message === 'volume removed' && line['pod'] === 'lost', 240_000);
  assert.deepEqual(node.mounts().toSorted(), [node.volume(web), node.volume(kept)].toSorted());
});

test('an agent whose log nobody reads any more goes on, and stops in order', {
  skip: mountSkip,
  timeout: 600_000,
}, async (t) => {
  const node = await startRealNode(t);
  const agent = await node.startAgent();
  agent.turnAway();
  for (const name of ['web', 'shop']) {
    await node.cluster.admin.createPod({ name, volumes });
    await node.cluster.admin.podRunning('default', name);
    await node.cluster.admin.deletePod('default', name);
  }
  assert.deepEqual(await agent.end('SIGTERM'), { code: 0, signal: null });
});

test('a request that is on its way outlives agents, and a call that waits for it ends when its agent is told to stop', {
  skip: mountSkip,
  timeout: 600_000,
}, async (t) => {
  const node = await startRealNode(t, { signers: [{ signerName, behaviour: { type: 'silent' } }] });
  await node.cluster.admin.createPod({ name: 'web', volumes });
  await node.cluster.admin.createPod({ name: 'gone', volumes });
  const asked = (agent: AgentProcess, pod: string) =>
    agent.logged((line) => line.message === 'certificate requested' && line['pod'] === pod);
  for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
    const agent = await node.startAgent();
    await asked(agent, 'web');
    await asked(agent, 'gone');
    const { code } = await agent.end(signal);
    assert.equal(code, signal === 'SIGTERM' ? 0 : null);
  }
  const agent = await node.startAgent();
  await agent.logged((line) => line.message === 'request resumed' && line['pod'] === 'web');
  // Unpublish ends the request that is waited for; what the signer says later changes nothing.
  await node.cluster.admin.deletePod('default', 'gone');
  node.cluster.signer(signerName).setBehaviour({ type: 'instant' });
  const web = await node.cluster.admin.podRunning('default', 'web');
  const bundle = node.read(web, 'tls.pem');
  assert.equal(leafOf(bundle).checkPrivateKey(createPrivateKey(bundle)), true, 'the key does not belong to the leaf');
  assert.equal(node.created.length, 2);
  assert.deepEqual(node.mounts(), [node.volume(web)]);
});

// The test above has it for PodCertificateRequests, of two pods.
for (const { api, can, storedAs } of issuerCases.filter((each) => each.api !== 'podCertificateRequest')) {
  test(`a ${can.title} request outlives agents that are killed, and its answer costs no request more`, {
    skip: mountSkip,
    timeout: 600_000,
  }, async (t) => {
    const node = await startRealNode(t, { certManager: api === 'certManager', signers: [{ signerName }] });
    const made: unknown[] = [];
    node.cluster.apiServer.store.subscribe(({ type, resource, object }) => {
      if (type === 'ADDED' && resource === storedAs) {
        made.push(object.metadata.name);
      }
    });
    const setAnswering = await startAnswering(t, api, node, 3600);
    setAnswering('silent');
    const first = await node.startAgent(flagsFor(api));
    await node.cluster.admin.createPod({ name: 'web', volumes });
    await first.logged((line) => line.message === 'certificate requested');
    await first.end('SIGKILL');
    const second = await node.startAgent(flagsFor(api));
    await second.logged((line) => line.message === 'request resumed');
    setAnswering('issue');
    const web = await node.cluster.admin.podRunning('default', 'web');
    const bundle = node.read(web, 'tls.pem');
    assert.equal(leafOf(bundle).checkPrivateKey(createPrivateKey(bundle)), true, 'the key does not belong to the leaf');
    await second.end('SIGKILL');
    const third = await node.startAgent(flagsFor(api));
    await third.logged((line) => line.message === 'certificate adopted');
    assert.equal(node.read(web, 'tls.pem'), bundle);
    assert.equal(made.length, 1);
  });
}

test('250 volumes are taken up without one request, and no byte of them changes', {
  skip: mountSkip,
  timeout: 600_000,
}, async (t) => {
  const node = await startRealNode(t);
  const first = await node.startAgent();
  const pods = Array.from({ length: 25 }, (_, index) => `web-${index}`);
  const ten = Array.from({ length: 10 }, (_, index) => ({ name: `mtls-${index}`, sources: usualSources }));
  for (const name of pods) {
    await node.cluster.admin.createPod({ name, volumes: ten });
  }
  await Promise.all(pods.map((name) => node.cluster.admin.podRunning('default', name)));
  await first.end('SIGKILL');
  const found = node.mounts();
  assert.equal(found.length, 250);
  const contents = () =>
    found.map((volume) => [
      readFileSync(join(volume, 'tls.pem'), 'utf8'),
      readFileSync(join(volume, 'ca.pem'), 'utf8'),
      readlinkSync(join(volume, '..data')),
    ]);
  const before = contents();
  const created = node.created.length;
  const startedAt = performance.now();
  const second = await node.startAgent();
  t.diagnostic(`ready ${Math.round(performance.now() - startedAt)} ms after the start of the process`);
  assert.equal(second.lines.filter((line) => line.message === 'certificate adopted').length, 250);
  // Anchors come with the watch: once they are in a new volume, they were compared in all others, and not written.
  await node.cluster.admin.createPod({ name: 'last', volumes });
  await node.cluster.admin.podRunning('default', 'last');
  assert.equal(created, 250);
  assert.equal(node.created.length, created + 1);
  assert.deepEqual(contents(), before);
  assert.equal(node.mounts().length, 251);
});

function leafOf(bundle: string): X509Certificate {
  return new X509Certificate(bundle.slice(bundle.indexOf('-----BEGIN CERTIFICATE')));
}
