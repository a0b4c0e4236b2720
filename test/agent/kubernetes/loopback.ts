/**
 * A real HTTPS server on loopback that plays the API server as a test scripts it, with a certificate made by OpenSSL.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { type ApiClient, type ApiClientOptions, createApiClient } from '../../../agent/kubernetes/client.ts';
import type { Credentials, Identity } from '../../../agent/kubernetes/identity.ts';
import type { KubernetesObject } from '../../../agent/kubernetes/objects.ts';
import { eventOf, withinBound } from '../../support/bounded.ts';
import { makeDirectory } from '../../support/directory.ts';

/** A request as it arrived, body read. */
export interface Received {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
  readonly response: ServerResponse;
  /** Resets the TCP connection (RST). */
  reset(): void;
}

export type Handler = (received: Received) => unknown;

export interface Loopback {
  readonly url: string;
  readonly ca: string;
  readonly caKey: string;
  /** Everything received so far. */
  readonly received: Received[];
  /** Connections accepted so far. */
  connections(): number;
  /** Connections that are open now. */
  openConnections(): number;
  handle: Handler;
  /** Resolves with the count-th request (from 1) that matches, past or future. */
  nth(count: number, matches?: (received: Received) => boolean): Promise<Received>;
  /** Breaks every open connection. */
  breakConnections(): void;
  close(): Promise<void>;
}

export interface KeyPair {
  readonly cert: string;
  readonly key: string;
}

/** A self-signed certificate for 127.0.0.1, PEM. */
export function makeCertificate(directory: string): KeyPair {
  const [cert, key] = [join(directory, 'server.crt'), join(directory, 'server.key')];
  const names = ['-subj', '/CN=loopback', '-addext', 'subjectAltName=IP:127.0.0.1'];
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '1'];
  execFileSync('openssl', ['req', '-x509', ...kind, ...names, '-keyout', key, '-out', cert], { stdio: 'pipe' });
  return { cert: readFileSync(cert, 'utf8'), key: readFileSync(key, 'utf8') };
}

export async function startLoopback(t: TestContext, handle: Handler, pair?: KeyPair): Promise<Loopback> {
  const { cert, key } = pair ?? makeCertificate(makeDirectory(t));
  const received: Received[] = [];
  const sockets = new Set<Socket>();
  const tcpSockets = new Map<number, Socket>();
  const waiting = new Set<() => void>();
  let connections = 0;
  const server: Server = createServer({ cert, key }, async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) {
      chunks.push(chunk);
    }
    const url = new URL(request.url ?? '/', 'https://loopback');
    const { method = '', headers } = request;
    const tcp = tcpSockets.get(request.socket.remotePort ?? 0);
    const body = Buffer.concat(chunks).toString('utf8');
    const one = {
      method,
      path: url.pathname,
      query: url.searchParams,
      headers,
      body,
      response,
      reset: () => tcp?.resetAndDestroy(),
    };
    received.push(one);
    for (const check of [...waiting]) {
      check();
    }
    await loopback.handle(one);
  });
  server.on('connection', (socket: Socket) => {
    const port = socket.remotePort ?? 0;
    tcpSockets.set(port, socket);
    socket.on('error', () => {});
    socket.on('close', () => tcpSockets.delete(port));
  });
  server.on('secureConnection', (socket) => {
    connections += 1;
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
  });
  server.on('tlsClientError', () => {});
  server.listen(0, '127.0.0.1');
  await eventOf(server, 'listening', 'the server to listen');
  const { port } = server.address() as AddressInfo;
  const breakConnections = (): void => {
    for (const socket of sockets) {
      socket.destroy();
    }
  };
  const loopback: Loopback = {
    url: `https://127.0.0.1:${port}`,
    ca: cert,
    caKey: key,
    received,
    connections: () => connections,
    openConnections: () => sockets.size,
    handle,
    nth(count, matches = () => true) {
      const { promise, resolve } = Promise.withResolvers<Received>();
      const check = (): void => {
        const found = received.filter(matches)[count - 1];
        if (found !== undefined) {
          resolve(found);
        }
      };
      waiting.add(check);
      check();
      const what = (): string => `request ${count} of those that ${matches} accepts, of ${received.length} received`;
      return withinBound(promise, what).finally(() => waiting.delete(check));
    },
    breakConnections,
    async close() {
      const closed = eventOf(server, 'close', 'the server to be closed');
      // First no new connections: a client whose call was broken off at once makes another.
      server.close();
      breakConnections();
      // Those whose handshake is not over yet, too.
      for (const socket of tcpSockets.values()) {
        socket.destroy();
      }
      await closed;
    },
  };
  t.after(() => (server.listening ? loopback.close() : undefined));
  return loopback;
}

export function fixedIdentity(credentials: Credentials): Identity {
  return { name: 'the tester', current: async () => credentials, renew: async () => false };
}

export function identityFor(server: Pick<Loopback, 'url' | 'ca'>): Identity {
  return fixedIdentity({ server: server.url, tls: { ca: server.ca }, headers: { Authorization: 'Bearer test-token' } });
}

/** A client of the server that is closed with the test. */
export function clientOf(t: TestContext, server: Loopback, options: Partial<ApiClientOptions> = {}): ApiClient {
  const client = createApiClient({ identity: identityFor(server), ...options });
  t.after(() => client.close());
  return client;
}

export function sendJson(response: ServerResponse, status: number, body: unknown, headers: object = {}): void {
  response.writeHead(status, { 'Content-Type': 'application/json', ...headers });
  response.end(JSON.stringify(body));
}

export function sendStatus(
  response: ServerResponse,
  code: number,
  reason: string,
  message = reason,
  details = {},
): void {
  sendJson(response, code, { kind: 'Status', apiVersion: 'v1', status: 'Failure', code, reason, message, details });
}

export function isWatch(received: Received): boolean {
  return received.query.get('watch') === 'true';
}

export function isList(received: Received): boolean {
  return !isWatch(received);
}

export interface Thing extends KubernetesObject {
  readonly value?: string;
}

export function thing(name: string, resourceVersion: number, value = '', uid = name): Thing {
  return { metadata: { namespace: 'shop', name, uid, resourceVersion: String(resourceVersion) }, value };
}

export function sendList(
  response: ServerResponse,
  resourceVersion: number,
  items: readonly unknown[],
  next = '',
): void {
  const metadata = { resourceVersion: String(resourceVersion), ...(next === '' ? {} : { continue: next }) };
  sendJson(response, 200, { kind: 'List', metadata, items });
}

/** Answers a watch and leaves it open. */
export function openWatch(response: ServerResponse): void {
  response.writeHead(200, { 'Content-Type': 'application/json' });
  response.flushHeaders();
}

export function sendEvent(response: ServerResponse, type: string, object: unknown): void {
  response.write(`${JSON.stringify({ type, object })}\n`);
}
