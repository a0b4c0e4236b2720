/**
 * docs/workloads.md with the programs themselves: each recipe serves the certificate of a real volume, and after a renewal the new one, without
 * a handshake that fails in between; and each key type is taken, or refused, as the table says.
 */
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, readFileSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
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
import { columns, document, filesOf, rowOf, volumeSources, writeFiles } from './recipes.ts';
import { createPostgresql, databaseUser, envoy, haproxy, nginx, redis } from './servers.ts';
import { listening, type Served, type Sides, takes, type Workload } from './workload.ts';

const servers: readonly Workload[] = [nginx, haproxy, envoy, createPostgresql(), redis];
const workloads: readonly Workload[] = [...servers, ...createListings()];

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

  test('names the key types of Kubernetes in its table, and each recipe at its beginning', () => {
    assert.deepEqual([...columns()].sort(), [...keyTypes].sort());
    const titles = [...document.matchAll(/^\| \[([^\]]+)\]\(#/gm)].map(([, title]) => title);
    assert.deepEqual(
      titles,
      workloads.map(({ title }) => title),
    );
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

  test('servers refuse a key that is another certificate’s, go on with what they had, and take the next set', async () => {
    const directory = makeDirectory();
    chmodSync(directory, 0o755);
    const [first, other] = [sides.volumeOf('ECDSAP256'), sides.volumeOf('ECDSAP384')];
    writeSet(directory, '..first', { key: first, chain: first });
    writeSet(directory, '..mixed', { key: other, chain: first });
    writeSet(directory, '..other', { key: other, chain: other });
    swap(directory, '..first');
    for (const file of ['credentials.pem', 'key.pem', 'chain.pem', 'trust-anchors.pem']) {
      symlinkSync(join('..data', file), join(directory, file));
    }
    const running: { readonly title: string; readonly served: Served }[] = [];
    for (const workload of servers.filter(({ needs }) => missingPrograms(...needs) === false)) {
      const served = await workload.serve(owner, { volume: directory, directory: makeDirectory(), peerPort: 9 });
      await listening(served, first);
      running.push({ title: workload.title, served });
    }
    const serials = async (): Promise<readonly string[]> =>
      await Promise.all(running.map(({ served: { port, protocol } }) => handshake(port, first, protocol)));
    const before = new Set(await serials());
    swap(directory, '..mixed');
    for (const { served } of running) {
      await served.program.said(/mismatch|inconsisten|unable to update TLS/i);
    }
    assert.deepEqual(new Set(await serials()), before);
    swap(directory, '..other');
    await until(
      async () => (await serials()).every((serial) => !before.has(serial)),
      'the other certificate to be served by all',
    );
  });
});

/** A set of files as the agent writes it, of the key of one volume and the chain of another. */
function writeSet(
  directory: string,
  name: string,
  { key, chain }: { readonly key: string; readonly chain: string },
): void {
  const [keyText, chainText] = [readFileSync(join(key, 'key.pem')), readFileSync(join(chain, 'chain.pem'))];
  const set = join(directory, name);
  mkdirSync(set);
  const files = {
    'key.pem': keyText,
    'chain.pem': chainText,
    'credentials.pem': Buffer.concat([keyText, chainText]),
    'trust-anchors.pem': readFileSync(join(chain, 'trust-anchors.pem')),
  };
  for (const [file, bytes] of Object.entries(files)) {
    writeFileSync(join(set, file), bytes, { mode: 0o640 });
  }
}

function swap(directory: string, set: string): void {
  symlinkSync(set, join(directory, '..data_tmp'));
  renameSync(join(directory, '..data_tmp'), join(directory, '..data'));
}

test('the reload loop runs its command once a swap, and again when it fails', async (t) => {
  const directory = makeDirectory(t);
  writeFiles(filesOf('The reload loop'), directory, {});
  const tries = (): number => readFileSync(join(directory, 'tries'), 'utf8').length;
  writeFileSync(join(directory, 'tries'), '');
  swap(directory, '..one');
  // Says when it has looked for the first time: only then is a swap a swap.
  const command = `printf x >> ${directory}/tries && test "$(wc -c < ${directory}/tries)" -ge 3`;
  const loop = ['sh', '-x', join(directory, 'reload.sh'), directory, 'sh', '-c', command];
  const program = runProgram(t, loop, { env: { ...process.env, RELOAD_INTERVAL: '0.02' } });
  await program.said(/seen=\.\.one/);
  swap(directory, '..two');
  await program.said(/seen=\.\.two/);
  assert.equal(tries(), 3);
  // A few looks later nothing more has been run.
  const offset = program.output().length;
  await program.said(/(now=\.\.two[\s\S]*?){3}/, offset);
  assert.equal(tries(), 3);
});
