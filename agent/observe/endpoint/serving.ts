/**
 * What every HTTP server of the agent does alike: begin to listen, write a reply, stop.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { ListenOptions } from 'node:net';
import type { Logger } from '../log/log.ts';
import { type Reply, textReply } from '../reply.ts';

export type Handler = (request: IncomingMessage, response: ServerResponse) => void;

/** A reply still under way this long after the stop is cut off. */
export const closeGraceMs = 1_000;

/**
 * Begins to listen.
 * @param cutOff ends all connections
 * @returns stops accepting, lets replies under way end, and frees the address; can be called again
 * @throws the error of `listen`, such as EADDRINUSE
 */
export async function startServer(
  server: Server,
  address: ListenOptions,
  log: Logger,
  cutOff: () => void = () => server.closeAllConnections(),
): Promise<() => Promise<void>> {
  await listen(server, address, log);
  const close = async (): Promise<void> => {
    const ended = new Promise<void>((resolve) => server.close(() => resolve()));
    const grace = setTimeout(cutOff, closeGraceMs);
    await ended;
    clearTimeout(grace);
  };
  let closed: Promise<void> | undefined;
  return () => {
    closed ??= close();
    return closed;
  };
}

/** Begins to listen. @throws the error of `listen` */
export async function listen(server: Server, address: ListenOptions, log: Logger): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(address, () => {
      server.off('error', reject);
      resolve();
    });
  });
  server.on('error', (error) => log.error('the HTTP endpoint failed', { error }));
}

/** Sends what `answer` returns. Why it failed is for the log only: whoever asks may be a stranger. */
export function replyWith(answer: (request: IncomingMessage) => Promise<Reply>, log: Logger): Handler {
  return (request, response) => {
    answer(request).then(
      (reply) => send(request, response, reply),
      (error: unknown) => {
        log.error('a request to the HTTP endpoint failed', { path: pathOf(request), error });
        send(request, response, textReply(500, 'internal error'));
      },
    );
  };
}

export function pathOf(request: IncomingMessage): string {
  return (request.url ?? '/').split('?', 1)[0] ?? '/';
}

export function queryOf(request: IncomingMessage): URLSearchParams {
  return new URLSearchParams((request.url ?? '').split('?').slice(1).join('?'));
}

function send(request: IncomingMessage, response: ServerResponse, reply: Reply): void {
  const headers = {
    'Content-Type': reply.contentType,
    'Content-Length': Buffer.byteLength(reply.body),
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
    ...reply.headers,
  };
  // A body that came with the request is not read; the connection cannot be used again after it.
  const isUnread = request.method !== 'GET' && request.method !== 'HEAD';
  response.writeHead(reply.status, isUnread ? { ...headers, Connection: 'close' } : headers);
  response.end(request.method === 'HEAD' ? undefined : reply.body);
}
