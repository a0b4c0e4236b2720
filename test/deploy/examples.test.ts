/**
 * The examples: of the types of the Kubernetes API, fit for restricted namespaces, asking for what the agent accepts; and the
 * programs in them really speak mTLS with the files of real volumes.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, test } from 'node:test';
import { connect } from 'node:tls';
import { inspect } from 'node:util';
import { parse } from 'yaml';
import { parseDeclaration } from '../../volumes/declaration/sources.ts';
import { signerName, startNode, written } from '../end-to-end/node.ts';
import { eventOf, until } from '../support/bounded.ts';
import { makeDirectory } from '../support/directory.ts';
import { withFields } from '../support/fields.ts';
import { objectsIn, one, type Rendered, typeFaults } from './objects.ts';

const directory = join(import.meta.dirname, '../../deploy/examples');
const files = readdirSync(directory);
const read = (file: string): readonly Rendered[] => objectsIn(readFileSync(join(directory, file), 'utf8'));

interface CsiVolume {
  readonly name: string;
  readonly csi?: {
    readonly driver: string;
    readonly readOnly?: boolean;
    readonly volumeAttributes: Readonly<Record<string, string>>;
  };
}

interface Container {
  readonly securityContext: object;
  readonly volumeMounts?: readonly { readonly name: string; readonly readOnly?: boolean }[];
}

interface PodSpec {
  readonly serviceAccountName?: string;
  readonly securityContext: { readonly runAsNonRoot?: boolean; readonly seccompProfile?: object };
  readonly containers: readonly Container[];
  readonly volumes: readonly CsiVolume[];
}

/** The pods of a file, those of Deployments included. */
function podsIn(objects: readonly Rendered[]): readonly PodSpec[] {
  return objects.flatMap((object) => {
    if (object.kind === 'Pod') {
      return [object['spec'] as PodSpec];
    }
    if (object.kind !== 'Deployment') {
      return [];
    }
    return [(object['spec'] as { template: { spec: PodSpec } }).template.spec];
  });
}

const ownVolumes = ({ volumes }: PodSpec) =>
  volumes.flatMap(({ name, csi }) => (csi === undefined ? [] : [{ name, ...csi }]));

describe('each example', () => {
  for (const file of files) {
    test(`${file} is what the API and the agent accept, and may run in a restricted namespace`, () => {
      const objects = read(file);
      for (const object of objects) {
        assert.deepEqual(typeFaults(object), []);
      }
      const pods = podsIn(objects);
      assert.ok(pods.length > 0, `${pods.length} is not more than 0`);
      for (const pod of pods) {
        const volumes = ownVolumes(pod);
        assert.ok(volumes.length > 0, `${volumes.length} is not more than 0`);
        for (const { name, driver, readOnly, volumeAttributes } of volumes) {
          assert.deepEqual([driver, readOnly], ['csi.podcert.io', true]);
          const parsed = parseDeclaration(volumeAttributes);
          assert.ok(parsed.ok, JSON.stringify(parsed));
          const mounts = pod.containers.flatMap(({ volumeMounts = [] }) => volumeMounts);
          assert.ok(
            mounts.some((mount) => mount.name === name && mount.readOnly),
            `${name} is not mounted read-only: ${inspect(mounts)}`,
          );
        }
        const { runAsNonRoot, seccompProfile } = pod.securityContext;
        assert.deepEqual([runAsNonRoot, seccompProfile], [true, { type: 'RuntimeDefault' }]);
        for (const { securityContext } of pod.containers) {
          const { runAsUser: _user, ...rest } = securityContext as { runAsUser?: number };
          assert.deepEqual(rest, {
            allowPrivilegeEscalation: false,
            readOnlyRootFilesystem: true,
            capabilities: { drop: ['ALL'] },
          });
        }
      }
    });
  }

  test('that the trial signer answers runs its server under the account that is called like the Service it is asked by', () => {
    const objects = read('mtls-server-and-client.yaml');
    const { name, namespace } = one(objects, 'Service').metadata;
    const [server] = podsIn(objects);
    assert.equal(server?.serviceAccountName, name);
    one(objects, 'ServiceAccount', server?.serviceAccountName);
    const { data } = withFields<{ data: Record<string, string> }>(one(objects, 'ConfigMap'), 'data');
    assert.ok(
      data['client.mjs']?.includes(`'${name}.${namespace}.svc'`),
      'the client expects another name than the trial signer gives the server',
    );
  });

  test('that Envoy reads names the files of its volume, and watches their directory', () => {
    const objects = read('envoy.yaml');
    const { data } = withFields<{ data: Record<string, string> }>(one(objects, 'ConfigMap'), 'data');
    const { sources = '' } = ownVolumes(podsIn(objects)[0] as PodSpec)[0]?.volumeAttributes ?? {};
    const secrets: { resources: Record<string, Record<string, Record<string, string>>>[] } = parse(
      data['secrets.yaml'] ?? '',
    );
    const [, certificate, anchors] = [undefined, ...secrets.resources];
    const [first, second]: Record<string, Record<string, string>>[] = parse(sources);
    assert.deepEqual(certificate?.['tls_certificate'], {
      certificate_chain: { filename: `/mtls/${first?.['podCertificate']?.['certificateChainPath']}` },
      private_key: { filename: `/mtls/${first?.['podCertificate']?.['keyPath']}` },
      watched_directory: { path: '/mtls' },
    });
    assert.deepEqual(anchors?.['validation_context'], {
      trusted_ca: { filename: `/mtls/${second?.['clusterTrustBundle']?.['path']}` },
      watched_directory: { path: '/mtls' },
    });
    assert.ok(
      parse(data['envoy.yaml'] ?? '').static_resources.listeners,
      'the configuration of Envoy has no listeners',
    );
  });
});

test('server and client of the example greet each other, and a renewed certificate is served without a restart', async (t) => {
  const objects = read('mtls-server-and-client.yaml');
  const programs = makeDirectory(t);
  const { data } = withFields<{ data: Record<string, string> }>(one(objects, 'ConfigMap'), 'data');
  mkdirSync(programs, { recursive: true });
  for (const [name, text] of Object.entries(data)) {
    writeFileSync(join(programs, name), text);
  }

  // Rotations within seconds: time at the API server runs six hundred times as fast.
  const signers = [{ signerName, lifetimeSeconds: 20, refreshAtFraction: 0.1 }];
  const node = await startNode(t, { timeScale: 600, signers });
  const [server, client] = podsIn(objects);
  for (const [name, spec] of Object.entries({ server, client })) {
    const [volume] = spec === undefined ? [] : ownVolumes(spec);
    const sources: Record<string, unknown>[] = parse(volume?.volumeAttributes['sources'] ?? '');
    await node.cluster.admin.createPod({ name, volumes: [{ name: 'mtls', sources }] });
  }
  const pods = await Promise.all(['server', 'client'].map((name) => node.cluster.admin.podRunning('default', name)));
  const [serverPod, clientPod] = pods;
  assert.ok(serverPod && clientPod, 'there is no serverPod or no clientPod');

  const started: ChildProcess[] = [];
  const run = (program: string, pod: typeof serverPod, env: Record<string, string>) => {
    const child = spawn(process.execPath, [join(programs, program)], {
      env: { VOLUME: node.volume(pod), ...env },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    t.after(() => child.kill('SIGKILL'));
    started.push(child);
    return createInterface({ input: child.stdout });
  };
  const [listening] = await eventOf(run('server.mjs', serverPod, { PORT: '0' }), 'line', 'a line of output');
  const [, port = ''] = /^listening on (\d+)$/.exec(listening) ?? [];
  const [, name = ''] = /DNS:([^,]+)/.exec(node.leaf(serverPod, 'credentials.pem').subjectAltName ?? '') ?? [];
  const greeting = run('client.mjs', clientPod, { PORT: port, SERVER: '127.0.0.1', SERVER_NAME: name });
  const [hello] = await eventOf(greeting, 'line', 'a line of output');
  assert.match(hello, /^hello, URI:/);

  const serving = async (): Promise<string> => {
    const bundle = node.read(clientPod, 'credentials.pem');
    const trust = { key: bundle, cert: bundle, ca: node.read(clientPod, 'trust-anchors.pem') };
    const socket = connect({ host: '127.0.0.1', port: Number(port), servername: name, ...trust });
    await eventOf(socket, 'secureConnect', 'the TLS connection');
    const { serialNumber } = socket.getPeerCertificate();
    socket.destroy();
    return serialNumber;
  };
  const before = await serving();
  await node.logged(written('server', false));
  await until(async () => (await serving()) !== before, 'the renewed certificate to be served');

  // As the kubelet ends a pod. The server goes first: its client holds a connection to it, and still asks.
  for (const child of started) {
    const ended = eventOf(child, 'exit', `${child.spawnargs[1]} to end by itself`);
    child.kill('SIGTERM');
    assert.deepEqual(await ended, [0, null], 'a program of the example does not end when its pod does');
  }
});
