/**
 * One request from the connection to its reply: authenticate, impersonate, authorize, read the body, route, respond; with
 * the faults that are ordered for it.
 *
 * https://kubernetes.io/docs/concepts/security/controlling-access/
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import type { RequestAttributes, UserInfo } from '../base/cluster-rules.ts';
import {
  ApiError,
  badRequest,
  forbidden,
  internalError,
  messageOf,
  type StatusDetails,
  unauthorized,
} from '../base/errors.ts';
import { asJson, type Json } from '../base/objects.ts';
import { apiAudience } from '../identity/tokens.ts';
import { type Api, attributesOf, rulesContext } from '../storage/api.ts';
import type { Body } from '../storage/body.ts';
import { asOf } from '../storage/past.ts';
import { isTrue, type RequestInfo, requestInfo } from '../storage/request-info.ts';
import { command, type Fault, type Faults } from './faults.ts';
import { negotiate } from './negotiate.ts';
import type { Reply } from './reply.ts';
import { respond, respondError, type Wishes } from './respond.ts';
import { route } from './router.ts';

export interface HttpContext {
  readonly api: Api;
  readonly faults: Faults;
  /** Ends waits when the server closes. */
  readonly closing: AbortSignal;
}

/** What the real server accepts in one request, bytes. */
const bodyLimit = 3 * 1024 * 1024;
const faultsPath = '/sandbox/faults';
const plainWishes: Wishes = {
  representation: { as: 'object', encoding: 'json' },
  includeObject: 'Metadata',
  pretty: false,
};

const anonymous: UserInfo = { username: 'system:anonymous', groups: ['system:unauthenticated'], extra: {} };

/** Answers a request. Never rejects: what goes wrong is answered, or the connection is closed. */
export async function handleRequest(
  context: HttpContext,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  let wishes = plainWishes;
  // A client may go at any moment, also between two writes; 'close' follows and everything is released there.
  response.on('error', () => response.destroy());
  try {
    const url = new URL(request.url ?? '/', 'https://localhost');
    const info = requestInfo(request.method ?? 'GET', url);
    const user = authenticate(context.api, request);
    const met = context.faults.meet(info, url.pathname, user.username);
    if (await suffer(met, request, response, context.closing)) {
      return;
    }
    wishes = wishesOf(request, url);
    const body = await readBody(request);
    const actor = permit(context.api, request, info, user, url);
    const reply =
      url.pathname === faultsPath
        ? controlFaults(context.faults, actor, info, body)
        : route(seenBy(context.api, info, met), { info, user: actor, query: url.searchParams, body });
    if (met.some(({ kind }) => kind === 'loseReply')) {
      request.socket.destroy();
      return;
    }
    const losesEvent = (): boolean => context.faults.losesEvent(info, url.pathname, user.username);
    const stop = respond(context.api, reply, response, wishes, losesEvent);
    response.once('close', () => stop?.());
  } catch (error) {
    if (response.headersSent || response.destroyed) {
      response.destroy();
      return;
    }
    const known = error instanceof ApiError ? error : internalError(messageOf(error, 'unknown'));
    respondError(known, response, { ...wishes, representation: { ...wishes.representation, as: 'object' } });
  }
}

/** @throws ApiError 401 for a token that nobody has; requests without one are anonymous */
function authenticate(api: Api, request: IncomingMessage): UserInfo {
  const [scheme = '', token = ''] = (request.headers.authorization ?? '').split(/\s+/);
  if (scheme === '') {
    return anonymous;
  }
  if (scheme.toLowerCase() !== 'bearer' || token === '') {
    throw unauthorized();
  }
  const result = api.tokens.authenticate(token, [apiAudience], api.store, api.now());
  if (!result.authenticated) {
    throw unauthorized();
  }
  return result.user;
}

/** @returns the user to act as @throws ApiError 403 */
function permit(api: Api, request: IncomingMessage, info: RequestInfo, user: UserInfo, url: URL): UserInfo {
  const attributes = attributesOf(info, user, url.searchParams);
  const impersonates = Object.keys(request.headers).some((name) => name.startsWith('impersonate-'));
  const outcome = impersonates ? api.rules.impersonate(headersOf(request), attributes, rulesContext(api)) : { user };
  if (outcome instanceof ApiError) {
    throw outcome;
  }
  const acting: RequestAttributes = { ...attributes, user: outcome.user };
  const verdict = api.rules.authorize(acting, rulesContext(api));
  if (!verdict.allowed) {
    throw refusal(acting, verdict.reason);
  }
  return outcome.user;
}

/** Headers with the several values of one name kept apart, which Node joins for names it does not know. */
function headersOf(request: IncomingMessage): Readonly<Record<string, string | readonly string[] | undefined>> {
  return Object.fromEntries(
    Object.entries(request.headersDistinct).map(([name, values]) => [name, values?.length === 1 ? values[0] : values]),
  );
}

function refusal(attributes: RequestAttributes, reason: string): ApiError {
  const tail = reason === '' ? '' : `: ${reason}`;
  const user = `User ${JSON.stringify(attributes.user.username)} cannot ${attributes.verb}`;
  if (attributes.kind === 'path') {
    return forbidden({ group: '', resource: '' }, '', `${user} path ${JSON.stringify(attributes.path)}${tail}`);
  }
  const { apiGroup, resource, subresource, namespace, name } = attributes;
  const what = subresource === '' ? resource : `${resource}/${subresource}`;
  const where = namespace === '' ? 'at the cluster scope' : `in the namespace ${JSON.stringify(namespace)}`;
  return forbidden(
    { group: apiGroup, resource },
    name,
    `${user} resource ${JSON.stringify(what)} in API group ${JSON.stringify(apiGroup)} ${where}${tail}`,
  );
}

function wishesOf(request: IncomingMessage, url: URL): Wishes {
  const includeObject = url.searchParams.get('includeObject');
  const agent = request.headers['user-agent'] ?? '';
  const pretty = url.searchParams.get('pretty');
  const isDiscovery = !/^\/apis?\/.+\/.+/.test(url.pathname);
  return {
    // Discovery has forms of its own, all of which can be answered with the plain one.
    representation: isDiscovery ? plainWishes.representation : negotiate(request.headers.accept),
    includeObject: includeObject === 'None' || includeObject === 'Object' ? includeObject : 'Metadata',
    pretty: pretty === null ? /^(?:curl|Wget|Mozilla\/5\.0)/.test(agent) : isTrue(pretty),
  };
}

/** @throws ApiError 413 */
async function readBody(request: IncomingMessage): Promise<Body> {
  const chunks: Buffer[] = [];
  let length = 0;
  // The rest of a body that is too large is read and dropped, so that the reply reaches a client that is still sending.
  for await (const chunk of request.iterator({ destroyOnReturn: false })) {
    length += chunk.length;
    if (length > bodyLimit) {
      throw new ApiError(413, 'RequestEntityTooLarge', `Request entity too large: limit is ${bodyLimit}`);
    }
    chunks.push(chunk);
  }
  const [mediaType = ''] = (request.headers['content-type'] ?? '').split(';');
  return { bytes: Buffer.concat(chunks), mediaType: mediaType.trim().toLowerCase() };
}

/** What there is to read, for a replica that has fallen behind. */
function seenBy(api: Api, { verb }: RequestInfo, met: readonly Fault[]): Api {
  const behind = met.find((fault) => fault.kind === 'stale');
  const isReading = verb === 'get' || verb === 'list';
  return behind === undefined || !isReading ? api : { ...api, store: asOf(api.store, behind.revision) };
}

function detailsOf({ retryAfterSeconds, causes }: Fault & { readonly kind: 'error' }): StatusDetails | undefined {
  return retryAfterSeconds === undefined && causes === undefined
    ? undefined
    : {
        ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
        ...(causes === undefined ? {} : { causes }),
      };
}

/** Lets the faults happen that come before the request is looked at. @returns true when there will be no other answer */
async function suffer(
  met: readonly Fault[],
  request: IncomingMessage,
  response: ServerResponse,
  closing: AbortSignal,
): Promise<boolean> {
  for (const fault of met) {
    switch (fault.kind) {
      case 'latency':
        await delay(fault.delayMs, undefined, { signal: closing });
        break;
      case 'error':
        throw new ApiError(
          fault.code,
          fault.reason ?? '',
          fault.message ?? 'a fault was ordered for this request',
          detailsOf(fault),
        );
      case 'reply':
        for (const [name, value] of Object.entries(fault.headers ?? {})) {
          response.setHeader(name, value);
        }
        // What was sent is read, and dropped: the connection serves other requests afterwards.
        request.resume();
        response.writeHead(fault.code).end(fault.body);
        return true;
      case 'drop':
        request.socket.destroy();
        return true;
      case 'hang':
        return true;
      case 'loseReply':
      case 'dropWatchEvents':
      case 'stale':
        break;
      default:
        fault satisfies never;
    }
  }
  return false;
}

/** The faults by HTTP, for administrators: GET lists them, POST adds one or throws a switch, DELETE removes all. */
function controlFaults(faults: Faults, user: UserInfo, info: RequestInfo, body: Body): Reply {
  if (!user.groups.includes('system:masters')) {
    throw forbidden({ group: '', resource: '' }, '', `User ${JSON.stringify(user.username)} is not in system:masters`);
  }
  if (info.verb === 'delete') {
    faults.clear();
  }
  if (info.verb === 'post') {
    try {
      command(faults, JSON.parse(body.bytes.toString('utf8')) as Json);
    } catch (error) {
      throw badRequest(messageOf(error));
    }
  }
  return { kind: 'json', code: 200, body: asJson({ faults: faults.list() }) };
}
