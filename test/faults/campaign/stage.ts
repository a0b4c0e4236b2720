/**
 * Where faults are played: an agent as a process with real mounts, signers that behave as they are told, a gate before the API server,
 * a clock that can be set, and a reader of every volume that is a process of its own. What must never happen is noticed here, whatever
 * the fault.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { CertificateApi } from '../../../agent/issuance/issuer-rules.ts';
import type { KubernetesVersion } from '../../../sandbox/base/cluster-rules.ts';
import { type AgentIdentity, agentAccount, agentNamespace } from '../../../sandbox/cluster/permissions.ts';
import { type AgentProcess, type RealNode, startRealNode } from '../../end-to-end/real-node.ts';
import { boundMs } from '../../support/bounded.ts';
import { makeDirectory } from '../../support/directory.ts';
import { type Reading, startVolumeReader, type VolumeReader } from '../../support/volume-reader.ts';
import { type Gate, startGate } from './gate.ts';
import { requestForms } from './requests.ts';
import { type PlayedSigner, ruleFor, startPlayedSigner } from './signers.ts';

/** A pod that runs, and whose certificate is renewed again and again. */
export interface Subject {
  readonly signer: PlayedSigner;
  readonly directory: string;
  /** The newest set of its files. */
  now(): Reading;
  /** Resolves when its files hold a certificate that they did not hold before. */
  renewed(known: ReadonlySet<string>, ms: number): Promise<Reading>;
  /** Serial numbers of all certificates that its files have held. */
  serials(): ReadonlySet<string>;
}

/** What the agent's process takes. */
export interface Taken {
  readonly files: number;
  readonly memoryMiB: number;
}

export interface Stage {
  readonly node: RealNode;
  readonly agent: AgentProcess;
  readonly gate: Gate;
  readonly subjects: readonly Subject[];
  /** Sets the agent's wall clock so far from the truth. */
  shiftClock(ms: number): void;
  taken(): Taken;
  /** A pod with a certificate of the subject's signer is created; resolves with its name. */
  createPod(subject: Subject): Promise<string>;
  /** Everything that must never happen and has happened. Ends the reader. */
  wrong(): Promise<readonly string[]>;
}

export interface StageOptions {
  readonly signers: readonly { readonly api: CertificateApi; readonly name: string }[];
  readonly lifetimeMs: number;
  readonly refreshAfter: number;
  readonly kubernetes?: KubernetesVersion;
  readonly agentIdentity?: AgentIdentity;
}

const preload = join(import.meta.dirname, 'shifted-clock.ts');
/** Name of the agent at the API server. */
export const agentUser = `system:serviceaccount:${agentNamespace}:${agentAccount}`;
const agentProgram = join(import.meta.dirname, '../../../agent/main.ts');

export async function startStage(t: TestContext, options: StageOptions): Promise<Stage> {
  const { lifetimeMs, refreshAfter, kubernetes = '1.36', agentIdentity } = options;
  const removals: (() => void)[] = [];
  const clockFile = join(makeDirectory({ after: (remove) => void removals.push(remove) }), 'shift');
  writeFileSync(clockFile, '0');
  const node = await startRealNode(t, {
    ...{ kubernetes, timeScale: 600, certManager: true },
    ...(agentIdentity === undefined ? {} : { agentIdentity }),
    program: [process.execPath, '--import', preload, agentProgram],
    environment: { SHIFTED_CLOCK: clockFile },
  });
  // The agent, which reads it, has ended by then.
  t.after(() => removals.map((remove) => remove()));
  const { cluster } = node;
  const gate = await startGate(t, cluster.apiServer.port);
  const config = readFileSync(cluster.kubeconfigs.agent, 'utf8');
  writeFileSync(cluster.kubeconfigs.agent, config.replaceAll(`:${cluster.apiServer.port}`, `:${gate.port}`));
  const { store } = cluster.apiServer;
  const duplicates = watchForDuplicates(node);
  const rules = options.signers.flatMap(({ api, name }) => ruleFor(api, name, refreshAfter));
  const flags = rules.length === 0 ? [] : ['--issuers', JSON.stringify(rules)];
  const agent = node.spawnAgent(flags);
  // A start takes seconds of processor time, of which a busy machine has few to give.
  await agent.logged(({ message }) => message === 'serving metrics and health', 4 * boundMs);
  await agent.ready();
  const signers: PlayedSigner[] = [];
  for (const signer of options.signers) {
    const played = await startPlayedSigner({ ...signer, store, lifetimeMs, refreshAfter });
    t.after(() => played.close());
    signers.push(played);
  }
  let pods = 0;
  const create = async ({ signerName }: PlayedSigner): Promise<string> => {
    pods += 1;
    const podCertificate = { signerName, keyType: 'ECDSAP256', keyPath: 'key.pem', certificateChainPath: 'chain.pem' };
    const name = `pod-${pods}`;
    await cluster.admin.createPod({ name, volumes: [{ name: 'mtls', sources: [{ podCertificate }] }] });
    return name;
  };
  const running = signers.map(async (signer) => cluster.admin.podRunning('default', await create(signer)));
  const directories = (await Promise.all(running)).map(node.volume);
  const followed = directories.map((each) => ({ directory: each, key: 'key.pem', certificate: 'chain.pem' }));
  const reader = await startVolumeReader(t, followed);
  const subjects = signers.map((signer, index) => subjectOf(reader, signer, directories[index] ?? ''));
  for (const subject of subjects) {
    await reader.seen((reading) => reading.directory === subject.directory);
  }
  return {
    ...{ node, agent, gate, subjects },
    shiftClock: (ms) => writeFileSync(clockFile, String(ms)),
    taken: () => takenBy(agent.pid),
    createPod: ({ signer }) => create(signer),
    async wrong() {
      return [...(await reader.close()), ...duplicates(agent)];
    },
  };
}

function subjectOf(reader: VolumeReader, signer: PlayedSigner, directory: string): Subject {
  const serials = (): ReadonlySet<string> => new Set(reader.read(directory).map(({ serial }) => serial));
  return {
    ...{ signer, directory, serials },
    now() {
      const newest = reader.read(directory).at(-1);
      if (newest === undefined) {
        throw new Error(`nothing was read in ${directory}`);
      }
      return newest;
    },
    renewed: (known, ms) => reader.seen((reading) => reading.directory === directory && !known.has(reading.serial), ms),
  };
}

/**
 * Looks for requests that are made while another one of the same pod is still to be answered. One that was given up is none: who gave
 * it up has said so in the log by the time that this is asked.
 */
export function watchForDuplicates({ cluster }: RealNode): (agent: Pick<AgentProcess, 'lines'>) => readonly string[] {
  const { store } = cluster.apiServer;
  const seen: { readonly name: string; readonly beside: string }[] = [];
  store.subscribe(({ type, resource, object }) => {
    const form = Object.values(requestForms).find(({ storedAs }) => storedAs === resource);
    if (form === undefined || type !== 'ADDED') {
      return;
    }
    for (const other of store.list(resource)) {
      const isOther = other.metadata.uid !== object.metadata.uid && form.podOf(other) === form.podOf(object);
      if (isOther && !form.isAnswered(other)) {
        seen.push({ name: object.metadata.name ?? '', beside: other.metadata.name ?? '' });
      }
    }
  });
  return ({ lines }) => {
    const givenUp = new Set(lines.filter(({ message }) => message === 'request lost').map((line) => line['request']));
    return seen
      .filter(({ beside }) => !givenUp.has(beside))
      .map(({ name, beside }) => `${name} was asked for beside ${beside}`);
  };
}

export function takenBy(pid: number): Taken {
  const resident = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return { files: readdirSync(`/proc/${pid}/fd`).length, memoryMiB: Math.round(Number(resident) / 1024) };
}
