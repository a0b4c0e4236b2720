/**
 * HTTPS to one API server over one keep-alive agent: sends a request, hands back the reply's head, reads its body.
 *
 * The agent is made anew when the TLS material changes; calls and watches on the old one end in their own time. TCP
 * keep-alive finds a peer that has vanished within about 40 s: 30 s of silence, then ten probes a second apart (libuv's
 * fixed interval and count).
 *
 * https://nodejs.org/docs/latest-v24.x/api/https.html#class-httpsagent
 */
import type { IncomingMessage } from 'node:http';
import { Agent, request as httpsRequest } from 'node:https';
import type { Clock } from '../time/clock.ts';
import type { Credentials, TlsMaterial } from './identity.ts';

const keepAliveProbeAfterMs = 30_000;
/** Connections kept open between calls. */
const maxFreeSockets = 4;
/** Early heads (1xx) before that of a reply. */
const mostEarlyHeads = 64;

export interface Outgoing {
  readonly method: string;
  /** With query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Buffer;
}

export interface Reply {
  readonly message: IncomingMessage;
  /** Ends the exchange with a fault that the reading of the body then reports. */
  destroy(fault: Error): void;
}

export interface Transport {
  /** Sends and waits for the head of the reply. @throws Error of the network, or of the time limit. */
  send(credentials: Credentials, outgoing: Outgoing, signal: AbortSignal | undefined, limitMs: number): Promise<Reply>;
  /** Closes the connections that are not in use: one of them proved dead, so the others are not to be trusted. */
  dropIdle(): void;
  close(): void;
}

export function createTransport(clock: Clock): Transport {
  let agent: Agent | undefined;
  let agentTls: TlsMaterial | undefined;
  /** Agents of earlier TLS material whose last calls are still under way. */
  const retired = new Set<Agent>();

  function agentFor(tls: TlsMaterial): Agent {
    if (agent !== undefined && agentTls === tls) {
      return agent;
    }
    if (agent !== undefined) {
      retire(agent);
    }
    agentTls = tls;
    agent = new Agent({ ...tls, keepAlive: true, maxFreeSockets, scheduling: 'lifo' });
    return agent;
  }

  function retire(old: Agent): void {
    for (const known of retired) {
      if (Object.keys(known.sockets).length === 0) {
        retired.delete(known);
      }
    }
    old.maxFreeSockets = 0;
    destroyFree(old);
    retired.add(old);
  }

  return {
    send: (credentials, outgoing, signal, limitMs) =>
      exchange(agentFor(credentials.tls), credentials, outgoing, signal, clock, limitMs),
    dropIdle() {
      if (agent !== undefined) {
        destroyFree(agent);
      }
    },
    close() {
      agent?.destroy();
      for (const old of retired) {
        old.destroy();
      }
      retired.clear();
    },
  };
}

function destroyFree(agent: Agent): void {
  for (const socket of Object.values(agent.freeSockets).flatMap((list) => list ?? [])) {
    socket.destroy();
  }
}

/** A reply whose head did not come in time. */
export class TimeLimitError extends Error {
  override readonly name = 'TimeLimitError';
}

function exchange(
  agent: Agent,
  credentials: Credentials,
  outgoing: Outgoing,
  signal: AbortSignal | undefined,
  clock: Clock,
  limitMs: number,
): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const headers = { ...credentials.headers, ...outgoing.headers };
    const length = outgoing.body === undefined ? {} : { 'Content-Length': String(outgoing.body.length) };
    const request = httpsRequest(credentials.server + outgoing.path, {
      agent,
      method: outgoing.method,
      headers: { ...headers, ...length },
    });
    const onAbort = (): void => {
      request.destroy(new Error('ended by the caller'));
    };
    const cancelLimit = clock.at(clock.now() + limitMs, () => {
      request.destroy(new TimeLimitError(`no reply within ${limitMs} ms`));
    });
    signal?.addEventListener('abort', onAbort, { once: true });
    request.on('socket', (socket) => socket.setKeepAlive(true, keepAliveProbeAfterMs));
    request.on('response', (message) => {
      cancelLimit();
      resolve({ message, destroy: (fault) => message.destroy(fault) });
    });
    let earlyHeads = 0;
    request.on('information', () => {
      earlyHeads += 1;
      if (earlyHeads > mostEarlyHeads) {
        request.destroy(new Error(`more than ${mostEarlyHeads} early heads came in place of a reply`));
      }
    });
    // Node closes the connection of a reply that changes to another protocol, and says nothing more about the request.
    request.on('upgrade', (_, socket) => {
      socket.destroy();
      request.destroy();
      reject(new Error('the server changed to another protocol'));
    });
    request.on('error', (fault) => reject(mayRepeat(fault, request.reusedSocket)));
    request.on('close', () => {
      reject(brokenError());
      cancelLimit();
      signal?.removeEventListener('abort', onAbort);
    });
    if (signal?.aborted) {
      onAbort();
    }
    request.end(outgoing.body);
  });
}

/** A fault on a connection that lay idle: the server had closed it, most likely before it saw the request. */
export class StaleConnectionError extends Error {
  override readonly name = 'StaleConnectionError';
}

function mayRepeat(fault: Error, reusedSocket: boolean): Error {
  const reset = 'code' in fault && (fault.code === 'ECONNRESET' || fault.code === 'EPIPE');
  return reusedSocket && reset ? new StaleConnectionError(fault.message, { cause: fault }) : fault;
}

/**
 * Reads a whole body. @throws RangeError beyond maxBytes, TimeLimitError after limitMs, or what broke the connection.
 */
export function readBody(reply: Reply, maxBytes: number, clock: Clock, limitMs: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    if (isBroken(reply)) {
      reject(brokenError());
      return;
    }
    const cancelLimit = clock.at(clock.now() + limitMs, () => {
      reply.destroy(new TimeLimitError(`the reply was not complete within ${limitMs} ms`));
    });
    reply.message.on('data', (chunk: Buffer) => {
      length += chunk.length;
      if (length > maxBytes) {
        reply.destroy(new RangeError(`the reply is longer than ${maxBytes} bytes`));
        return;
      }
      chunks.push(chunk);
    });
    reply.message.on('end', () => resolve(Buffer.concat(chunks).toString('utf8')));
    reply.message.on('error', reject);
    reply.message.on('close', () => {
      cancelLimit();
      reject(brokenError());
    });
  });
}

/** A connection may break between a reply's head and the reading of its body, and then says no more about it. */
export function isBroken({ message }: Reply): boolean {
  return message.destroyed && !message.readableEnded;
}

export function brokenError(): Error {
  return new Error('the connection was closed before the reply was complete');
}
