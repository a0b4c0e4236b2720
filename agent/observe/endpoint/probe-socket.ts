/**
 * The kubelet's probes, the operator's `retry` and the status, on a unix socket that only root on the node can reach.
 * `pod-certificate-agent probe`, `retry` and `status` ask here. So strangers who hold all connections to the network port cannot
 * make a probe fail, and nobody on the network can make the agent try again.
 */
import { chmodSync, lstatSync, mkdirSync, rmSync, type Stats } from 'node:fs';
import { createServer, type IncomingMessage } from 'node:http';
import { dirname } from 'node:path';
import { type Health, healthReply } from '../health.ts';
import type { Logger } from '../log/log.ts';
import { type Reply, textReply } from '../reply.ts';
import type { StatusSources } from '../status/document.ts';
import { createStatusReply } from '../status/status.ts';
import { type RetrySources, retryReply } from './retry.ts';
import { type Handler, pathOf, queryOf, replyWith, startServer } from './serving.ts';

export interface ProbeSocketOptions {
  /** Absolute. A socket that an earlier run left there is replaced: whoever holds the CSI socket is the node's agent. */
  readonly path: string;
  readonly health: Health;
  readonly retry: RetrySources;
  readonly status: Omit<StatusSources, 'ready'>;
  readonly log: Logger;
  /** Calls back once after so many milliseconds, and cancels. Default: the system's timer. */
  readonly later?: (delayMs: number, callback: () => void) => () => void;
}

/** How often the socket is looked for: whoever removes the plugin's directory removes this one too, and probes would fail. */
const lookMs = 10_000;

/** The kubelet asks one or two at a time, people a few more. */
const maxConnections = 32;
const limits = { headersTimeout: 5_000, requestTimeout: 5_000, connectionsCheckingInterval: 1_000 } as const;

const systemLater = (delayMs: number, callback: () => void): (() => void) => {
  const timer = setTimeout(callback, delayMs).unref();
  return () => clearTimeout(timer);
};

/**
 * Serves `/livez` and `/readyz`, always with every check on its line, `/statusz`, and `POST /retry`; puts the socket back when somebody
 * removes it.
 * @returns stops serving and removes the socket
 * @throws Error when something other than a socket lies at the path, or the error of `listen`
 */
export async function openProbeSocket(options: ProbeSocketOptions): Promise<() => Promise<void>> {
  const { path, health, retry, log, later = systemLater } = options;
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
  let served = await serve(path, handler, log);
  let cancelLook = (): void => undefined;
  let looking = Promise.resolve();
  let isStopped = false;

  const putBack = async (): Promise<void> => {
    if (isSame(served.socket, lstatSync(path, { throwIfNoEntry: false }))) {
      return;
    }
    // To stop serving takes away what lies at the path, whatever it is.
    assertSocket(path);
    await served.close();
    if (!isStopped) {
      served = await serve(path, handler, log);
      log.warn('the probe socket was removed, and is put back', { address: path });
    }
  };
  const lookLater = (): void => {
    cancelLook = later(lookMs, () => {
      looking = putBack()
        .catch((error: unknown) => log.error('the probe socket cannot be put back', { address: path, error }))
        .finally(() => isStopped || lookLater());
    });
  };
  lookLater();
  return async () => {
    isStopped = true;
    cancelLook();
    await looking;
    await served.close();
  };
}

interface Served {
  readonly socket: Pick<Stats, 'dev' | 'ino'>;
  readonly close: () => Promise<void>;
}

async function serve(path: string, handler: Handler, log: Logger): Promise<Served> {
  const server = createServer(limits, handler);
  server.maxConnections = maxConnections;
  mkdirSync(dirname(path), { recursive: true, mode: 0o750 });
  if (assertSocket(path)) {
    rmSync(path);
  }
  const close = await startServer(server, { path }, log);
  // Nobody but the owner could write to it before this either: the umask of a process never adds write for others.
  chmodSync(path, 0o600);
  return { socket: lstatSync(path), close };
}

function isSame(own: Served['socket'], found: Served['socket'] | undefined): boolean {
  return found?.ino === own.ino && found.dev === own.dev;
}

function probeReply(path: string, ask: Health['live'] | undefined): Reply {
  return ask === undefined ? textReply(404, 'not found') : healthReply(path.slice(1), ask(), true, true);
}

/** Whether something lies at the path. @throws Error when that is no socket */
function assertSocket(path: string): boolean {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found !== undefined && !found.isSocket()) {
    throw new Error(`${path} is there and is not a socket; remove it`);
  }
  return found !== undefined;
}
