/**
 * The bundle as the image runs it, under the memory limit of the chart's container and with real mounts, among pods and signers that
 * ask for as much as the API server lets them: it is not killed, an ordinary pod gets what it gets otherwise, and what goes over a
 * limit is told its name.
 */
import assert from 'node:assert/strict';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { bundleAgent } from '../../deploy/bundle.ts';
import type { ApiObject, GroupResource } from '../../sandbox/base/objects.ts';
import { derOf, makeAuthority } from '../agent/trust/authorities.ts';
import { withinBound } from '../support/bounded.ts';
import { makeDirectory } from '../support/directory.ts';
import { fullBundle } from '../support/full-bundles.ts';
import { limitMemory, memoryLimitSkip } from '../support/memory-limit.ts';
import { mountSkip } from '../volumes/support.ts';
import { usualSources } from './node.ts';
import { type AgentProcess, imageEnvironment, type RealNode, startRealNode } from './real-node.ts';

const root = join(import.meta.dirname, '../..');
const megabyte = 1024 * 1024;
const bundlesResource: GroupResource = 'clustertrustbundles.certificates.k8s.io';

/** What the image starts Node with. */
function imageFlags(): readonly string[] {
  const [, entrypoint = '[]'] = /^ENTRYPOINT (.*)$/m.exec(readFileSync(join(root, 'Dockerfile'), 'utf8')) ?? [];
  return (JSON.parse(entrypoint) as string[]).slice(1, -1);
}

/** The memory limit of the chart's container, bytes. */
function chartLimit(): number {
  const values = readFileSync(join(root, 'deploy/helm/pod-certificate-agent/values.yaml'), 'utf8');
  const [, mebibytes] = /limits:\n\s+memory: (\d+)Mi/.exec(values) ?? [];
  return Number(mebibytes) * megabyte;
}

async function startLimited(t: TestContext) {
  const directory = makeDirectory(t);
  await bundleAgent(directory);
  const limit = limitMemory(chartLimit());
  const node = await startRealNode(t, {
    program: [process.execPath, ...imageFlags(), join(directory, 'agent.mjs')],
    environment: imageEnvironment,
    group: limit.procs,
  });
  // Hooks run in the order in which they were registered: by now the node's own has ended the agent.
  t.after(() => limit.remove());
  return { node, limit };
}

/** Puts bundles past the API server's validation, which would look at each of a hundred thousand certificates. */
function addBundles(node: RealNode, names: readonly string[], signer?: string): void {
  const der = derOf(makeAuthority('hostile'));
  for (const [index, name] of names.entries()) {
    const seed = signer === undefined ? 0 : index + 1;
    const bundle: ApiObject = {
      apiVersion: 'certificates.k8s.io/v1beta1',
      kind: 'ClusterTrustBundle',
      metadata: { name, uid: name, creationTimestamp: new Date().toISOString() },
      spec: { ...(signer === undefined ? {} : { signerName: signer }), trustBundle: fullBundle(der, seed) },
    };
    node.cluster.apiServer.store.create(bundlesResource, bundle);
  }
}

/**
 * The fastest of several ordinary pods, from its creation until it runs, and until it is gone again. Milliseconds.
 * @param enough no more pods are tried after one that was as fast: on a busy machine a single one says little
 */
async function ordinaryPods(
  node: RealNode,
  agent: AgentProcess,
  prefix: string,
  count: number,
  enough = 0,
): Promise<number> {
  const { admin } = node.cluster;
  const times: number[] = [];
  for (let index = 0; index < count; index += 1) {
    const name = `${prefix}-${index}`;
    const startedAt = performance.now();
    await admin.createPod({ name, volumes: [{ name: 'mtls', sources: usualSources }] });
    const ended = agent.exit.then(() => assert.fail(`the agent ended:\n${agent.output().slice(-2000)}`));
    const running = Promise.race([admin.podRunning('default', name), ended]);
    const pod = await withinBound(running, () => `pod ${name} to run, while the agent says\n${lastWords(agent, name)}`);
    assert.match(node.read(pod, 'tls.pem'), /BEGIN CERTIFICATE/);
    await withinBound(admin.deletePod('default', name), `pod ${name} to go`);
    times.push(performance.now() - startedAt);
    if (Math.min(...times) <= enough) {
      break;
    }
  }
  return Math.min(...times);
}

/** What the agent said of a pod and what went wrong, with its last lines of any kind. */
function lastWords(agent: AgentProcess, name: string): string {
  const own = agent.lines.filter((line) => line['pod'] === name || line['level'] === 'error');
  return [...own.map((line) => JSON.stringify(line)), agent.output().slice(-4000)].join('\n');
}

/** A hundred full bundles are read before the last of them can be refused: seconds of processor time, of which a busy machine gives little. */
const readingMs = 300_000;

/** What the agent says to a pod that it refuses something. */
async function told(agent: AgentProcess, pod: string, words: RegExp): Promise<void> {
  await agent.logged((line) => line['pod'] === pod && words.test(JSON.stringify(line)), readingMs);
}

const deepPath = (index: number): string =>
  [...Array.from({ length: 15 }, (_, depth) => `${index}-${depth}`), 'ca.pem'].join('/');

test('an agent among hostile pods is not killed and serves an ordinary pod, also after a restart', {
  skip: mountSkip || memoryLimitSkip,
  timeout: 600_000,
}, async (t) => {
  const { node, limit } = await startLimited(t);
  const { admin } = node.cluster;
  const agent = await node.startAgent();
  const undisturbed = await ordinaryPods(node, agent, 'alone', 4);

  // One full bundle by 32 names in each of 16 volumes.
  addBundles(node, ['full']);
  const copies = Array.from({ length: 32 }, (_, index) => ({
    clusterTrustBundle: { name: 'full', path: `ca-${index}.pem` },
  }));
  const copying = Array.from({ length: 16 }, (_, index) => `copies-${index}`);
  // A hundred full bundles under one selector.
  addBundles(
    node,
    Array.from({ length: 100 }, (_, index) => `example.com:many:b${index}`),
    'example.com/many',
  );
  const many = [{ clusterTrustBundle: { signerName: 'example.com/many', labelSelector: {}, path: 'ca.pem' } }];
  // 256 deep paths, and as many names of bundles that do not exist.
  const deep = Array.from({ length: 256 }, (_, index) => ({
    clusterTrustBundle: { name: 'full', path: deepPath(index) },
  }));
  const names = Array.from({ length: 256 }, (_, index) => ({
    clusterTrustBundle: { name: `nobody-${index}`, optional: true, path: `ca-${index}.pem` },
  }));
  const broken = ['[,', '{"a":', '- - ', '? ', '&a [*a,', '"\\'].map((shape) => shape.repeat(10_000).slice(0, 60_000));
  const pods: [name: string, sources: string | readonly object[]][] = [
    ...copying.map((name): [string, readonly object[]] => [name, copies]),
    ['many', many],
    ['deep', deep],
    ['names', names],
    ...broken.map((text, index): [string, string] => [`broken-${index}`, text]),
  ];
  await Promise.all(pods.map(([name, sources]) => admin.createPod({ name, volumes: [{ name: 'mtls', sources }] })));
  const disturbed = await ordinaryPods(node, agent, 'among', 16, 3 * undisturbed);
  t.diagnostic(
    `an ordinary pod took ${Math.round(undisturbed)} ms alone, ${Math.round(disturbed)} ms among hostile ones`,
  );
  assert.ok(disturbed <= 3 * undisturbed, `${disturbed} ms among hostile pods, ${undisturbed} ms alone`);

  await told(agent, 'many', /more than the 32 MiB that the agent holds for all pods of a node/);
  for (const name of copying) {
    const pod = await withinBound(admin.podRunning('default', name), `pod ${name} to run`);
    assert.ok(statSync(join(node.volume(pod), 'ca-0.pem')).size > 0.99 * megabyte, 'the whole bundle is there');
    assert.equal(statSync(join(node.volume(pod), 'ca-0.pem')).nlink, 32);
  }
  t.diagnostic(`most memory: ${Math.round(limit.peak() / megabyte)} of ${chartLimit() / megabyte} MiB`);
  assert.ok(limit.peak() < 0.9 * chartLimit(), `${limit.peak()} bytes at most, of ${chartLimit()}`);

  assert.deepEqual(await agent.end('SIGTERM'), { code: 0, signal: null });
  const next = await node.startAgent();
  await ordinaryPods(node, next, 'after', 2);
  await told(next, 'many', /more than the 32 MiB/);
  t.diagnostic(`most memory with a restart: ${Math.round(limit.peak() / megabyte)} MiB`);
  assert.ok(limit.peak() < 0.9 * chartLimit(), `${limit.peak()} bytes at most, of ${chartLimit()}`);
  assert.equal((await next.get('/livez')).status, 200);
});
