/**
 * The objects of one kind, as the stand-in for the API server serves them: lists and watches of text that is made once. All
 * kinds share one count of versions, as in etcd.
 */
import type { ServerResponse } from 'node:http';

export interface Versions {
  next(): string;
  readonly current: string;
}

export function createVersions(): Versions {
  // Real ones are far from their beginning, too.
  let version = 1_000_000;
  return {
    next() {
      version += 1;
      return String(version);
    },
    get current() {
      return String(version);
    },
  };
}

/** An object without `metadata.resourceVersion`, which the collection gives it. */
export interface StoredObject {
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly [field: string]: unknown };
  readonly [field: string]: unknown;
}

interface Entry {
  readonly object: StoredObject;
  readonly text: string;
}

export interface Collection {
  put(object: StoredObject): string;
  remove(key: string): void;
  get(key: string): Entry | undefined;
  keys(): readonly string[];
  /** Answers a list or a watch. @param accept which objects the query selects */
  serve(response: ServerResponse, query: URLSearchParams, accept: (object: StoredObject) => boolean): void;
}

/** Changes that a watch can still begin after. */
const historyLength = 20_000;

interface Change {
  readonly version: number;
  readonly object: StoredObject;
  readonly line: string;
}

export function keyOf({ metadata }: StoredObject): string {
  return `${metadata.namespace ?? ''}/${metadata.name}`;
}

/** @param most of these objects there are at the same time; the oldest are deleted */
export function createCollection(
  apiVersion: string,
  kind: string,
  versions: Versions,
  most = Number.POSITIVE_INFINITY,
): Collection {
  const objects = new Map<string, Entry>();
  const watchers = new Set<(change: Change) => void>();
  let history: Change[] = [];

  const tell = (type: string, object: StoredObject, text: string, version: string): void => {
    const change = { version: Number(version), object, line: `{"type":"${type}","object":${text}}\n` };
    history.push(change);
    if (history.length > historyLength) {
      history = history.slice(historyLength / 2);
    }
    for (const watcher of watchers) {
      watcher(change);
    }
  };

  const textOf = (object: StoredObject, resourceVersion: string): string =>
    JSON.stringify({ apiVersion, kind, ...object, metadata: { ...object.metadata, resourceVersion } });

  const sendList = (response: ServerResponse, query: URLSearchParams, found: readonly Entry[]): void => {
    const from = Number(query.get('continue') ?? 0);
    const until = from + Number(query.get('limit') ?? found.length);
    const texts = found.slice(from, until).map(({ text }) => text);
    const metadata = {
      resourceVersion: versions.current,
      ...(until < found.length ? { continue: String(until) } : {}),
    };
    const begun = `{"apiVersion":"${apiVersion}","kind":"${kind}List","metadata":${JSON.stringify(metadata)}`;
    const body = `${begun},"items":[${texts.join(',')}]}`;
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) });
    response.end(body);
  };

  const begin = (response: ServerResponse): void => {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.flushHeaders();
  };

  const remove = (key: string): void => {
    const entry = objects.get(key);
    if (entry !== undefined && objects.delete(key)) {
      const version = versions.next();
      tell('DELETED', entry.object, textOf(entry.object, version), version);
    }
  };

  return {
    put(object) {
      const version = versions.next();
      const key = keyOf(object);
      const text = textOf(object, version);
      const isNew = !objects.has(key);
      objects.set(key, { object, text });
      tell(isNew ? 'ADDED' : 'MODIFIED', object, text, version);
      const [oldest] = objects.keys();
      if (objects.size > most && oldest !== undefined) {
        remove(oldest);
      }
      return text;
    },
    remove,
    get: (key) => objects.get(key),
    keys: () => [...objects.keys()],
    serve(response, query, accept) {
      if (query.get('watch') !== 'true') {
        sendList(
          response,
          query,
          [...objects.values()].filter(({ object }) => accept(object)),
        );
        return;
      }
      begin(response);
      if (query.get('sendInitialEvents') === 'true') {
        for (const { object, text } of objects.values()) {
          if (accept(object)) {
            response.write(`{"type":"ADDED","object":${text}}\n`);
          }
        }
        const annotations = { 'k8s.io/initial-events-end': 'true' };
        const object = { apiVersion, kind, metadata: { resourceVersion: versions.current, annotations } };
        response.write(`${JSON.stringify({ type: 'BOOKMARK', object })}\n`);
      } else {
        const after = Number(query.get('resourceVersion') ?? versions.current);
        const missed = history.filter(({ version, object }) => version > after && accept(object));
        for (const { line } of missed) {
          response.write(line);
        }
      }
      const watcher = ({ object, line }: Change): void => {
        if (accept(object)) {
          response.write(line);
        }
      };
      watchers.add(watcher);
      response.on('close', () => watchers.delete(watcher));
    },
  };
}
