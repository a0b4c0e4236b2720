/**
 * A plain HTTPS client for tests: one request, or one watch, as it goes over the wire.
 */
import type { IncomingMessage } from 'node:http';
import { Agent, request as httpsRequest, type RequestOptions as ServerOptions } from 'node:https';
import { createInterface } from 'node:readline';
import { text as readText } from 'node:stream/consumers';
import type { JsonObject, ObjectMeta } from '../../../sandbox/base/objects.ts';
import { withinBound } from '../../support/bounded.ts';

/** An API server to test against: the sandbox or a real one. */
export interface Target {
  readonly url: string;
  readonly caPem: string;
  /** Token of a user in system:masters; empty where `tls` or `headers` say who asks. */
  readonly token: string;
  /** A client certificate, or how the server's own is checked. */
  readonly tls?: Pick<ServerOptions, 'cert' | 'key' | 'pfx' | 'passphrase' | 'servername' | 'rejectUnauthorized'>;
  /** Sent with every request. */
  readonly headers?: Readonly<Record<string, string | string[]>>;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  /** The reply as JSON; a text that is not JSON is under `text`. */
  readonly body: JsonObject & { readonly [field: string]: unknown };
}

export interface RequestOptions {
  readonly method?: string;
  /** Sent as JSON, or as it is when it is text or bytes. */
  readonly body?: unknown;
  readonly token?: string | null;
  readonly headers?: Readonly<Record<string, string | string[]>>;
  readonly agent?: Agent;
}

function open(target: Target, path: string, options: RequestOptions): Promise<IncomingMessage> {
  const { method = 'GET', body, token = target.token, headers = {} } = options;
  const raw = typeof body === 'string' || body instanceof Uint8Array ? body : JSON.stringify(body);
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const sent = httpsRequest(
    new URL(path, target.url),
    {
      ...target.tls,
      method,
      ca: target.caPem,
      agent: options.agent ?? new Agent({ keepAlive: false }),
      headers: {
        ...target.headers,
        ...(token === null || token === '' ? {} : { Authorization: `Bearer ${token}` }),
        ...(raw === undefined ? {} : { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(raw) }),
        ...headers,
      },
    },
    resolve,
  );
  sent.on('error', reject);
  sent.end(raw);
  return withinBound(promise, `the reply to ${method} ${path}`);
}

/** One request and its whole reply. Rejects when the connection breaks. */
export async function call(target: Target, path: string, options: RequestOptions = {}): Promise<Answer> {
  const response = await open(target, path, options);
  const text = await withinBound(readText(response), `the end of the reply to ${options.method ?? 'GET'} ${path}`);
  const isJson = (response.headers['content-type'] ?? '').startsWith('application/json');
  return {
    status: response.statusCode ?? 0,
    headers: response.headers,
    body: isJson ? JSON.parse(text) : { text },
  };
}

export interface WatchEvent {
  readonly type: string;
  readonly object: JsonObject & { readonly metadata: ObjectMeta };
}

export interface Watch {
  /** The next event, or `undefined` when the server has ended the watch or the connection is broken. */
  next(): Promise<WatchEvent | undefined>;
  close(): void;
}

/** A watch, read event by event. The request must be answered with 200. */
export async function watch(target: Target, path: string, options: RequestOptions = {}): Promise<Watch> {
  const response = await open(target, path, options);
  if (response.statusCode !== 200) {
    response.destroy();
    throw new Error(`the watch was answered ${response.statusCode}`);
  }
  // A connection that is closed by a test ends the lines; nothing else is to be done about it.
  response.on('error', () => {});
  const lines = createInterface({ input: response })[Symbol.asyncIterator]();
  return {
    next: async () => {
      const line = await withinBound(
        lines.next().catch(() => ({ done: true }) as const),
        `the next event of ${path}`,
      );
      return line.done === true ? undefined : (JSON.parse(line.value) as WatchEvent);
    },
    close: () => response.destroy(),
  };
}
