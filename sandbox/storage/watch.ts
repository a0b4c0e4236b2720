/**
 * Watches: the changes to a selection of objects from a revision on, as a stream of JSON objects, one per line.
 *
 * https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
 */

import { ApiError, expired, fieldError, invalid, messageOf, statusBody } from '../base/errors.ts';
import type { ApiObject, JsonObject } from '../base/objects.ts';
import { type Api, type Query, storedAs, type Target } from './api.ts';
import { parseRevision, tooLargeRevision } from './read.ts';
import { isTrue } from './request-info.ts';
import type { Selection } from './selection.ts';
import type { StoreEvent } from './store.ts';

export type WatchEventType = 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR';

/** Where the events of a watch go. */
export interface WatchSink {
  /** One event. For BOOKMARK and ERROR the object is what is to be sent; otherwise a stored object to be presented. */
  send(type: WatchEventType, object: ApiObject | JsonObject): void;
  /** The stream is over. */
  end(): void;
}

export interface WatchOptions {
  /** Where to start: `undefined` or 0 sends what is there as ADDED first. */
  readonly revision: number;
  readonly bookmarks: boolean;
  /** The state first, then a bookmark that says so. */
  readonly initialEvents: boolean;
  /** Milliseconds after which the server ends the watch. */
  readonly timeoutMs: number;
}

/** Pause between bookmarks, milliseconds. */
const bookmarkIntervalMs = 60_000;
/** How long before its end a watch gets its last bookmark, milliseconds. */
const lastBookmarkLeadMs = 2000;
/** Timers run no longer than this; a watch that should is ended earlier, as any watch may be. */
const longestTimerMs = 2 ** 31 - 1;
const initialEventsEnd = { 'k8s.io/initial-events-end': 'true' };

/** @throws ApiError 400, 422 */
export function watchOptions(query: Query): WatchOptions {
  const initialEvents = query.get('sendInitialEvents');
  const match = query.get('resourceVersionMatch') ?? '';
  const subject = { group: 'meta.k8s.io', resource: 'ListOptions' };
  if (initialEvents === null && match !== '') {
    const why = 'resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided';
    throw invalid(subject, '', [fieldError.forbidden('resourceVersionMatch', why)]);
  }
  if (initialEvents !== null && match !== 'NotOlderThan') {
    const why = 'sendInitialEvents requires setting resourceVersionMatch to NotOlderThan';
    throw invalid(subject, '', [fieldError.forbidden('resourceVersionMatch', why)]);
  }
  const timeoutSeconds = Number(query.get('timeoutSeconds') ?? '0');
  return {
    revision: revisionForWatch(query.get('resourceVersion') ?? ''),
    bookmarks: isTrue(query.get('allowWatchBookmarks')),
    initialEvents: initialEvents !== null && isTrue(initialEvents),
    timeoutMs: Math.min(longestTimerMs, (timeoutSeconds > 0 ? timeoutSeconds : 1800 + Math.random() * 1800) * 1000),
  };
}

/** The real server answers a watch from nonsense with a bare 500. @throws ApiError 500 */
function revisionForWatch(text: string): number {
  try {
    return parseRevision(text);
  } catch (error) {
    throw new ApiError(500, '', messageOf(error));
  }
}

/** Starts a watch. @returns ends it without a word, for when the client has gone */
export function startWatch(
  api: Api,
  target: Target,
  selection: Selection,
  options: WatchOptions,
  sink: WatchSink,
): () => void {
  const resource = storedAs(target);
  const { store } = api;
  // Events up to here are known to the client.
  let seen = options.revision;
  const deliver = (event: StoreEvent): void => {
    if (event.resource !== resource || event.revision <= seen) {
      return;
    }
    const type = typeFor(selection, event);
    if (type !== undefined) {
      sink.send(type, shownObject(type, event));
    }
  };
  const bookmark = (annotations?: Readonly<Record<string, string>>): void => {
    const resourceVersion = String(Math.max(seen, store.revision()));
    sink.send('BOOKMARK', {
      metadata: { resourceVersion, ...(annotations === undefined ? {} : { annotations: { ...annotations } }) },
    });
  };

  const refuse = (error: ApiError): (() => void) => {
    sink.send('ERROR', statusBody(error));
    sink.end();
    return () => {};
  };

  if (options.initialEvents && options.revision > store.revision()) {
    return refuse(tooLargeRevision(options.revision, store.revision()));
  }
  if (options.revision === 0 || options.initialEvents) {
    for (const object of store.list(resource, selection.namespace).filter(selection.matches)) {
      sink.send('ADDED', object);
    }
    seen = store.revision();
    if (options.initialEvents && options.bookmarks) {
      bookmark(initialEventsEnd);
    }
  } else {
    const missed = store.eventsAfter(resource, options.revision);
    if (missed === undefined) {
      return refuse(tooOld(options.revision, store.compactedRevision()));
    }
    for (const event of missed) {
      deliver(event);
    }
  }
  const unsubscribe = store.subscribe(deliver);
  const bookmarks = options.bookmarks ? setInterval(() => bookmark(), bookmarkIntervalMs) : undefined;
  // So that the next watch can begin where this one ends.
  const lastBookmark = options.bookmarks
    ? setTimeout(() => bookmark(), Math.max(0, options.timeoutMs - lastBookmarkLeadMs))
    : undefined;
  const stop = (): void => {
    unsubscribe();
    clearInterval(bookmarks);
    clearTimeout(lastBookmark);
    clearTimeout(timeout);
  };
  const timeout = setTimeout(() => {
    stop();
    sink.end();
  }, options.timeoutMs);
  return stop;
}

/** What a change means to a selection: an object that stops matching is deleted for it, one that begins to is added. */
function typeFor(selection: Selection, event: StoreEvent): 'ADDED' | 'MODIFIED' | 'DELETED' | undefined {
  const before = event.previous !== undefined && selection.matches(event.previous);
  const after = event.type !== 'DELETED' && selection.matches(event.object);
  if (before) {
    return after ? 'MODIFIED' : 'DELETED';
  }
  return after ? 'ADDED' : undefined;
}

/** An object that leaves a selection is shown as it was while it still belonged to it. */
function shownObject(type: WatchEventType, event: StoreEvent): ApiObject {
  const left = type === 'DELETED' && event.type === 'MODIFIED' ? event.previous : undefined;
  return left === undefined
    ? event.object
    : { ...left, metadata: { ...left.metadata, resourceVersion: String(event.revision) } };
}

function tooOld(revision: number, compacted: number): ApiError {
  return expired(`too old resource version: ${revision} (${compacted})`);
}
