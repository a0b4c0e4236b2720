/**
 * The agent's HTTP endpoint: connections, TLS, and who may ask what. `routes.ts` answers.
 *
 * On a loopback address it may be read by whoever is on the node; elsewhere it speaks TLS and asks for a bearer token, as
 * Kubernetes' own components do. Probes have no token and get an answer without details.
 */
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { type AddressInfo, isIPv4, type Socket } from 'node:net';
import { unreachable } from '../../base/unreachable.ts';
import { headTimeoutMs, maxConnections, maxConnectionsOfPeer, maxHeadBytes } from '../limits.ts';
import type { Logger } from '../log/log.ts';
import { type Reply, textReply } from '../reply.ts';
import type { AccessCheck, Verdict } from './access.ts';
import type { CertificateSource } from './certificate-files.ts';
import { type ConnectionShares, createConnectionShares } from './connection-shares.ts';
import { peerOf } from './peer.ts';
import type { Route } from './routes.ts';
import { type Handler, pathOf, queryOf, replyWith, startServer } from './serving.ts';

export interface ObserveServer {
  /** Where it listens. */
  readonly address: { readonly host: string; readonly port: number };
  /** Stops accepting, lets replies under way end, and frees the port. Can be called again. */
  close(): Promise<void>;
}

export interface ObserveServerOptions {
  /** A host and a port, 0 for any that is free. */
  readonly address: { readonly host: string; readonly port: number };
  readonly routes: ReadonlyMap<string, Route>;
  readonly log: Logger;
  /** Absent: without TLS. */
  readonly certificate?: CertificateSource;
  /** Absent: whoever reaches the address may read it. */
  readonly access?: AccessCheck;
}

const methods = 'GET, HEAD';
const limits = {
  headersTimeout: headTimeoutMs,
  requestTimeout: 2 * headTimeoutMs,
  // Longer than the usual pause between two scrapes; only who has shown a good token is still connected then.
  keepAliveTimeout: 75_000,
  connectionsCheckingInterval: 1_000,
  maxHeaderSize: maxHeadBytes,
} as const;

/**
 * Starts to serve.
 * @throws the error of `listen`, such as EADDRINUSE
 */
export async function createObserveServer(options: ObserveServerOptions): Promise<ObserveServer> {
  const { address, log } = options;
  const shares = createConnectionShares({ total: maxConnections, peer: maxConnectionsOfPeer });
  const server = listenerOf(
    options,
    replyWith((request) => answer(options, shares, request), log),
  );
  const cutOff = shareConnections(server, shares);
  const close = await startServer(server, address, log, cutOff);
  const bound = server.address() as AddressInfo;
  return { address: { host: bound.address, port: bound.port }, close };
}

function listenerOf({ certificate, log }: ObserveServerOptions, handler: Handler): Server {
  if (certificate === undefined) {
    return createServer(limits, handler);
  }
  const { current } = certificate;
  const server = createTlsServer(
    { ...limits, ...current, handshakeTimeout: headTimeoutMs, minVersion: 'TLSv1.2' },
    handler,
  );
  certificate.onChange((next) => {
    server.setSecureContext({ ...next, minVersion: 'TLSv1.2' });
    log.info('the HTTP endpoint has a new certificate');
  });
  return server;
}

/**
 * Puts the shares before whatever the server does with a new connection, the TLS handshake too.
 * @returns ends all connections; the server itself knows none of those that are still at their handshake
 */
function shareConnections(server: Server, shares: ConnectionShares): () => void {
  const sockets = new Set<Socket>();
  const serve = server.listeners('connection');
  server.removeAllListeners('connection');
  server.on('connection', (socket: Socket) => {
    const id = connectionOf(socket);
    if (!shares.admit(id, peerOf(socket.remoteAddress), () => socket.destroy())) {
      socket.destroy();
      return;
    }
    sockets.add(socket);
    socket.once('close', () => {
      sockets.delete(socket);
      shares.release(id);
    });
    for (const listener of serve) {
      listener.call(server, socket);
    }
  });
  return () => {
    for (const socket of sockets) {
      socket.destroy();
    }
  };
}

/** The same for a TCP connection and for the TLS that is spoken over it. */
function connectionOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}

/** True for addresses that only this machine reaches. */
export function isLoopback(host: string): boolean {
  return host === '::1' || (isIPv4(host) && host.startsWith('127.'));
}

async function answer(
  options: ObserveServerOptions,
  shares: ConnectionShares,
  request: IncomingMessage,
): Promise<Reply> {
  const { access } = options;
  if (access === undefined) {
    if (!isOwnName(request.headers.host)) {
      return textReply(421, 'not an address of this endpoint');
    }
    return replyOf(options, request, () => Promise.resolve('allowed'));
  }
  const judged: { verdict?: Verdict } = {};
  const reply = await replyOf(options, request, async (verb, path) => {
    const verdict = await judge(access, request, verb, path);
    judged.verdict = verdict;
    return verdict;
  });
  if (judged.verdict !== 'allowed') {
    return lastReply(reply);
  }
  shares.prove(connectionOf(request.socket));
  return reply;
}

async function replyOf(
  { routes }: ObserveServerOptions,
  request: IncomingMessage,
  judgement: (verb: string, path: string) => Promise<Verdict>,
): Promise<Reply> {
  const path = pathOf(request);
  const route = routes.get(path);
  const method = request.method ?? '';
  if (route === undefined) {
    return textReply(404, 'not found');
  }
  if (method !== 'GET' && method !== 'HEAD') {
    return textReply(405, `only ${methods}`, { Allow: methods });
  }
  const verdict = await judgement(method.toLowerCase(), path);
  if (verdict !== 'allowed' && !route.open) {
    return refusal(verdict);
  }
  return route.answer({
    query: queryOf(request),
    accept: request.headers.accept ?? '',
    told: verdict === 'allowed',
  });
}

/** Who has no good token keeps no connection either: there is a limited number of them. */
function lastReply(reply: Reply): Reply {
  return { ...reply, headers: { ...reply.headers, Connection: 'close' } };
}

/**
 * A page of another site can make a browser on the machine ask here under the site's own name (DNS rebinding) and read the
 * answer, where no token is asked for. So only names of the machine itself are answered.
 */
function isOwnName(host: string | undefined): boolean {
  if (host === undefined) {
    return true;
  }
  const name = host.replace(/:\d*$/, '').replace(/^\[(.*)\]$/, '$1');
  return name === 'localhost' || isLoopback(name);
}

function judge(access: AccessCheck, request: IncomingMessage, verb: string, path: string): Promise<Verdict> {
  const [, token] = /^Bearer ([^\s]+)$/i.exec(request.headers.authorization ?? '') ?? [];
  if (token === undefined) {
    return Promise.resolve('unauthenticated');
  }
  return access(token, verb, path, peerOf(request.socket.remoteAddress));
}

function refusal(verdict: Exclude<Verdict, 'allowed'>): Reply {
  switch (verdict) {
    case 'unauthenticated':
      return textReply(401, 'a bearer token is needed', { 'WWW-Authenticate': 'Bearer' });
    case 'forbidden':
      return textReply(403, 'the token is good, and its holder has no permission for this path');
    case 'unknown':
      return textReply(503, 'the API server cannot be asked who this is', { 'Retry-After': '5' });
    case 'busy':
      return textReply(429, 'too many unknown tokens from your address; wait', { 'Retry-After': '10' });
    default:
      return unreachable(verdict);
  }
}
