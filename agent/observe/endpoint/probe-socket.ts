/**
 * The kubelet's probes, the operator's `retry` and the status, on a unix socket that only root on the node can reach.
 * `pod-certificate-agent probe`, `retry` and `status` ask here. So strangers who hold all connections to the network port cannot
 * make a probe fail, and nobody on the network can make the agent try again.
 */
import { chmodSync, lstatSync, mkdirSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage } from 'node:http';
import { dirname } from 'node:path';
import { type Health, healthReply } from '../health.ts';
import type { Logger } from '../log/log.ts';
import { type Reply, textReply } from '../reply.ts';
import type { StatusSources } from '../status/document.ts';
import { createStatusReply } from '../status/status.ts';
import { type RetrySources, retryReply } from './retry.ts';
import { pathOf, queryOf, replyWith, startServer } from './serving.ts';

export interface ProbeSocketOptions {
  /** Absolute. A socket that an earlier run left there is replaced: whoever holds the CSI socket is the node's agent. */
  readonly path: string;
  readonly health: Health;
  readonly retry: RetrySources;
  readonly status: Omit<StatusSources, 'ready'>;
  readonly log: Logger;
}

/** The kubelet asks one or two at a time, people a few more. */
const maxConnections = 32;
const limits = { headersTimeout: 5_000, requestTimeout: 5_000, connectionsCheckingInterval: 1_000 } as const;

/**
 * Serves `/livez` and `/readyz`, always with every check on its line, `/statusz`, and `POST /retry`.
 * @returns stops serving and removes the socket
 * @throws Error when something other than a socket lies at the path, or the error of `listen`
 */
export async function openProbeSocket(options: ProbeSocketOptions): Promise<() => Promise<void>> {
  const { path, health, retry, log } = options;
  const checks: Readonly<Record<string, Health['live']>> = { '/livez': health.live, '/readyz': health.ready };
  const statusReply = createStatusReply();
  const replyOf = async (asked: string, request: IncomingMessage): Promise<Reply> => {
    switch (asked) {
      case '/retry':
        return retryReply(request, retry);
      case '/statusz':
        return statusReply({ ...options.status, ready: health.ready }, queryOf(request), request.headers.accept ?? '');
      default:
        return probeReply(asked, checks[asked]);
    }
  };
  const server = createServer(
    limits,
    replyWith(async (request) => {
      const asked = pathOf(request);
      const reply = await replyOf(asked, request);
      return { ...reply, headers: { ...reply.headers, Connection: 'close' } };
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

function probeReply(path: string, ask: Health['live'] | undefined): Reply {
  return ask === undefined ? textReply(404, 'not found') : healthReply(path.slice(1), ask(), true, true);
}

function removeStale(path: string): void {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) {
    return;
  }
  if (!found.isSocket()) {
    throw new Error(`${path} is there and is not a socket; remove it`);
  }
  rmSync(path);
}
