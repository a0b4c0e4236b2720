/**
 * The kubelet's probes, on a unix socket that only root on the node can reach. `pod-certificate-agent probe` asks here. What
 * strangers do to the network's port, and how many connections they hold there, is nothing to a probe.
 */
import { chmodSync, lstatSync, mkdirSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { dirname } from 'node:path';
import { type Health, healthReply } from '../health.ts';
import type { Logger } from '../log/log.ts';
import { textReply } from '../reply.ts';
import { pathOf, replyWith, startServer } from './serving.ts';

export interface ProbeSocketOptions {
  /** Absolute. A socket that an earlier run left there is replaced: whoever holds the CSI socket is the node's agent. */
  readonly path: string;
  readonly health: Health;
  readonly log: Logger;
}

/** The kubelet asks one or two at a time, people a few more. */
const maxConnections = 32;
const limits = { headersTimeout: 5_000, requestTimeout: 5_000, connectionsCheckingInterval: 1_000 } as const;

/**
 * Serves `/livez` and `/readyz`, always with every check on its line.
 * @returns stops serving and removes the socket
 * @throws Error when something other than a socket lies at the path, or the error of `listen`
 */
export async function openProbeSocket({ path, health, log }: ProbeSocketOptions): Promise<() => Promise<void>> {
  const checks: Readonly<Record<string, Health['live']>> = { '/livez': health.live, '/readyz': health.ready };
  const server = createServer(
    limits,
    replyWith(async (request) => {
      const asked = pathOf(request);
      const ask = checks[asked];
      const reply = ask === undefined ? textReply(404, 'not found') : healthReply(asked.slice(1), ask(), true, true);
      return { ...reply, headers: { Connection: 'close' } };
    }, log),
  );
  server.maxConnections = maxConnections;
  mkdirSync(dirname(path), { recursive: true, mode: 0o750 });
  removeStale(path);
  const close = await startServer(server, { path }, log);
  // Nobody but the owner could write to it before this either: the umask of a process never adds write for others.
  chmodSync(path, 0o600);
  return close;
}

function removeStale(path: string): void {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (!found.isSocket()) throw new Error(`${path} is there and is not a socket; remove it`);
  rmSync(path);
}
