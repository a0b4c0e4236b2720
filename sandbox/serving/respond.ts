/**
 * Writes replies to the connection, in the representation and encoding that the client asked for.
 */
import type { ServerResponse } from 'node:http';
import { stringify } from 'yaml';
import { type ApiError, statusBody } from '../base/errors.ts';
import { type ApiObject, isObject, type JsonObject } from '../base/objects.ts';
import { type Api, apiVersionOf, storedAs, type Target } from '../storage/api.ts';
import { present } from '../storage/conversion.ts';
import type { WatchEventType } from '../storage/watch.ts';
import type { Representation } from './negotiate.ts';
import type { Reply } from './reply.ts';
import { partialMetadata, table } from './tables.ts';

/** How one client wants its replies. */
export interface Wishes {
  readonly representation: Representation;
  /** Query parameter of table requests. */
  readonly includeObject: 'None' | 'Metadata' | 'Object';
  /** Indented, for people. */
  readonly pretty: boolean;
}

/** More than this much unread data makes a watch too slow to keep, bytes. */
const slowWatchLimit = 64 * 1024 * 1024;

/** @returns ends a watch; nothing for the other replies */
export function respond(
  api: Api,
  reply: Reply,
  response: ServerResponse,
  wishes: Wishes,
  losesEvent: () => boolean,
): (() => void) | undefined {
  switch (reply.kind) {
    case 'text':
      response
        .writeHead(reply.code, {
          'Content-Type': 'text/plain; charset=utf-8',
          'Content-Length': Buffer.byteLength(reply.text),
        })
        .end(reply.text);
      return undefined;
    case 'json':
      send(response, reply.code, reply.body, wishes, reply);
      return undefined;
    case 'object':
      send(response, reply.code, represented(api, reply.target, [reply.object], wishes), wishes, reply);
      return undefined;
    case 'list':
      send(response, 200, representedList(api, reply, wishes), wishes, reply);
      return undefined;
    case 'watch':
      return respondWatch(api, reply, response, wishes, losesEvent);
    default:
      return reply satisfies never;
  }
}

export function respondError(error: ApiError, response: ServerResponse, wishes: Wishes): void {
  const seconds = error.details?.retryAfterSeconds;
  const headers = seconds === undefined ? {} : { 'Retry-After': String(seconds) };
  send(response, error.code, statusBody(error), wishes, { headers });
}

interface Extras {
  readonly warnings?: readonly string[];
  readonly contentType?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

function send(response: ServerResponse, code: number, body: JsonObject, wishes: Wishes, extras: Extras): void {
  const isYaml = wishes.representation.encoding === 'yaml';
  const text = isYaml ? stringify(body) : `${JSON.stringify(body, null, wishes.pretty ? 2 : undefined)}\n`;
  response
    .writeHead(code, {
      'Content-Type': extras.contentType ?? (isYaml ? 'application/yaml' : 'application/json'),
      'Content-Length': Buffer.byteLength(text),
      'Cache-Control': 'no-cache, private',
      ...warningHeaders(extras.warnings),
      ...extras.headers,
    })
    .end(text);
}

function warningHeaders(warnings: readonly string[] = []): Readonly<Record<string, string[]>> {
  return warnings.length === 0 ? {} : { Warning: warnings.map((warning) => `299 - ${JSON.stringify(warning)}`) };
}

/** One object in the form asked for. */
function represented(api: Api, target: Target, objects: readonly [ApiObject], wishes: Wishes): JsonObject {
  const [stored] = objects;
  const presented = present(api, target, stored);
  switch (wishes.representation.as) {
    case 'object':
      return presented;
    case 'PartialObjectMetadata':
      return partialMetadata(presented);
    case 'Table': {
      const metadata = { resourceVersion: stored.metadata.resourceVersion ?? '' };
      const { includeObject } = wishes;
      return table(storedAs(target), [{ stored, presented }], metadata, {
        includeObject,
        withColumns: true,
        now: api.now(),
      });
    }
    default:
      return wishes.representation.as satisfies never;
  }
}

function representedList(api: Api, reply: Reply & { readonly kind: 'list' }, wishes: Wishes): JsonObject {
  const { target, items, metadata } = reply;
  const objects = items.map((stored) => ({ stored, presented: present(api, target, stored) }));
  switch (wishes.representation.as) {
    case 'object':
      return {
        kind: `${target.type.kind}List`,
        apiVersion: apiVersionOf(target),
        metadata,
        // Items of a list leave out what the list says of all of them.
        items: objects.map(({ presented: { kind: _, apiVersion: __, ...item } }) => item),
      };
    case 'PartialObjectMetadata':
      return {
        kind: 'PartialObjectMetadataList',
        apiVersion: 'meta.k8s.io/v1',
        metadata,
        items: objects.map(({ presented }) => partialMetadata(presented)),
      };
    case 'Table': {
      const { includeObject } = wishes;
      return table(storedAs(target), objects, metadata, { includeObject, withColumns: true, now: api.now() });
    }
    default:
      return wishes.representation.as satisfies never;
  }
}

function respondWatch(
  api: Api,
  reply: Reply & { readonly kind: 'watch' },
  response: ServerResponse,
  wishes: Wishes,
  losesEvent: () => boolean,
): () => void {
  const { target } = reply;
  let sentColumns = false;
  const shown = (type: WatchEventType, object: ApiObject | JsonObject): JsonObject => {
    if (type === 'ERROR' || !isObject(object.metadata)) {
      return object;
    }
    const stored: ApiObject = { ...object, metadata: object.metadata };
    const presented = present(api, target, stored);
    if (wishes.representation.as !== 'Table') {
      return wishes.representation.as === 'object' ? presented : partialMetadata(presented);
    }
    const options = { includeObject: wishes.includeObject, withColumns: !sentColumns, now: api.now() };
    sentColumns = true;
    const { resourceVersion = '' } = stored.metadata;
    return table(storedAs(target), [{ stored, presented }], { resourceVersion }, options);
  };
  response.writeHead(200, {
    'Content-Type': 'application/json',
    'Cache-Control': 'no-cache, private',
    ...warningHeaders(reply.warnings),
  });
  response.flushHeaders();
  return reply.start({
    send: (type, object) => {
      if (type !== 'ERROR' && type !== 'BOOKMARK' && losesEvent()) {
        return;
      }
      if (response.destroyed) {
        return;
      }
      response.write(`${JSON.stringify({ type, object: shown(type, object) })}\n`);
      if (response.writableLength > slowWatchLimit) {
        response.destroy();
      }
    },
    end: () => response.end(),
  });
}
