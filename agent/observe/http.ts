/**
 * The agent's HTTP endpoint: `/metrics` for Prometheus, `/livez`, `/healthz` and `/readyz` for probes, in the manner of
 * Kubernetes' own components. It asks for no credentials, so it listens on loopback addresses only.
 *
 * https://kubernetes.io/docs/reference/using-api/health-checks/
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Logger } from './log.ts';
import type { Metrics } from './metrics.ts';

/** One thing that must be well. */
export interface HealthCheck {
  /** In lower case with dashes, as in `?verbose` output. */
  readonly name: string;
  readonly ok: boolean;
  /** What is wrong, in one line; not shown when all is well. */
  readonly message?: string;
}

/** What the probes ask, answered from memory, at once. */
export interface Health {
  /** Checks that only a restart of the agent can mend. */
  live(): readonly HealthCheck[];
  /** Checks that must hold before the agent can serve volumes. */
  ready(): readonly HealthCheck[];
}

export interface ObserveServer {
  /** Where it listens. */
  readonly address: { readonly host: string; readonly port: number };
  /** Stops accepting, lets replies under way end, and frees the port. Can be called again. */
  close(): Promise<void>;
}

/** A reply still under way this long after `close` is cut off. */
const closeGraceMs = 1_000;
const maxConnections = 64;
const methods = 'GET, HEAD';

interface Reply {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

/**
 * Starts to serve.
 * @param options.address a loopback host and a port, 0 for any that is free
 * @throws the error of `listen`, such as EADDRINUSE
 */
export async function createObserveServer(options: {
  readonly address: { readonly host: string; readonly port: number };
  readonly metrics: Metrics;
  readonly health: Health;
  readonly log: Logger;
}): Promise<ObserveServer> {
  const { address, log } = options;
  const routes = createRoutes(options.metrics, options.health);
  const server = createServer(
    { headersTimeout: 5_000, requestTimeout: 10_000, keepAliveTimeout: 75_000, maxHeaderSize: 8_192 },
    (request, response) => {
      answer(routes, request, response).catch((error: unknown) => {
        log.error('a request to the HTTP endpoint failed', { path: pathOf(request), error });
        send(request, response, text(500, 'internal error'));
      });
    },
  );
  server.maxConnections = maxConnections;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(address.port, address.host, () => {
      server.off('error', reject);
      resolve();
    });
  });
  server.on('error', (error) => log.error('the HTTP endpoint failed', { error }));
  const bound = server.address() as AddressInfo;

  let closed: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    const ended = new Promise<void>((resolve) => server.close(() => resolve()));
    const cutOff = setTimeout(() => server.closeAllConnections(), closeGraceMs);
    await ended;
    clearTimeout(cutOff);
  };
  return {
    address: { host: bound.address, port: bound.port },
    close: () => {
      closed ??= close();
      return closed;
    },
  };
}

type Route = (query: URLSearchParams) => Reply | Promise<Reply>;

function createRoutes(metrics: Metrics, health: Health): ReadonlyMap<string, Route> {
  let rendering: Promise<Reply> | undefined;
  const render = async (): Promise<Reply> => {
    const { contentType, body } = await metrics.render();
    return { status: 200, contentType, body };
  };
  const live: Route = (query) => healthReply('livez', health.live(), query);
  return new Map<string, Route>([
    // Scrapes that come while one is being rendered share its result.
    [
      '/metrics',
      () => {
        rendering ??= render().finally(() => {
          rendering = undefined;
        });
        return rendering;
      },
    ],
    ['/livez', live],
    ['/healthz', live],
    ['/readyz', (query) => healthReply('readyz', health.ready(), query)],
  ]);
}

/** Short when all is well and nothing else is asked; else every check on its line, and 503 when one of them fails. */
function healthReply(name: string, checks: readonly HealthCheck[], query: URLSearchParams): Reply {
  const failed = checks.some((check) => !check.ok);
  if (!failed && !query.has('verbose')) return text(200, 'ok');
  const lines = checks.map((check) =>
    check.ok ? `[+]${check.name} ok` : `[-]${check.name} failed: ${check.message ?? 'no reason given'}`,
  );
  return text(failed ? 503 : 200, [...lines, `${name} check ${failed ? 'failed' : 'passed'}`].join('\n'));
}

function text(status: number, line: string): Reply {
  return { status, contentType: 'text/plain; charset=utf-8', body: `${line}\n` };
}

function pathOf(request: IncomingMessage): string {
  return (request.url ?? '/').split('?', 1)[0] ?? '/';
}

async function answer(
  routes: ReadonlyMap<string, Route>,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const route = routes.get(pathOf(request));
  if (route === undefined) return send(request, response, text(404, 'not found'));
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.setHeader('Allow', methods);
    return send(request, response, text(405, `only ${methods}`));
  }
  const query = new URLSearchParams((request.url ?? '').split('?').slice(1).join('?'));
  send(request, response, await route(query));
}

function send(request: IncomingMessage, response: ServerResponse, reply: Reply): void {
  const headers = {
    'Content-Type': reply.contentType,
    'Content-Length': Buffer.byteLength(reply.body),
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
  };
  // A body that came with the request is not read; the connection cannot be used again after it.
  const isUnread = request.method !== 'GET' && request.method !== 'HEAD';
  response.writeHead(reply.status, isUnread ? { ...headers, Connection: 'close' } : headers);
  response.end(request.method === 'HEAD' ? undefined : reply.body);
}
