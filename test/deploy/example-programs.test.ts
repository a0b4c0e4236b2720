/**
 * The programs of the examples, run as they stand there with the files of real volumes: they do what the example says, take up a renewed
 * certificate, and end when they are told to. A container's first process that has no handler for SIGTERM does not hear it, so
 * ending by the signal itself is a fault here: the pod would sit out its grace period.
 */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from 'node:tls';
import type { BoundPod } from '../../sandbox/kubelet/pod.ts';
import { signerName, startNode, type TestNode, written } from '../end-to-end/node.ts';
import { eventOf, until } from '../support/bounded.ts';
import { createRootAuthority } from '../support/certificates.ts';
import { makeDirectory } from '../support/directory.ts';
import { withFields } from '../support/fields.ts';
import { type Places, replaced } from '../support/places.ts';
import { freePort, missingPrograms, programPath, type RunningProgram, runProgram } from '../support/programs.ts';
import { filesOf } from '../workloads/recipes.ts';
import { objectsIn, one, type Rendered } from './objects.ts';

interface Container {
  readonly name: string;
  readonly image: string;
  readonly command?: readonly string[];
  readonly args?: readonly string[];
  readonly volumeMounts?: readonly { readonly name: string; readonly mountPath: string }[];
}

interface PodSpec {
  readonly containers: readonly Container[];
  readonly volumes: readonly {
    readonly name: string;
    readonly csi?: { readonly volumeAttributes: { readonly sources: string } };
    readonly configMap?: { readonly name: string };
    readonly emptyDir?: object;
  }[];
}

interface ExamplePod {
  readonly pod: BoundPod;
  /** Starts a container's program. @param ports what the example names, and what it is in this test */
  run(container: string, ports?: Places, env?: NodeJS.ProcessEnv): RunningProgram;
}

/** Rotations within seconds: time at the API server runs six hundred times as fast. */
const signers = [{ signerName, lifetimeSeconds: 60, refreshAtFraction: 0.02 }];

const bundles = '/apis/certificates.k8s.io/v1beta1';

const objectsOf = (file: string): readonly Rendered[] =>
  objectsIn(readFileSync(join(import.meta.dirname, '../../deploy/examples', file), 'utf8'));

/** Pods of an example on a node of the test's own, by name. */
async function startExample(
  t: TestContext,
  file: string,
  prepare: (node: TestNode) => Promise<void> = async () => {},
): Promise<{ readonly node: TestNode; readonly podOf: (name: string) => ExamplePod }> {
  const objects = objectsOf(file);
  const running: (() => Promise<void>)[] = [];
  // Programs end before their files are taken away: hooks run in the order in which they were registered.
  t.after(async () => {
    await Promise.all(running.map((end) => end()));
  });
  const node = await startNode(t, { timeScale: 600, signers });
  await prepare(node);
  const directory = makeDirectory(t);
  const pods = new Map<string, ExamplePod>();
  for (const object of objects.filter(({ kind }) => kind === 'Pod' || kind === 'Deployment')) {
    const spec = specOf(object);
    const { name } = object.metadata;
    const volumes = spec.volumes.flatMap(({ name: volume, csi }) =>
      csi === undefined ? [] : [{ name: volume, sources: csi.volumeAttributes.sources }],
    );
    await node.cluster.admin.createPod({ name, volumes });
    const pod = await node.cluster.admin.podRunning('default', name);
    pods.set(name, {
      pod,
      run(containerName, ports = {}, env = {}) {
        const container = spec.containers.find((each) => each.name === containerName);
        assert.ok(container, `${file} has no container ${containerName}`);
        const own = (volume: string): string => join(directory, name, volume);
        const mounts = (container.volumeMounts ?? []).map(({ name: volume, mountPath }) => {
          const isOurs = volumes.some((each) => each.name === volume);
          return [mountPath, isOurs ? node.volume(pod, volume) : own(volume)] as const;
        });
        const places = { ...ports, ...Object.fromEntries(mounts) };
        for (const { name: volume, configMap, emptyDir } of spec.volumes) {
          if (configMap !== undefined || emptyDir !== undefined) {
            mkdirSync(own(volume), { recursive: true });
            writeConfigMap(objects, configMap?.name, own(volume), places);
          }
        }
        const words = [...(container.command ?? []), ...(container.args ?? [])].map((word) => replaced(word, places));
        const command = container.command === undefined ? [programOf(container.image), ...words] : hereOf(words);
        return runProgram({ after: (end) => running.push(end) }, command, { env: { ...process.env, ...env } });
      },
    });
  }
  const podOf = (name: string): ExamplePod => {
    const found = pods.get(name);
    assert.ok(found, `${file} has no pod ${name}`);
    return found;
  };
  return { node, podOf };
}

function specOf(object: Rendered): PodSpec {
  return object.kind === 'Pod'
    ? (object['spec'] as PodSpec)
    : (object['spec'] as { template: { spec: PodSpec } }).template.spec;
}

/** Writes what a ConfigMap holds; nothing where none is named. */
function writeConfigMap(objects: readonly Rendered[], name: string | undefined, to: string, places: Places): void {
  const map = objects.find(({ kind, metadata }) => kind === 'ConfigMap' && metadata.name === name);
  assert.equal(map === undefined, name === undefined, `there is no ConfigMap ${name}`);
  for (const [file, content] of Object.entries((map?.['data'] ?? {}) as Record<string, string>)) {
    writeFileSync(join(to, file), replaced(content, places));
  }
}

const programOf = (image: string): string => programPath(image.split(/[/:]/)[1] ?? '');

/** A container's command with this machine's program: `node` is the one that runs the tests. */
const hereOf = ([program = '', ...values]: readonly string[]): readonly string[] => [
  program === 'node' ? process.execPath : programPath(program),
  ...values,
];

/** Ends a program as the kubelet does, within the grace period that pods have unless they say otherwise. */
async function assertEnds(program: RunningProgram): Promise<void> {
  assert.deepEqual(await program.end('SIGTERM', 30_000), { code: 0, signal: null }, program.output());
}

/** The serial number of the leaf that is served to a client with the pod's own credentials. */
async function served(node: TestNode, { pod }: ExamplePod, port: number, names: Names): Promise<string> {
  const [key, cert, ca] = setOf(node, pod, names.key, names.chain, 'trust-anchors.pem');
  const socket = connect({
    host: '127.0.0.1',
    port,
    servername: 'server',
    key,
    cert,
    ca,
    checkServerIdentity: () => undefined,
  });
  await eventOf(socket, 'secureConnect', 'the TLS connection');
  const { serialNumber } = socket.getPeerCertificate();
  socket.destroy();
  return serialNumber;
}

interface Names {
  readonly key: string;
  readonly chain: string;
}

const bundle: Names = { key: 'credentials.pem', chain: 'credentials.pem' };

/** Files of one set, also while they are being swapped. */
function setOf(node: TestNode, pod: BoundPod, ...files: readonly string[]): readonly string[] {
  const set = readlinkSync(join(node.volume(pod), '..data'));
  return files.map((file) => node.read(pod, join(set, file)));
}

test('server and client of the example greet each other, take up renewed certificates, and end when they are told to', async (t) => {
  const { node, podOf } = await startExample(t, 'mtls-server-and-client.yaml');
  const server = podOf('server').run('server', {}, { PORT: '0' });
  const [, port = ''] = await server.said(/^listening on (\d+)$/m);
  const { subjectAltName = '' } = node.leaf(podOf('server').pod, 'credentials.pem');
  const [, name = ''] = /DNS:([^,]+)/.exec(subjectAltName) ?? [];
  const client = podOf('client').run('client', {}, { PORT: port, SERVER: '127.0.0.1', SERVER_NAME: name });
  await client.said(/^hello, URI:/m);
  const serving = (): Promise<string> => served(node, podOf('client'), Number(port), bundle);
  const before = await serving();
  await node.logged(written('server', false));
  await until(async () => (await serving()) !== before, 'the renewed certificate to be served');
  // With the client's connection kept alive, and one more that never asks for anything.
  const silent = connect({ port: Number(port), rejectUnauthorized: false });
  silent.on('error', () => {});
  await eventOf(silent, 'secureConnect', 'the TLS connection');
  await assertEnds(server);
  await assertEnds(client);
  silent.destroy();
});

test('the example through cert-manager has the same programs', () => {
  const [one, other] = ['mtls-server-and-client.yaml', 'mtls-through-cert-manager.yaml'].map((file) =>
    objectsOf(file).filter(({ kind }) => kind === 'ConfigMap'),
  );
  assert.deepEqual(one, other);
});

test('two containers with two users read one key through their group', async (t) => {
  const { node, podOf } = await startExample(t, 'non-root-with-fsgroup.yaml');
  const programs = ['main', 'sidecar'].map((name) => ({ name, program: podOf('non-root').run(name) }));
  for (const { name, program } of programs) {
    await program.said(new RegExp(`^${name} has read key and chain$`, 'm'));
    const offset = program.output().length;
    await node.logged(written('non-root', false));
    await program.said(/has read key and chain/, offset);
    await assertEnds(program);
  }
});

test('a program that only needs anchors follows them', async (t) => {
  const authority = await createRootAuthority();
  const { node, podOf } = await startExample(t, 'trust-anchors-only.yaml', async ({ cluster }) => {
    await cluster.admin.create(
      bundles,
      { resource: 'clustertrustbundles' },
      {
        metadata: { name: 'example.com:mesh:production', labels: { environment: 'production' } },
        spec: { signerName, trustBundle: authority.pem },
      },
    );
  });
  const program = podOf('trust-anchors-only').run('main');
  await program.said(/^1 anchors beside the public ones$/m);
  await node.cluster.admin.create(
    bundles,
    { resource: 'clustertrustbundles' },
    {
      metadata: { name: 'company-roots' },
      spec: { trustBundle: (await createRootAuthority('CN=company')).pem },
    },
  );
  await program.said(/^2 anchors beside the public ones$/m);
  await assertEnds(program);
});

test('Envoy starts as the example says, ends mutual TLS, takes up a renewed certificate, and ends', {
  skip: missingPrograms('envoy'),
}, async (t) => {
  const { node, podOf } = await startExample(t, 'envoy.yaml');
  const [port, inner] = [await freePort(), await freePort()];
  const ports = { 8443: String(port), 8080: String(inner) };
  const program = podOf('envoy').run('program', ports);
  const envoy = podOf('envoy').run('envoy', ports);
  await envoy.said(/starting main dispatch loop/);
  const names = { key: 'key.pem', chain: 'chain.pem' };
  const serving = (): Promise<string> => served(node, podOf('envoy'), port, names);
  const first = await serving();
  const hello = await greeting(node, podOf('envoy'), port);
  assert.match(hello, /^hello, By=.*;URI=spiffe:/);
  await node.logged(written('envoy', false));
  await until(async () => (await serving()) !== first, 'the renewed certificate to be served');
  await assertEnds(envoy);
  await assertEnds(program);
});

/** What the program behind Envoy answers to a client with the pod's own certificate. */
async function greeting(node: TestNode, { pod }: ExamplePod, port: number): Promise<string> {
  const [key, cert, ca] = setOf(node, pod, 'key.pem', 'chain.pem', 'trust-anchors.pem');
  const asked = request({ host: '127.0.0.1', port, key, cert, ca, checkServerIdentity: () => undefined }).end();
  const [response]: IncomingMessage[] = await eventOf(asked, 'response', 'an answer through Envoy');
  return response === undefined ? '' : await text(response);
}

test('nginx starts as the example says, takes up a renewed certificate by its loop, and ends', {
  skip: missingPrograms('nginx'),
}, async (t) => {
  const { node, podOf } = await startExample(t, 'nginx.yaml');
  const port = await freePort();
  const nginx = podOf('nginx').run('nginx', { 8443: String(port) }, { RELOAD_INTERVAL: '0.2' });
  const serving = (): Promise<string> => served(node, podOf('nginx'), port, bundle);
  let first: string | undefined;
  await until(
    async () => {
      first = await serving().catch(() => undefined);
      return first !== undefined;
    },
    () => `nginx to serve; it said\n${nginx.output()}`,
    () => sleep(50),
  );
  await node.logged(written('nginx', false));
  await until(async () => (await serving()) !== first, 'the renewed certificate to be served');
  await assertEnds(nginx);
});

test('the loop of the example is that of docs/workloads.md', () => {
  const { data } = withFields<{ data: Record<string, string> }>(one(objectsOf('nginx.yaml'), 'ConfigMap'), 'data');
  const commands = (script = ''): string => script.replaceAll(/^#.*\n/gm, '');
  assert.equal(commands(data['reload.sh']), commands(filesOf('The reload loop').get('reload.sh')));
  assert.equal(data['start.sh'], filesOf('nginx').get('start.sh'));
});
