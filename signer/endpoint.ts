/**
 * Health and metrics over HTTP. They name no pod and hold nothing secret, so whoever reaches the port may read them; the chart's network
 * policy says who does.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Reply {
  readonly status: number;
  readonly text: string;
  readonly type?: string;
}

export interface Endpoint {
  readonly address: { readonly host: string; readonly port: number };
  close(): Promise<void>;
}

const limits = {
  headersTimeout: 5_000,
  requestTimeout: 10_000,
  keepAliveTimeout: 5_000,
  maxHeaderSize: 8_192,
} as const;
const maxConnections = 64;

/** @param routes by path. @throws the error of `listen`, such as EADDRINUSE */
export async function openEndpoint(
  { host, port }: { readonly host: string; readonly port: number },
  routes: Readonly<Record<string, () => Reply | Promise<Reply>>>,
): Promise<Endpoint> {
  const known = new Map(Object.entries(routes));
  const server = createServer(limits, (request, response) => {
    void answer(known, request)
      .catch((): Reply => ({ status: 500, text: 'a fault of the signer; its log says which' }))
      .then((reply) => send(response, reply));
  });
  server.maxConnections = maxConnections;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  server.listen({ host, port }, resolve);
  await promise;
  server.removeListener('error', reject);
  const bound = server.address() as AddressInfo;
  return {
    address: { host: bound.address, port: bound.port },
    close() {
      const closed = Promise.withResolvers<void>();
      server.close(() => closed.resolve());
      server.closeAllConnections();
      return closed.promise;
    },
  };
}

async function answer(
  routes: ReadonlyMap<string, () => Reply | Promise<Reply>>,
  { method, url = '/' }: IncomingMessage,
): Promise<Reply> {
  const route = routes.get(url.split('?', 1)[0] ?? '');
  if (route === undefined) {
    return { status: 404, text: 'not found' };
  }
  return method === 'GET' || method === 'HEAD' ? await route() : { status: 405, text: 'only GET and HEAD' };
}

function send(response: ServerResponse, { status, text, type = 'text/plain; charset=utf-8' }: Reply): void {
  response.writeHead(status, { 'Content-Type': type, 'X-Content-Type-Options': 'nosniff' });
  response.end(`${text}\n`);
}
