/**
 * Calls to the API server: JSON over HTTPS as one of two identities, throttled, with typed errors, and the stream
 * behind a watch. Objects are passed as the JSON that travels, so unknown fields are neither lost nor in the way.
 *
 * A call is tried once; its caller decides when to try again. Two faults that say nothing about the call are repaired
 * here and the call repeated, once each: credentials or a CA that were rotated meanwhile, and a kept connection that
 * the server had closed. Every call the agent makes may be repeated: names of objects it creates are determined.
 *
 * https://kubernetes.io/docs/reference/using-api/api-concepts/
 */
import type { FinishedCall, SharedRank } from '../base/call.ts';
import { AgentError } from '../base/errors.ts';
import { createTurnBudget } from '../base/turn-budget.ts';
import type { Clock } from '../time/clock.ts';
import { createMonotonicClock } from '../time/monotonic-clock.ts';
import { type Bearer, createBearerCredentials } from './bearer.ts';
import type { Decoder } from './decoding.ts';
import { abortedError, apiFailureOf, isTlsFault, networkError, replyError } from './failure.ts';
import { readFrames } from './frames.ts';
import type { Credentials, Identity } from './identity.ts';
import type { Shape } from './json-sieve.ts';
import { type CallWords, describeCall } from './paths.ts';
import { readJson } from './read-json.ts';
import { statusIn } from './status-text.ts';
import { type CallRate, createThrottle, type ThrottleLoad } from './throttle.ts';
import {
  createTransport,
  type Reply,
  readBody,
  StaleConnectionError,
  TimeLimitError,
  type Transport,
} from './transport.ts';

/** As the agent's own account, or as the node it runs on. */
export type Persona = 'self' | 'node';

/** Without a priority: `background`. */
export interface ApiTarget extends Partial<SharedRank> {
  /** Absolute path without query (`resourcePath`). */
  readonly path: string;
  /** Query parameters; undefined ones are left out. */
  readonly query?: Readonly<Record<string, string | undefined>>;
  /** Default `self`. `node` is the same as `self` where no node is impersonated. */
  readonly as?: Persona;
  /** On behalf of whom the call is made, instead of as the agent in any way: `as` is then not looked at. */
  readonly bearer?: Bearer;
  readonly signal?: AbortSignal;
}

export interface ApiRequest extends ApiTarget {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Sent as JSON. */
  readonly body?: unknown;
  /** Default `application/json`; a PATCH names its kind. */
  readonly contentType?: string;
}

/** A call whose reply is read into a type of ours. */
export interface DecodedRequest<T> extends ApiRequest {
  readonly decode: Decoder<T>;
  /** Takes the items of a list one by one, as they come, in place of the list that `decode` gets; what it throws is thrown on. */
  readonly onItem?: (item: unknown) => void;
}

export interface WatchRequest extends ApiTarget {
  /** What is kept of each frame. Default all. */
  readonly shape?: Shape;
  /** Longest silence before the connection is taken for dead, milliseconds. */
  readonly idleTimeoutMs: number;
  /** Longest time that it is read, milliseconds: a server that was asked to end it before that does not. Default: no limit. */
  readonly longestMs?: number;
  /** Called when the server has accepted the watch. */
  readonly onOpen?: () => void;
}

export interface ApiClient {
  /** @returns the reply's JSON, as it came or as `decode` reads it. @throws AgentError, also what `decode` throws */
  request<T>(request: DecodedRequest<T>): Promise<T>;
  request(request: ApiRequest): Promise<unknown>;
  /**
   * Reads a watch: JSON values, one a line.
   * @param onFrame gets each; what it throws ends the watch and is thrown on, and what it returns is waited for before more is read.
   * @returns when the server ended the watch in order. @throws AgentError
   */
  watch(request: WatchRequest, onFrame: (frame: unknown) => Promise<void> | undefined): Promise<void>;
  /** Changes how often the server is asked, from now on. */
  setRate(rate: CallRate): void;
  load(): ThrottleLoad;
  /** Breaks off whatever is under way. */
  close(): void;
}

export interface ApiClientOptions {
  readonly identity: Identity;
  /** Node to impersonate where a call says `as: 'node'`; absent: such calls are made as the identity itself. */
  readonly impersonateNode?: string;
  /** Must not go back. Default `createMonotonicClock()`. */
  readonly clock?: Clock;
  /** Milliseconds since the epoch. Default `Date.now`. */
  readonly wallClock?: () => number;
  /** Default `pod-certificate-agent`. */
  readonly userAgent?: string;
  /** Default 20 calls a second with a burst of 40. */
  readonly requestsPerSecond?: number;
  readonly burst?: number;
  /** Calls under way at the same time. Default 8. */
  readonly concurrency?: number;
  /** Calls that may wait for their turn. Default 2000. */
  readonly queueLimit?: number;
  /** Time limit for the head of a reply, and again for its body, or for each item of a list. Default 30 seconds. */
  readonly timeoutMs?: number;
  /** Longest text kept of a reply, an item of a list or a frame of a watch. Default 16 MiB: the largest object is about 1.5 MiB, and JSON may write each character of it as six. */
  readonly maxObjectBytes?: number;
  readonly onCall?: (call: FinishedCall) => void;
}

/** Longest error reply. */
const maxErrorBytes = 1024 * 1024;

export function createApiClient(options: ApiClientOptions): ApiClient {
  const { identity, impersonateNode, clock = createMonotonicClock(), timeoutMs = 30_000, onCall } = options;
  const { requestsPerSecond = 20, burst = 40, concurrency = 8, queueLimit = 2000, wallClock = Date.now } = options;
  const { maxObjectBytes = 16 * 1024 * 1024 } = options;
  const budget = createTurnBudget();
  const throttle = createThrottle({ clock, wallClock, requestsPerSecond, burst, concurrency, queueLimit });
  const transport = createTransport(clock);
  /** Apart, since a connection may say who its client is. */
  const bearerTransport = createTransport(clock);
  const bearerCredentials = createBearerCredentials();
  let closed = false;

  function transportFor({ bearer }: ApiRequest): Transport {
    return bearer === undefined ? transport : bearerTransport;
  }

  function wordsFor(method: string, target: ApiTarget, watch: boolean): CallWords {
    const asNode = target.as === 'node' && impersonateNode !== undefined;
    const own = asNode ? nodeUser(impersonateNode) : identity.name;
    return describeCall(method, target.path, watch, target.bearer?.account ?? own);
  }

  function headersFor(request: Partial<ApiRequest>): Record<string, string> {
    return {
      Accept: 'application/json',
      'User-Agent': options.userAgent ?? 'pod-certificate-agent',
      ...(request.body === undefined ? {} : { 'Content-Type': request.contentType ?? 'application/json' }),
      // Constrained impersonation wants the user name alone: the server itself adds the group system:nodes.
      ...(request.as === 'node' && impersonateNode !== undefined && request.bearer === undefined
        ? { 'Impersonate-User': nodeUser(impersonateNode) }
        : {}),
    };
  }

  /**
   * Sends once; an error reply becomes an AgentError, and a pause that the server asks of the agent applies to all calls. What it asks of a pod's
   * account, which that pod may have brought about, is for whoever made the call.
   */
  async function attempt(call: CallWords, request: ApiRequest, credentials: Credentials) {
    const body = request.body === undefined ? {} : { body: Buffer.from(JSON.stringify(request.body)) };
    const path = request.path + queryString(request.query);
    const outgoing = { method: request.method, path, headers: headersFor(request), ...body };
    const { bearer, signal } = request;
    const presented = bearer === undefined ? credentials : bearerCredentials(credentials, bearer);
    const reply = await transportFor(request).send(presented, outgoing, signal, timeoutMs);
    const status = reply.message.statusCode ?? 0;
    if (status >= 200 && status < 300) {
      return reply;
    }
    const retryAfterMs = retryAfter(reply.message.headers['retry-after'], wallClock());
    if (bearer === undefined && retryAfterMs !== undefined && (status === 429 || status >= 500)) {
      throttle.pause(retryAfterMs);
    }
    const text = await readBody(reply, maxErrorBytes, clock, timeoutMs);
    throw replyError(call, status, (await statusIn(text, budget)) ?? text, retryAfterMs);
  }

  /** Sends, and once more where the fault lay in our credentials or in a kept connection. */
  async function send(call: CallWords, request: ApiRequest, ended: () => boolean): Promise<Reply> {
    let renewed = false;
    for (let reconnected = false; ; ) {
      const credentials = await identity.current();
      try {
        return await attempt(call, request, credentials);
      } catch (fault) {
        const used = transportFor(request);
        if (fault instanceof TimeLimitError) {
          used.dropIdle();
        }
        if (fault instanceof StaleConnectionError && !reconnected && !ended()) {
          reconnected = true;
          used.dropIdle();
          continue;
        }
        if (mayBeOutdated(fault, request) && !renewed && (await identity.renew(credentials)) && !ended()) {
          renewed = true;
          continue;
        }
        throw fault;
      }
    }
  }

  /** Waits for the call's turn, makes it, gives its place back, tells `onCall`, and types its error. */
  async function perform<T>(
    request: ApiRequest,
    kind: 'call' | 'watch',
    use: (reply: Reply, call: CallWords) => Promise<T>,
  ): Promise<T> {
    const call = wordsFor(request.method, request, kind === 'watch');
    const { signal } = request;
    const ended = (): boolean => closed || signal?.aborted === true;
    const askedAt = clock.now();
    const { priority = 'background', owner, expiresAt, alsoFor } = request;
    const leave = await throttle.enter({ priority, owner, expiresAt, alsoFor }, kind, signal);
    const startedAt = clock.now();
    let finished = false;
    const finish = (status: number, reply?: Reply): void => {
      if (!finished) {
        finished = true;
        const serverTime = Date.parse(reply?.message.headers.date ?? '');
        const times = { tookMs: clock.now() - startedAt, waitedMs: startedAt - askedAt };
        const server = Number.isNaN(serverTime) ? {} : { serverTime };
        onCall?.({ verb: call.verb, resource: call.kind, status, ...times, ...server });
      }
    };
    try {
      const reply = await send(call, request, ended);
      if (kind === 'watch') {
        finish(reply.message.statusCode ?? 0, reply);
      }
      const result = await use(reply, call);
      finish(reply.message.statusCode ?? 0, reply);
      return result;
    } catch (fault) {
      finish(apiFailureOf(fault)?.httpStatus ?? 0);
      throw ended() ? abortedError(call) : networkError(call, fault);
    } finally {
      leave();
    }
  }

  function request<T>(request: DecodedRequest<T>): Promise<T>;
  function request(request: ApiRequest): Promise<unknown>;
  function request(request: ApiRequest & Partial<DecodedRequest<unknown>>): Promise<unknown> {
    return perform(request, 'call', async (reply, call) => {
      const items: unknown[] = [];
      const { decode, onItem = (item) => void items.push(item) } = request;
      const reading = { maxBytes: maxObjectBytes, budget, clock, limitMs: timeoutMs, onItem };
      const value = await readJson(reply, { ...reading, shape: decode?.shape ?? 'all' }).catch((fault: unknown) => {
        throw fault instanceof SyntaxError ? notJson(call) : fault;
      });
      if (items.length > 0) {
        Object.assign(Object(value), { items });
      }
      return decode === undefined ? value : decode(value);
    });
  }

  return {
    request,
    watch(request, onFrame) {
      const { idleTimeoutMs, longestMs, onOpen, shape = 'all', ...target } = request;
      return perform({ ...target, method: 'GET' }, 'watch', async (reply) => {
        onOpen?.();
        try {
          const limits = { maxBytes: maxObjectBytes, idleTimeoutMs, ...(longestMs === undefined ? {} : { longestMs }) };
          await readFrames(reply, onFrame, { shape, budget, clock, ...limits });
        } catch (fault) {
          if (fault instanceof TimeLimitError) {
            transport.dropIdle();
          }
          throw fault;
        }
      });
    },
    setRate: throttle.setRate,
    load: throttle.load,
    close() {
      closed = true;
      throttle.close();
      transport.close();
      bearerTransport.close();
    },
  };
}

/** True when the agent's credentials may be out of date: that a bearer is not let in says nothing about them. */
function mayBeOutdated(fault: unknown, { bearer }: ApiRequest): boolean {
  return isTlsFault(fault) || (bearer === undefined && apiFailureOf(fault)?.httpStatus === 401);
}

/** The parser's own message would quote the reply. */
function notJson(call: CallWords): AgentError {
  const message = `cannot ${call.verb} ${call.resource}: the reply is not JSON`;
  return new AgentError('Unavailable', message, { actor: 'nobody' });
}

/** The user name that a kubelet's credentials carry. */
function nodeUser(nodeName: string): string {
  return `system:node:${nodeName}`;
}

function queryString(query: ApiTarget['query']): string {
  const pairs = Object.entries(query ?? {}).flatMap(([key, value]) =>
    value === undefined ? [] : [[key, value] as const],
  );
  return pairs.length === 0 ? '' : `?${new URLSearchParams(Object.fromEntries(pairs))}`;
}

/** https://www.rfc-editor.org/rfc/rfc9110#section-5.6.7 `Date.parse` finds a time in almost any text. */
const httpDate = /^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/;

/**
 * Retry-After as Kubernetes sends it, in seconds; the date form that proxies may send is read too, and anything else is none.
 * RFC 9110, 10.2.3.
 */
function retryAfter(header = '', now: number): number | undefined {
  const text = header.trim();
  const at = httpDate.test(text) ? Date.parse(text) : Number.NaN;
  const ms = /^\d+$/.test(text) ? Number(text) * 1000 : at - now;
  return ms > 0 ? ms : undefined;
}
