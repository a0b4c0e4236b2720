/**
 * The agent of the demonstration, in a process of its own, as it runs on a node.
 */
import { closeSync, openSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Cluster } from '../cluster/cluster.ts';
import { type RunningProcess, startProcess } from './processes.ts';

export interface AgentProcess extends RunningProcess {
  /** `http://127.0.0.1:<port>`: metrics, health, status. */
  readonly url: string;
  /** Resolves when the agent is ready for the kubelet. @throws the signal's reason when it is aborted. */
  ready(signal: AbortSignal): Promise<void>;
}

export interface AgentProcessOptions {
  readonly cluster: Cluster;
  /** Options beyond those that lead it to its cluster. */
  readonly flags: readonly string[];
  /** File for the log; absent: the terminal. */
  readonly logFile?: string;
  readonly onUnexpectedExit: (how: string) => void;
}

const readyCheckMs = 50;

export async function startAgentProcess(options: AgentProcessOptions): Promise<AgentProcess> {
  const { cluster, flags, logFile, onUnexpectedExit } = options;
  const address = `127.0.0.1:${await freePort()}`;
  const output = logFile === undefined ? 'inherit' : openSync(logFile, 'a', 0o600);
  const child = startProcess({
    script: 'agent/main.ts',
    args: [
      ...['--kubeconfig', cluster.kubeconfigs.agent, ...(cluster.impersonateNode ? ['--impersonate-node'] : [])],
      ...['--node-name', cluster.nodeName, '--driver-name', cluster.driverName],
      ...['--kubelet-root', cluster.kubeletRoot, '--csi-socket', cluster.csiSocket, '--no-registration'],
      ...['--volume-mode', 'directory', '--metrics-address', address],
      ...flags,
    ],
    output,
    onUnexpectedExit,
  });
  // The child has a copy of its own.
  if (typeof output === 'number') {
    closeSync(output);
  }
  const url = `http://${address}`;
  return {
    ...child,
    url,
    ready: async (signal) => {
      while (!(await answers(`${url}/readyz`, signal))) {
        await sleep(readyCheckMs, undefined, { signal });
      }
    },
  };
}

async function answers(url: string, signal: AbortSignal): Promise<boolean> {
  try {
    const reply = await fetch(url, { signal });
    await reply.arrayBuffer();
    return reply.ok;
  } catch {
    signal.throwIfAborted();
    return false;
  }
}

/** A TCP port on the loopback address that nobody listens on now. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (typeof address !== 'object' || address === null) {
    throw new Error('no free port was found');
  }
  return address.port;
}

/** The last lines of a log file, for a person who must find out why the agent ended. */
export async function lastLines(path: string, count: number): Promise<readonly string[]> {
  return (await readFile(path, 'utf8')).trimEnd().split('\n').slice(-count);
}
