/**
 * Routes an authorized request to the code that answers it.
 *
 * https://kubernetes.io/docs/reference/using-api/api-concepts/
 */

import type { UserInfo } from '../base/cluster-rules.ts';
import { methodNotAllowed, noSuchPath } from '../base/errors.ts';
import type { JsonObject } from '../base/objects.ts';
import { type Api, findTarget, type Query, sameResource, type Target } from '../storage/api.ts';
import { type Body, decodeBody, parseBody } from '../storage/body.ts';
import { deleteCollection, deleteObject } from '../storage/delete.ts';
import { patchObject } from '../storage/patch.ts';
import { listPage } from '../storage/read.ts';
import type { RequestInfo, ResourceInfo } from '../storage/request-info.ts';
import type { ReviewType } from '../storage/resource-type.ts';
import { reviewTypes } from '../storage/resources.ts';
import { deleteOptions } from '../storage/schemas/core.ts';
import { selectionOf } from '../storage/selection.ts';
import { startWatch, watchOptions } from '../storage/watch.ts';
import { createObject, replaceObject, storedObject, type WriteRequest } from '../storage/write.ts';
import { discover } from './discovery.ts';
import { openApi } from './openapi.ts';
import type { Reply } from './reply.ts';
import { answerReview, requestToken } from './reviews.ts';

/** An authorized request. */
export interface ApiRequest {
  readonly info: RequestInfo;
  readonly user: UserInfo;
  readonly query: Query;
  readonly body: Body;
}

/** @throws ApiError */
export function route(api: Api, request: ApiRequest): Reply {
  const { info } = request;
  if (info.kind === 'path') {
    return routePath(api, info.path);
  }
  const review = reviewTypes.find((type) => sameResource(type, info) && type.version === info.apiVersion);
  if (review !== undefined) {
    return routeReview(api, review, info, request);
  }
  const target = findTarget(api, info);
  if (target === undefined) {
    throw noSuchPath();
  }
  if (info.subresource !== '' && !target.type.statusSubresources.includes(info.subresource)) {
    return routeSubresource(api, target, info, request);
  }
  const reply = routeResource(api, target, info, request);
  const deprecation = target.type.deprecations[target.version];
  return deprecation === undefined || reply.kind === 'text'
    ? reply
    : { ...reply, warnings: [...(reply.warnings ?? []), deprecation] };
}

function routePath(api: Api, path: string): Reply {
  switch (path) {
    case '/healthz':
    case '/livez':
    case '/readyz':
      return { kind: 'text', code: 200, text: 'ok' };
    default:
      break;
  }
  const isApi = path.startsWith('/api');
  const reply = discover(api, path) ?? openApi(api, path);
  if (reply === undefined && isApi) {
    throw noSuchPath();
  }
  return reply ?? { kind: 'text', code: 404, text: '404 page not found\n' };
}

function routeReview(api: Api, type: ReviewType, info: ResourceInfo, request: ApiRequest): Reply {
  if (info.verb !== 'create' || info.name !== '') {
    throw methodNotAllowed();
  }
  const { object, warnings } = decodeBody(parseBody(request.body, type.kind), type, request.query);
  return { kind: 'json', code: 201, body: answerReview(api, type, info, request.user, object), warnings };
}

function routeSubresource(api: Api, target: Target, info: ResourceInfo, request: ApiRequest): Reply {
  if (target.type.storedAs !== 'serviceaccounts' || info.subresource !== 'token') {
    throw noSuchPath();
  }
  if (info.verb !== 'create') {
    throw methodNotAllowed();
  }
  const { body, warnings } = requestToken(
    api,
    writeRequest(target, info, request),
    parseBody(request.body, 'TokenRequest'),
  );
  return { kind: 'json', code: 201, body, warnings };
}

function writeRequest(target: Target, info: ResourceInfo, request: ApiRequest): WriteRequest {
  return { target, info, user: request.user, query: request.query };
}

function routeResource(api: Api, target: Target, info: ResourceInfo, request: ApiRequest): Reply {
  const write = writeRequest(target, info, request);
  switch (info.verb) {
    case 'get':
      return { kind: 'object', code: 200, target, object: storedObject(api, write), warnings: [] };
    case 'list':
      return list(api, target, info, request.query);
    case 'watch': {
      const selection = selectionOf(target, info, request.query);
      const options = watchOptions(request.query);
      return { kind: 'watch', target, start: (sink) => startWatch(api, target, selection, options, sink) };
    }
    case 'create':
      return { kind: 'object', target, ...createObject(api, write, parseBody(request.body, target.type.kind)) };
    case 'update':
      requireName(info);
      return { kind: 'object', target, ...replaceObject(api, write, parseBody(request.body, target.type.kind)) };
    case 'patch':
      requireName(info);
      return { kind: 'object', target, ...patchObject(api, write, request.body) };
    case 'delete':
      return deletion(api, write, deleteOptionsOf(request));
    case 'deletecollection': {
      const items = deleteCollection(api, write, deleteOptionsOf(request), selectionOf(target, info, request.query));
      return { kind: 'list', target, items, metadata: { resourceVersion: String(api.store.revision()) } };
    }
    default:
      throw methodNotAllowed();
  }
}

function requireName(info: ResourceInfo): void {
  if (info.name === '') {
    throw methodNotAllowed();
  }
}

function list(api: Api, target: Target, info: ResourceInfo, query: Query): Reply {
  const page = listPage(api, target, selectionOf(target, info, query), query);
  return {
    kind: 'list',
    target,
    items: page.items,
    metadata: {
      resourceVersion: page.resourceVersion,
      ...(page.continue === undefined ? {} : { continue: page.continue }),
      ...(page.remainingItemCount === undefined ? {} : { remainingItemCount: page.remainingItemCount }),
    },
  };
}

function deleteOptionsOf(request: ApiRequest): JsonObject {
  if (request.body.bytes.length === 0) {
    return {};
  }
  const { apiVersion: _, ...given } = parseBody(request.body, 'DeleteOptions') as JsonObject;
  const expected = { group: '', version: 'v1', kind: 'DeleteOptions', schema: deleteOptions };
  return decodeBody(given, expected, request.query).object;
}

function deletion(api: Api, write: WriteRequest, options: JsonObject): Reply {
  const { target } = write;
  if (write.info.subresource !== '') {
    throw methodNotAllowed();
  }
  const { object, gone } = deleteObject(api, write, options);
  if (!gone || target.type.deleteReturns === 'object') {
    return { kind: 'object', code: 200, target, object, warnings: [] };
  }
  const { name = '', uid = '' } = object.metadata;
  const { group, resource } = target.type;
  const body = {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Success',
    details: { name, ...(group === '' ? {} : { group }), kind: resource, uid },
  };
  return { kind: 'json', code: 200, body };
}
