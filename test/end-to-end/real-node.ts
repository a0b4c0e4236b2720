/**
 * A node as it is in production, as far as one machine can play it: the agent is a process with mounts of its own, volumes are
 * tmpfs mounts in a directory that is mounted shared, and the driver registers itself. It takes root with the right to mount;
 * `mountSkip` says why not, where that is missing.
 */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { PodCertificateRequest } from '../../agent/kubernetes/objects.ts';
import { type Cluster, type ClusterOptions, startCluster } from '../../sandbox/cluster/cluster.ts';
import type { BoundPod } from '../../sandbox/kubelet/pod.ts';
import { boundMs, withinBound } from '../support/bounded.ts';
import { makeDirectory } from '../support/directory.ts';
import { eachWithFields, withFields } from '../support/fields.ts';
import { inGroup } from '../support/pod-surroundings.ts';
import { mountPointsBelow } from '../volumes/support.ts';
import { type Line, lastOf, signerName } from './node.ts';

const agentProgram = join(import.meta.dirname, '../../agent/main.ts');

/** How a process ended. */
export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** The agent, from outside. */
export interface AgentProcess {
  readonly pid: number;
  /** Every line that it has logged. */
  readonly lines: readonly Line[];
  readonly exit: Promise<Exit>;
  /** All that it wrote, standard error included. */
  output(): string;
  /** The first line, logged already or yet to come, that is accepted. @throws when the agent ends before that. */
  logged(accept: (line: Line) => boolean, ms?: number): Promise<Line>;
  /** What it serves under this path. */
  get(path: string): Promise<{ readonly status: number; readonly text: string }>;
  /** Resolves when it says that it is ready. */
  ready(): Promise<void>;
  /** From now on nobody reads what it writes. */
  turnAway(): void;
  /** Sends a signal and waits for the end. */
  end(signal: NodeJS.Signals): Promise<Exit>;
}

export interface RealNode {
  readonly cluster: Cluster;
  readonly directory: string;
  /** Starts an agent, beside one that runs if there is one, and does not wait for it. */
  spawnAgent(flags?: readonly string[]): AgentProcess;
  /** Starts an agent and waits until it is ready. */
  startAgent(flags?: readonly string[]): Promise<AgentProcess>;
  /** Directory that the pod's containers would see. */
  volume(pod: BoundPod): string;
  read(pod: BoundPod, file: string): string;
  /** All requests that were ever created, as they were then, in order. */
  readonly created: readonly PodCertificateRequest[];
  /** The requests that are there now: the API server deletes them after fifteen minutes of its time. */
  requests(): readonly PodCertificateRequest[];
  /** Mount points of volumes. */
  mounts(): readonly string[];
}

type Environment = Readonly<Record<string, string>>;

/** The environment in the image. */
export const imageEnvironment: Environment = { NODE_ENV: 'production', UV_THREADPOOL_SIZE: '6' };

export interface RealNodeOptions extends Omit<Partial<ClusterOptions>, 'directory'> {
  /** Default true. */
  readonly shared?: boolean;
  /** The program and its first arguments. Default: the agent's own source. */
  readonly program?: readonly string[];
  /** More of the agent's environment. */
  readonly environment?: Environment;
  /** `cgroup.procs` of the group that agents join before they start. */
  readonly group?: string;
}

/** A directory that is a mount of its own; what is mounted below it goes with it. */
export function mountedDirectory(t: TestContext, propagation: 'shared' | 'private'): string {
  const after = (remove: () => void) =>
    t.after(() => {
      for (const mountPoint of mountPointsBelow(directory).reverse()) {
        execFileSync('umount', ['-l', mountPoint]);
      }
      execFileSync('umount', ['-l', directory]);
      remove();
    });
  const directory = makeDirectory({ after });
  mountOnItself(directory, propagation);
  return directory;
}

function mountOnItself(directory: string, propagation: 'shared' | 'private'): void {
  mkdirSync(directory, { recursive: true });
  execFileSync('mount', ['--bind', directory, directory]);
  // Private first: shared then means a group of its own, whatever the mount above it belongs to.
  execFileSync('mount', ['--make-rprivate', directory]);
  if (propagation === 'shared') {
    execFileSync('mount', ['--make-rshared', directory]);
  }
}

export async function startRealNode(t: TestContext, options: RealNodeOptions = {}): Promise<RealNode> {
  const { shared = true, program = [process.execPath, agentProgram], environment, group, ...clusterOptions } = options;
  const running = new Set<AgentProcess>();
  const closing: (() => Promise<void>)[] = [];
  // Before the directory's own clean-up: hooks run in the order in which they were registered.
  t.after(async () => {
    for (const agent of running) {
      await agent.end('SIGKILL');
    }
    for (const close of closing) {
      await close();
    }
  });
  const directory = mountedDirectory(t, 'private');
  const cluster = await startCluster({
    signers: [{ signerName }],
    ...clusterOptions,
    kubelet: clusterOptions.kubelet ?? { registration: true, backoffFactor: 0.02 },
    directory,
  });
  closing.push(() => cluster.close());
  // As in the agent's container: the directories are mounts of their own, and the root above them is not there.
  mountOnItself(join(cluster.kubeletRoot, 'pods'), shared ? 'shared' : 'private');
  mountOnItself(cluster.registrationDirectory, 'private');
  const created: PodCertificateRequest[] = [];
  cluster.apiServer.store.subscribe(({ resource, type, object }) => {
    // The store keeps plain JSON; which type it has, the resource says.
    if (type === 'ADDED' && resource === requestsResource) {
      created.push(withFields<PodCertificateRequest>(object, 'metadata', 'spec'));
    }
  });

  const node: RealNode = {
    cluster,
    directory,
    created,
    spawnAgent(flags = []) {
      const agent = spawnAgent([...program, ...argvFor(cluster), ...flags], environment, group);
      running.add(agent);
      void agent.exit.then(() => running.delete(agent));
      return agent;
    },
    async startAgent(flags) {
      const agent = node.spawnAgent(flags);
      await agent.ready();
      return agent;
    },
    volume: ({ metadata }) =>
      join(cluster.kubeletRoot, 'pods', metadata.uid ?? '', 'volumes/kubernetes.io~csi/mtls/mount'),
    read: (pod, file) => readFileSync(join(node.volume(pod), file), 'utf8'),
    requests: () =>
      eachWithFields<PodCertificateRequest>(cluster.apiServer.store.list(requestsResource), 'metadata', 'spec'),
    mounts: () => mountPointsBelow(join(cluster.kubeletRoot, 'pods')),
  };
  return node;
}

const requestsResource = 'podcertificaterequests.certificates.k8s.io';

function argvFor(cluster: Cluster): string[] {
  return [
    ...['--kubeconfig', cluster.kubeconfigs.agent, '--node-name', cluster.nodeName],
    ...['--kubelet-root', cluster.kubeletRoot, '--csi-socket', cluster.csiSocket],
    ...['--registration-dir', cluster.registrationDirectory, '--volume-mode', 'tmpfs'],
    ...['--metrics-address', '127.0.0.1:0', '--log-level', 'debug', '--log-format', 'json'],
    ...['--requests-per-second', '1000', '--burst', '1000'],
    ...(cluster.impersonateNode ? ['--impersonate-node'] : []),
  ];
}

/** What the chart's container may do. */
const capabilities = '-all,+sys_admin,+chown,+fowner,+dac_override';
const contain = `mount -o remount,bind,ro / && exec setpriv --bounding-set ${capabilities} "$@"`;
/**
 * Runs the agent's program as in the chart's container: in a mount namespace of its own, so that what it mounts reaches the node
 * by propagation only and the namespace ends with it; on a root that is read-only; and with those few capabilities.
 */
function spawnAgent(command: readonly string[], environment: Environment = {}, group?: string): AgentProcess {
  const contained = ['unshare', '--mount', '--propagation', 'unchanged', 'sh', '-c', contain, 'sh', ...command];
  const [program = '', ...values] = group === undefined ? contained : inGroup(group, contained);
  const child = spawn(program, values, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...environment },
  });
  const kill = (): boolean => child.kill('SIGKILL');
  process.once('exit', kill);
  const lines: Line[] = [];
  const written: string[] = [];
  const waiting = new Set<() => void>();
  const look = (): void => {
    for (const listener of [...waiting]) {
      listener();
    }
  };
  let ended: Exit | undefined;
  createInterface({ input: child.stdout }).on('line', (text) => {
    written.push(text);
    if (text.startsWith('{')) {
      lines.push(JSON.parse(text));
    }
    look();
  });
  createInterface({ input: child.stderr }).on('line', (text) => written.push(text));
  // 'close' comes when all output was read, 'exit' may come before that.
  const exit = once(child, 'close').then(([code, signal]): Exit => {
    process.off('exit', kill);
    ended = { code, signal };
    look();
    return ended;
  });
  const agent: AgentProcess = {
    pid: child.pid ?? 0,
    lines,
    exit,
    output: () => written.join('\n'),
    logged(accept, ms) {
      const { promise, resolve, reject } = Promise.withResolvers<Line>();
      const listener = (): void => {
        const found = lines.find(accept);
        if (found !== undefined) {
          resolve(found);
        } else if (ended !== undefined) {
          reject(new Error(`the agent ended before the line came:\n${written.slice(-20).join('\n')}`));
        }
      };
      waiting.add(listener);
      listener();
      const what = (): string => `a log line that ${accept} accepts; the last lines are\n${lastOf(lines)}`;
      return withinBound(promise, what, ms).finally(() => waiting.delete(listener));
    },
    async get(path) {
      const { address } = await agent.logged((line) => line.message === 'serving metrics and health');
      const response = await fetch(`http://${String(address)}${path}`, { signal: AbortSignal.timeout(boundMs) });
      return { status: response.status, text: await response.text() };
    },
    async ready() {
      const until = performance.now() + boundMs;
      for (;;) {
        const { status, text } = await agent.get('/readyz');
        if (status === 200) {
          return;
        }
        if (performance.now() > until) {
          throw new Error(`the agent was not ready within ${boundMs} ms: ${text}`);
        }
        await sleep(20);
      }
    },
    turnAway() {
      child.stdout.destroy();
      child.stderr.destroy();
    },
    end(signal) {
      if (ended === undefined) {
        child.kill(signal);
      }
      return withinBound(exit, `the agent to end after ${signal}`);
    },
  };
  return agent;
}
