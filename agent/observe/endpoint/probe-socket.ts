/**
 * The kubelet's probes, the operator's `retry` and the status, on a unix socket that only root on the node can reach.
 * `pod-certificate-agent probe`, `retry` and `status` ask here. So strangers who hold all connections to the network port cannot
 * make a probe fail, and nobody on the network can make the agent try again.
 */
import { createServer, type IncomingMessage } from 'node:http';
import { createKeptSocket, type Later } from '../../../volumes/csi/kept-socket.ts';
import type { SocketServer } from '../../../volumes/csi/socket.ts';
import { type Health, healthReply } from '../health.ts';
import type { Logger } from '../log/log.ts';
import { type Reply, textReply } from '../reply.ts';
import type { StatusSources } from '../status/document.ts';
import { createStatusReply } from '../status/status.ts';
import { type RetrySources, retryReply } from './retry.ts';
import { closeGraceMs, type Handler, listen, pathOf, queryOf, replyWith } from './serving.ts';

export interface ProbeSocketOptions {
  /** Absolute. A socket that an earlier run left there is replaced: whoever holds the CSI socket is the node's agent. */
  readonly path: string;
  readonly health: Health;
  readonly retry: RetrySources;
  readonly status: Omit<StatusSources, 'ready'>;
  readonly log: Logger;
  /** Default: the system's timer. */
  readonly later?: Later;
}

/** The kubelet asks one or two at a time, people a few more. */
const maxConnections = 32;
const limits = { headersTimeout: 5_000, requestTimeout: 5_000, connectionsCheckingInterval: 1_000 } as const;

/**
 * Serves `/livez` and `/readyz`, always with every check on its line, `/statusz`, and `POST /retry`. Whoever removes the plugin's directory
 * removes this socket too, so it is put back as the CSI socket is.
 * @returns stops serving and removes the socket
 * @throws VolumeError when something other than a socket lies at the path, or it cannot be served
 */
export async function openProbeSocket(options: ProbeSocketOptions): Promise<() => Promise<void>> {
  const { path, health, retry, log, later } = options;
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
  const handler = replyWith(async (request) => {
    const asked = pathOf(request);
    const reply = await replyOf(asked, request);
    return { ...reply, headers: { ...reply.headers, Connection: 'close' } };
  }, log);
  const makeServer = (): SocketServer => serverOf(handler, log);
  const socket = createKeptSocket({ name: 'probe socket', socketPath: path, makeServer, takesOver: true, log, later });
  await socket.start();
  return () => socket.stop(closeGraceMs);
}

function serverOf(handler: Handler, log: Logger): SocketServer {
  const server = createServer(limits, handler);
  server.maxConnections = maxConnections;
  return {
    listen: (path) => listen(server, { path }, log),
    close: (over) => server.close(() => over()),
    cut() {
      server.close();
      server.closeAllConnections();
    },
  };
}

function probeReply(path: string, ask: Health['live'] | undefined): Reply {
  return ask === undefined ? textReply(404, 'not found') : healthReply(path.slice(1), ask(), true, true);
}
