/**
 * What docs/quickstart.md leads to, as far as one machine can show it without containers: its manifests are applied by a stock kubectl,
 * the agent and the trial signer are processes, and the programs of the example run with the files of their pods' volumes.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type TestContext, test } from 'node:test';
import { parse, stringify } from 'yaml';
import { type Cluster, type ClusterOptions, startCluster } from '../../sandbox/cluster/cluster.ts';
import { startAgentProcess } from '../../sandbox/demo/agent-process.ts';
import { startProcess } from '../../sandbox/demo/processes.ts';
import { objectsIn, one, type Rendered } from '../deploy/objects.ts';
import { blocksIn, quickstart, root } from '../docs/quickstart-blocks.ts';
import { eventOf, withinBound } from '../support/bounded.ts';
import { makeDirectory } from '../support/directory.ts';
import { withFields } from '../support/fields.ts';
import { putIssuer, startIssuers } from './cert-manager-issuer.ts';

const blocks = blocksIn(quickstart());
const namespace = 'mtls-example';
/** What the page says that the client prints. */
const greetings = blocks.flatMap(({ prints }) => (prints?.startsWith('hello') ? [prints] : []));

interface Ground {
  readonly cluster: Cluster;
  readonly directory: string;
  /** What is to be ended after the test, the last one first. */
  readonly closers: (() => Promise<unknown>)[];
}

async function startGround(t: TestContext, options: Partial<ClusterOptions>): Promise<Ground> {
  const closers: (() => Promise<unknown>)[] = [];
  t.after(async () => {
    for (const close of closers.toReversed()) {
      await close();
    }
  });
  const directory = makeDirectory(t);
  const cluster = await startCluster({ directory, schedulesPods: true, ...options });
  closers.push(() => cluster.close());
  return { cluster, directory, closers };
}

async function startAgent({ cluster, directory, closers }: Ground, flags: readonly string[]): Promise<void> {
  const agent = await startAgentProcess({
    cluster,
    flags,
    logFile: join(directory, 'agent.log'),
    onUnexpectedExit: (how) => assert.fail(`the agent has ended: ${how}`),
  });
  closers.push(() => agent.stop());
  await agent.ready(AbortSignal.timeout(60_000));
}

/** The trial signer with the chart's names; what else the chart passes are the program's defaults. */
function startTrialSigner({ cluster, closers }: Ground): void {
  const signer = startProcess({
    script: 'signer/main.ts',
    args: [
      ...['--kubeconfig', cluster.kubeconfigs.admin, '--namespace', 'kube-system', '--signer-name', 'example.com/mesh'],
      ...['--name', 'pod-certificate-agent-trial-signer', '--listen-address=', '--log-format', 'json'],
    ],
    output: 'lines',
    onUnexpectedExit: (how) => assert.fail(`the trial signer has ended: ${how}`),
  });
  closers.push(() => signer.stop());
}

/** The objects of an example that the sandbox serves; of each Deployment the pod that it would make. */
function servedOf(objects: readonly Rendered[]): readonly object[] {
  return objects.flatMap((object): readonly object[] => {
    const { kind, metadata } = object;
    if (kind === 'Deployment') {
      const { template } = withFields<{ template: { metadata: object; spec: object } }>(object['spec'], 'template');
      return [{ apiVersion: 'v1', kind: 'Pod', ...template, metadata: { ...template.metadata, ...metadata } }];
    }
    return kind === 'Namespace' || kind === 'ServiceAccount' ? [object] : [];
  });
}

/** `kubectl apply` where there is kubectl; where there is none, the same objects are created without it. */
async function apply(t: TestContext, { cluster, directory }: Ground, objects: readonly object[]): Promise<void> {
  const env = { ...process.env, KUBECONFIG: cluster.kubeconfigs.admin, HOME: directory };
  const child = spawn('kubectl', ['apply', '-f', '-'], { env, stdio: ['pipe', 'pipe', 'pipe'] });
  const written: Buffer[] = [];
  child.stdin.on('error', () => undefined);
  child.stdout.on('data', (part: Buffer) => written.push(part));
  child.stderr.on('data', (part: Buffer) => written.push(part));
  child.stdin.end(objects.map((object) => stringify(object)).join('---\n'));
  const ended = once(child, 'close').then(
    ([code]): unknown => code,
    () => 'there is no kubectl here',
  );
  const how = await withinBound(ended, 'kubectl to end');
  if (typeof how === 'number') {
    assert.equal(how, 0, Buffer.concat(written).toString('utf8'));
    return;
  }
  t.diagnostic(`${how}: the objects are created without it`);
  for (const object of objects) {
    const { kind, metadata } = withFields<Rendered>(object, 'kind', 'metadata');
    const resource = `${kind.toLowerCase()}s`;
    const place = metadata.namespace === undefined ? { resource } : { resource, namespace: metadata.namespace };
    await cluster.admin.ensure('/api/v1', place, object);
  }
}

/** Lets the example's pods start, runs its programs with their volumes, and waits for what the client prints. */
async function greet(t: TestContext, ground: Ground, file: string): Promise<string> {
  const { cluster, directory, closers } = ground;
  const objects = objectsIn(readFileSync(join(root, 'deploy/examples', file), 'utf8'));
  await apply(t, ground, servedOf(objects));
  const programs = join(directory, 'programs');
  mkdirSync(programs);
  const { data } = withFields<{ data: Record<string, string> }>(one(objects, 'ConfigMap'), 'data');
  for (const [name, text] of Object.entries(data)) {
    writeFileSync(join(programs, name), text);
  }
  const run = async (name: string, env: Readonly<Record<string, string>>): Promise<string[]> => {
    const { metadata } = await cluster.admin.podRunning(namespace, name);
    const volume = join(cluster.kubeletRoot, 'pods', metadata.uid ?? '', 'volumes/kubernetes.io~csi/mtls/mount');
    const child = spawn(process.execPath, [join(programs, `${name}.mjs`)], {
      env: { VOLUME: volume, ...env },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    closers.push(async () => child.kill('SIGKILL'));
    const lines: string[] = [];
    const output = createInterface({ input: child.stdout }).on('line', (line) => lines.push(line));
    await eventOf(output, 'line', `what ${name} prints`);
    return lines;
  };
  const [listening = ''] = await run('server', { PORT: '0' });
  const [, port = ''] = /^listening on (\d+)$/.exec(listening) ?? [];
  // The name is the one of the Service; this machine does not resolve it.
  const printed = await run('client', { PORT: port, SERVER: '127.0.0.1', SERVER_NAME: `server.${namespace}.svc` });
  return printed[0] ?? '';
}

test('with the trial signer the two pods of the quick start speak mutual TLS', async (t) => {
  const ground = await startGround(t, { signers: [] });
  await startAgent(ground, []);
  startTrialSigner(ground);
  const greeting = await greet(t, ground, 'mtls-server-and-client.yaml');
  assert.ok(greeting.startsWith(greetings[0] ?? '-'), greeting);
  assert.match(greeting, /, DNS:client\.mtls-example\.svc\b/);
});

test('through cert-manager, with the rule of the quick start, they do as well', async (t) => {
  const ground = await startGround(t, { signers: [], certManager: true, agentIdentity: 'serviceAccount' });
  await putIssuer(ground, 'mesh-ca', true);
  const { problems } = await startIssuers({ after: (close) => ground.closers.push(close) }, ground, {
    approver: 'approve',
    issuer: 'sign',
  });
  const rule = blocks.flatMap(({ text }) => /<<'EOF'\n(issuers:[\s\S]*?)\nEOF$/m.exec(text)?.[1] ?? []);
  const { issuers }: { issuers: object[] } = parse(rule.join('\n'));
  await startAgent(ground, ['--issuers', JSON.stringify(issuers)]);
  const greeting = await greet(t, ground, 'mtls-through-cert-manager.yaml');
  assert.ok(greeting.startsWith(greetings[1] ?? '-'), greeting);
  assert.match(greeting, /, DNS:client\.mtls-example\.svc\b/);
  assert.deepEqual(problems, []);
});
