/**
 * Puts cases to an API server over HTTP, the sandbox's or a real one. Changes are dry runs; what a case needs to be
 * stored before is made by an administrator and removed again.
 */
import type { Agent } from 'node:https';
import type { ApiObject, JsonObject } from '../../../sandbox/base/objects.ts';
import { isObject } from '../../../sandbox/base/objects.ts';
import { type Answer, call, type Target, watch } from '../serving/client.ts';
import type { CaseRequest, Expected, RuleCase, UserName, World } from './cases/case.ts';
import { storedObjects } from './cases/objects.ts';
import type { Judgement } from './world.ts';

/** An API server as its administrator sees it, and as each user does; a user that is not among them is anonymous. */
export interface ReplayTarget extends Target {
  readonly users: Readonly<Partial<Record<UserName, Target>>>;
  readonly agent: Agent;
  /** What the cases' objects are called on this server. Absent: as in the cases. */
  readonly names?: Names;
  /** Set on the objects that are made before the cases. */
  readonly labels?: Readonly<Record<string, string>>;
}

/** Objects under other names than in the cases, so that they disturb nobody on a server with other users. */
export interface Names {
  /** Text of a request, its path or its JSON. */
  outgoing(text: string): string;
  /** JSON of a reply. */
  incoming(text: string): string;
}

type ResourceRequest = Exclude<CaseRequest, { readonly path: string }>;

const methods = {
  create: 'POST',
  update: 'PUT',
  patch: 'PATCH',
  delete: 'DELETE',
  get: 'GET',
  list: 'GET',
  watch: 'GET',
};

/** Creates the objects of all cases. @returns their UIDs by kind and name: `Pod/web-a` */
export async function createObjects(target: ReplayTarget): Promise<ReadonlyMap<string, string>> {
  const uids = new Map<string, string>();
  for (const { resource, object } of storedObjects) {
    const { metadata, kind = '' } = object;
    const isMirror = metadata.annotations !== undefined;
    const owner = {
      apiVersion: 'v1',
      kind: 'Node',
      name: 'node-a',
      uid: uids.get('Node/node-a') ?? '',
      controller: true,
    };
    // Real clusters let only nodes create mirror pods, and not with a service account.
    const labelled = target.labels === undefined ? metadata : { ...metadata, labels: { ...target.labels } };
    const body = isMirror
      ? {
          ...object,
          metadata: { ...labelled, ownerReferences: [owner] },
          spec: { ...object.spec, serviceAccountName: '' },
        }
      : { ...object, metadata: labelled };
    const user = isMirror ? userOf(target, 'node-a') : target;
    const path = pathOf(resource, 'v1', metadata.namespace ?? '');
    const made = await send(target, path, 'POST', user, body);
    const stored = made.status === 409 ? await send(target, `${path}/${metadata.name}`, 'GET', target) : made;
    if (stored.status >= 300) {
      throw new Error(`${kind} ${metadata.name}: ${stored.body['message']}`);
    }
    uids.set(`${kind}/${metadata.name}`, metadataOf(stored.body)['uid'] as string);
  }
  return uids;
}

/** Sends a case's request and reads the answer. */
export async function replay(target: ReplayTarget, one: RuleCase, world: World): Promise<Judgement> {
  const request = await one.request(world);
  const user = userOf(target, one.user);
  const named = (value: string): string => target.names?.outgoing(value) ?? value;
  const headers = Object.fromEntries(
    Object.entries(one.impersonate ?? {}).map(([name, value]) => [
      name,
      typeof value === 'string' ? named(value) : value.map(named),
    ]),
  );
  if ('path' in request) {
    return judgement(await send(target, request.path, 'GET', user, undefined, headers));
  }
  const { before } = request;
  const stored = before === undefined ? undefined : await store(target, request, before);
  try {
    if (request.verb === 'watch' && (await canWatch(target, urlOf(request), user, headers))) {
      return success;
    }
    const body = bodyOf(request, stored?.object);
    const answer = await send(target, urlOf(request), methods[request.verb], user, body, headers);
    return isLetIn(request, answer.status) ? success : judgement(answer);
  } finally {
    if (stored?.isNew === true) {
      await send(target, objectPath(request), 'DELETE', target);
    }
  }
}

/** Where nothing is sent, a case is about access: what follows on being let in does not matter. */
function isLetIn({ body, verb }: ResourceRequest, status: number): boolean {
  const isRead = verb === 'get' || verb === 'list' || verb === 'watch';
  return body === undefined && (isRead ? [404] : [400, 404, 409, 415, 422]).includes(status);
}

const success: Judgement = { code: 200, message: '', causes: [] };

/** A watch that is let in has nothing to say for as long as nothing happens. */
async function canWatch(
  target: ReplayTarget,
  path: string,
  user: Target,
  headers: Readonly<Record<string, string | string[]>>,
): Promise<boolean> {
  try {
    const url = target.names?.outgoing(path) ?? path;
    (await watch(user, url, { headers: { ...user.headers, ...headers } })).close();
    return true;
  } catch {
    return false;
  }
}

interface Stored {
  readonly object: JsonObject;
  readonly isNew: boolean;
}

async function store(target: ReplayTarget, request: ResourceRequest, before: ApiObject): Promise<Stored> {
  const { namespace = '', resource, version } = request;
  const made = await send(target, pathOf(resource, version, namespace), 'POST', target, before);
  if (made.status === 409) {
    return { object: (await send(target, objectPath(request), 'GET', target)).body as JsonObject, isNew: false };
  }
  if (before.status === undefined) {
    return { object: made.body as JsonObject, isNew: true };
  }
  const withStatus = { ...made.body, status: before.status };
  const updated = await send(target, `${objectPath(request)}/status`, 'PUT', target, withStatus);
  return { object: updated.body as JsonObject, isNew: true };
}

/** What is sent; an update is made on top of what is stored. */
function bodyOf({ body, resource, verb }: ResourceRequest, stored: JsonObject | undefined): JsonObject | undefined {
  if (body === undefined || stored === undefined) {
    return body ?? (['create', 'update', 'patch'].includes(verb) ? {} : undefined);
  }
  const { uid, resourceVersion } = metadataOf(stored);
  const metadata = {
    ...body.metadata,
    ...(uid === undefined ? {} : { uid }),
    ...(resourceVersion === undefined ? {} : { resourceVersion }),
  };
  if (resource !== 'pods' && resource !== 'nodes') {
    return { ...body, metadata };
  }
  const spec = { ...(isObject(stored['spec']) ? stored['spec'] : {}), ...(resource === 'nodes' ? body.spec : {}) };
  return { ...stored, ...body, metadata: { ...metadataOf(stored), ...metadata }, spec };
}

function metadataOf(object: JsonObject | Answer['body']): JsonObject {
  const metadata = object['metadata'];
  return isObject(metadata) ? metadata : {};
}

function pathOf(resource: string, version: string, namespace: string): string {
  const [plural = '', ...group] = resource.split('.');
  const base = group.length === 0 ? `/api/${version}` : `/apis/${group.join('.')}/${version}`;
  return `${base}${namespace === '' ? '' : `/namespaces/${namespace}`}/${plural}`;
}

function objectPath({ name, namespace, resource, version }: ResourceRequest): string {
  const collection = pathOf(resource, version, namespace ?? '');
  return name === undefined ? collection : `${collection}/${encodeURIComponent(name)}`;
}

function urlOf(request: ResourceRequest): string {
  const { fieldSelector, namespace, resource, subresource, verb, version } = request;
  const isRead = verb === 'get' || verb === 'list' || verb === 'watch';
  const query = new URLSearchParams(isRead ? {} : { dryRun: 'All' });
  if (fieldSelector !== undefined) {
    query.set('fieldSelector', fieldSelector);
  }
  if (verb === 'watch') {
    query.set('watch', 'true');
    query.set('timeoutSeconds', '1');
  }
  const isNewObject = verb === 'create' && subresource === undefined;
  const path = isNewObject ? pathOf(resource, version, namespace ?? '') : objectPath(request);
  return `${path}${subresource === undefined ? '' : `/${subresource}`}?${query}`;
}

function userOf(target: ReplayTarget, name: UserName): Target {
  return target.users[name] ?? { url: target.url, caPem: target.caPem, token: '' };
}

async function send(
  target: ReplayTarget,
  path: string,
  method: string,
  user: Target,
  body?: JsonObject,
  headers: Readonly<Record<string, string | string[]>> = {},
): Promise<Answer> {
  const type: Record<string, string> = {
    'Content-Type': method === 'PATCH' ? 'application/merge-patch+json' : 'application/json',
  };
  const { agent, names } = target;
  const outgoing = (text: string): string => names?.outgoing(text) ?? text;
  const answer = await call(user, outgoing(path), {
    method,
    body: body === undefined ? undefined : outgoing(JSON.stringify(body)),
    agent,
    headers: { ...headers, ...(body === undefined ? {} : type) },
  });
  return names === undefined ? answer : { ...answer, body: JSON.parse(names.incoming(JSON.stringify(answer.body))) };
}

function judgement({ status, body }: Answer): Judgement {
  const details = isObject(body['details']) ? body['details'] : {};
  const causes = Array.isArray(details['causes']) ? details['causes'].filter((cause) => isObject(cause)) : [];
  return {
    code: status < 300 ? 200 : status,
    message: typeof body['message'] === 'string' ? body['message'] : '',
    causes: causes.map((cause) => `${cause['field']} ${cause['reason']}`),
  };
}

/** How an answer differs from what is expected; nothing when it does not. */
export function difference(expected: Expected, judged: Judgement): string | undefined {
  const differs =
    judged.code !== expected.code ||
    (expected.causes !== undefined && expected.causes.join('\n') !== judged.causes.join('\n')) ||
    (expected.says !== undefined && !judged.message.includes(expected.says));
  return differs ? `expected ${JSON.stringify(expected)}, got ${JSON.stringify(judged)}` : undefined;
}
