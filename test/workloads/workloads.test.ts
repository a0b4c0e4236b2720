/**
 * docs/workloads.md with the programs themselves: each recipe serves the certificate of a real volume, and after a renewal the new one, without
 * a handshake that fails in between; and each key type is taken, or refused, as the table says.
 */
import assert from 'node:assert/strict';
import { chmodSync, readFileSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { parse } from 'yaml';
import type { BoundPod } from '../../sandbox/kubelet/pod.ts';
import { type KeyType, keyTypes } from '../../volumes/declaration/key-types.ts';
import { signerName, startNode, type TestNode, written } from '../end-to-end/node.ts';
import { until } from '../support/bounded.ts';
import { makeDirectory } from '../support/directory.ts';
import { type Exit, missingPrograms, type Owner, runProgram } from '../support/programs.ts';
import { handshake, startPeer } from './counterpart.ts';
import { createListings } from './languages.ts';
import { columns, filesOf, rowOf, volumeSources, writeFiles } from './recipes.ts';
import { createPostgresql, databaseUser, envoy, haproxy, nginx, redis } from './servers.ts';
import { listening, type Served, type Sides, takes, type Workload } from './workload.ts';

const workloads: readonly Workload[] = [nginx, haproxy, envoy, createPostgresql(), redis, ...createListings()];

/** A signer whose certificates are due for a refresh within a minute, which it answers when the test wants it. */
const turning = 'example.com/turning';
const signers = [{ signerName }, { signerName: turning, lifetimeSeconds: 540, refreshAtFraction: 0.01 }];

describe('docs/workloads.md', { timeout: 600_000 }, () => {
  const closing: (() => Promise<void>)[] = [];
  const owner: Owner = { after: (close) => void closing.push(close) };
  const pods = new Map<string, BoundPod>();
  const peers = new Map<KeyType, { readonly port: number }>();
  let node: TestNode;

  const volumeOf = (name: string): string => {
    const pod = pods.get(name);
    assert.ok(pod, `there is no pod ${name}`);
    return node.volume(pod);
  };

  before(async () => {
    node = await startNode(owner, { signers, timeScale: 60 });
    // The database has a user of its own, who has to come to the volumes, as on a node.
    chmodSync(dirname(node.cluster.kubeletRoot), 0o711);
    const { gid } = databaseUser();
    const createPod = (name: string, signer: string, keyType: KeyType) => {
      const sources = parse(volumeSources().replaceAll(signerName, signer).replaceAll('ECDSAP256', keyType));
      const group = gid === undefined ? {} : { securityContext: { fsGroup: gid } };
      const account = { namespace: 'mtls-example', serviceAccountName: 'server' };
      return node.cluster.admin.createPod({ name, ...account, ...group, volumes: [{ name: 'mtls', sources }] });
    };
    await createPod('turning', turning, 'ECDSAP256');
    for (const keyType of keyTypes) {
      await createPod(keyType.toLowerCase(), signerName, keyType);
    }
    for (const name of ['turning', ...keyTypes.map((keyType) => keyType.toLowerCase())]) {
      pods.set(name, await node.cluster.admin.podRunning('mtls-example', name));
      if (name === 'turning') {
        node.cluster.signer(turning).setBehaviour({ type: 'silent' });
      }
    }
    for (const keyType of keyTypes) {
      peers.set(keyType, await startPeer(owner, volumeOf(keyType.toLowerCase())));
    }
  });

  after(async () => {
    for (const close of closing.reverse()) {
      await close();
    }
  });

  const refusals: string[] = [];
  const sides: Sides = {
    volumeOf: (keyType) => volumeOf(keyType.toLowerCase()),
    peerOf: (keyType) => peers.get(keyType) ?? { port: 0 },
    directory: () => makeDirectory(),
    onRefusal: (message) => void refusals.push(message),
  };

  test('names the key types of Kubernetes in its table', () => {
    assert.deepEqual([...columns()].sort(), [...keyTypes].sort());
  });

  for (const workload of workloads) {
    const { title, needs } = workload;
    test(`${title} takes the key types that the table says`, { skip: missingPrograms(...needs) }, async () => {
      refusals.length = 0;
      const row = await takes(workload, sides);
      const inOrder = (verdicts: ReadonlyMap<string, string>) => columns().map((column) => verdicts.get(column));
      assert.deepEqual(
        { server: rowOf(`${title}, server`), client: rowOf(`${title}, client`) },
        { server: inOrder(row.server), client: inOrder(row.client) },
        refusals.join('\n'),
      );
    });
  }

  test('each recipe serves a renewed certificate in time, no handshake fails in between, and it ends when it is told to', async (t) => {
    const signer = node.cluster.signer(turning);
    const running = new Map<string, Served>();
    for (const workload of workloads) {
      if (missingPrograms(...workload.needs) !== false) {
        t.diagnostic(`${workload.title} is left out: ${missingPrograms(...workload.needs)}`);
        continue;
      }
      const ground = {
        volume: volumeOf('turning'),
        directory: makeDirectory(),
        peerPort: sides.peerOf('ECDSAP256').port,
      };
      const served = await workload.serve(owner, ground);
      await listening(served, ground.volume);
      running.set(workload.title, served);
    }
    const serial = (): string => node.leaf(pods.get('turning') as BoundPod, 'credentials.pem').serialNumber;
    const before = serial();
    const last = new Map<string, string>();
    const failures: string[] = [];
    const ask = async (): Promise<void> => {
      for (const [title, { port, protocol }] of running) {
        const asked = handshake(port, volumeOf('turning'), protocol);
        await asked.then(
          (leaf) => last.set(title, leaf),
          (error: unknown) => failures.push(`${title}: ${String(error)}`),
        );
      }
    };
    await ask();
    assert.deepEqual([...new Set(last.values())], [before], failures.join('\n'));
    signer.setBehaviour({ type: 'instant' });
    void node.logged(written('turning', false)).then(() => signer.setBehaviour({ type: 'silent' }));
    const renewed = (): readonly string[] => [...last].filter(([, leaf]) => leaf !== before).map(([title]) => title);
    await until(
      async () => {
        await ask();
        return failures.length > 0 || renewed().length === running.size;
      },
      () => `the renewed certificate to be served by all; it is by ${renewed().join(', ')}`,
    );
    assert.deepEqual(failures, []);
    assert.deepEqual([...new Set(last.values())], [serial()]);
    const ends = await Promise.all([...running].map(async ([, { program }]) => await program.end('SIGTERM', 30_000)));
    const titles = [...running.keys()];
    // Whoever ends by the signal itself does not hear it as a container's first process, but for Go, whose runtime then exits.
    const byRuntime: Readonly<Record<string, Exit>> = {
      Go: { code: null, signal: 'SIGTERM' },
      Java: { code: 143, signal: null },
    };
    assert.deepEqual(
      Object.fromEntries(titles.map((title, index) => [title, ends[index]])),
      Object.fromEntries(titles.map((title) => [title, byRuntime[title] ?? { code: 0, signal: null }])),
    );
  });
});

test('the reload loop runs its command once a swap, and again when it fails', async (t) => {
  const directory = makeDirectory(t);
  writeFiles(filesOf('The reload loop'), directory, {});
  const swap = (set: string): void => {
    symlinkSync(set, join(directory, '..data_tmp'));
    renameSync(join(directory, '..data_tmp'), join(directory, '..data'));
  };
  const tries = (): number => readFileSync(join(directory, 'tries'), 'utf8').length;
  writeFileSync(join(directory, 'tries'), '');
  swap('..one');
  // Says when it has looked for the first time: only then is a swap a swap.
  const command = `printf x >> ${directory}/tries && test "$(wc -c < ${directory}/tries)" -ge 3`;
  const loop = ['sh', '-x', join(directory, 'reload.sh'), directory, 'sh', '-c', command];
  const program = runProgram(t, loop, { env: { ...process.env, RELOAD_INTERVAL: '0.02' } });
  await program.said(/seen=\.\.one/);
  swap('..two');
  await program.said(/seen=\.\.two/);
  assert.equal(tries(), 3);
  // A few looks later nothing more has been run.
  const offset = program.output().length;
  await program.said(/(now=\.\.two[\s\S]*?){3}/, offset);
  assert.equal(tries(), 3);
});
