/**
 * Keeps a live copy of a collection: lists it page by page, then watches it from the list's resourceVersion. It
 * outlasts lost connections, expired tokens, and a history that the server has dropped.
 *
 * https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
 */
import { createWorker } from '../../volumes/base/steps.ts';
import { AgentError, asAgentError } from '../base/errors.ts';
import type { Clock } from '../time/clock.ts';
import { createMonotonicClock } from '../time/monotonic-clock.ts';
import { sleep } from '../time/sleep.ts';
import type { ApiClient, Persona } from './client.ts';
import type { Decoder } from './decoding.ts';
import { decodeWatchEvent, frameShape, outlineOf, pageDecoder, readStatus } from './envelopes.ts';
import { apiFailureOf, frameError } from './failure.ts';
import { createLiveCopy, type LiveCopy } from './live-copy.ts';
import { type KubernetesObject, keyOf } from './objects.ts';
import { createPageGuard } from './page-guard.ts';
import { describeCall } from './paths.ts';
import { isOlder } from './resource-version.ts';
import { longestPauseMs } from './throttle.ts';
import { TimeLimitError } from './transport.ts';

export interface ListWatchHealth {
  /** True from the first complete list on. */
  readonly synced: boolean;
  /** When something last came from the server, milliseconds since the epoch; undefined before the first list. */
  readonly lastEventAt: number | undefined;
  /** Lists and watches that ended otherwise than in order. */
  readonly restarts: number;
  /** What ended the last one, until the server is heard again. */
  readonly lastError: AgentError | undefined;
  /** Milliseconds since the first failure after which the server has not been heard; 0 while all is well. */
  readonly failingForMs: number;
}

export interface ListWatch<T extends KubernetesObject> extends Pick<LiveCopy<T>, 'get' | 'list' | 'subscribe'> {
  /** Ends everything; no listener is called afterwards. */
  stop(): void;
  health(): ListWatchHealth;
  /** True while a list is taken over, in steps: what is known is of two times then, until `synced` is told. */
  isTakingOver(): boolean;
  /**
   * Lists numbered from 1: the one that began last, and the last one that was taken over; 0 for none. What existed when
   * list n began is in it, so what is absent once n is taken over has been deleted.
   */
  lists(): { readonly begun: number; readonly taken: number };
}

export interface ListWatchOptions<T> {
  readonly client: ApiClient;
  /** Reads an object; one that it throws at is reported and left as it was known before. */
  readonly decode: Decoder<T>;
  /** The collection's path, asked for before every list and watch; an error it throws is retried like any other. */
  readonly path: (signal: AbortSignal) => Promise<string>;
  /** Field and label selectors. */
  readonly query?: Readonly<Record<string, string>>;
  readonly as?: Persona;
  /** Objects a page. Default 250. */
  readonly pageSize?: number;
  /**
   * Longest silence of a watch, default 70 seconds. The server sends a bookmark a minute after the last, looking once a
   * second: anything shorter would connect again and again where nothing happens. A peer that has vanished is found
   * sooner, by TCP keep-alive (`transport.ts`); this finds one that holds the connection and says nothing. It is a fault
   * where something has come on the watch. On one that has just begun a server may have nothing to say: it sends only
   * bookmarks of versions newer than that, and may learn of those from etcd every ten minutes; there it is begun anew.
   */
  readonly idleTimeoutMs?: number;
  /** First and longest pause after a failure. Default 0.25 and 30 seconds. */
  readonly backoffMs?: { readonly first: number; readonly longest: number };
  /** Must not go back. Default `createMonotonicClock()`. */
  readonly clock?: Clock;
  /** Milliseconds since the epoch, for `lastEventAt`. Default `Date.now`. */
  readonly wallClock?: () => number;
  /** From 0 to below 1. Default `Math.random`. */
  readonly random?: () => number;
  /** What is kept of an object while so many are held; undefined: nothing. Default: all. */
  readonly keep?: (object: T, held: number) => T | undefined;
  /** What has to happen before more objects are taken; nothing while there is room for more. */
  readonly untilRoom?: () => Promise<void> | undefined;
  /** The collection answered 404: it is not served under this path. */
  readonly onNotServed?: () => void;
  /** Each failure, before the pause that follows it. */
  readonly onError?: (error: AgentError) => void;
  /** The server is heard again after a failure. */
  readonly onRecovered?: () => void;
}

/** Watches shorter than this that brought nothing count as failures: a server that hangs up at once is not asked in a loop. */
const shortestWatchMs = 1_000;
/** As short watches in a row that brought something: what comes after them waits, but not for longer than after two failures. */
const mostHurriedWatches = 4;
const failuresOfHurry = 2;
/** How long the server is asked to keep a watch open, and how much longer than that it may take to end it. */
const watchSeconds = { shortest: 300, spread: 300, grace: 60 };

/**
 * A list that is older than what was seen comes from a server that is behind: it lacks what was made since, which would count as
 * deleted. After so many, over some ten seconds, the server is believed: its data may have been restored from a backup.
 */
const mostStaleLists = 6;

/**
 * A watch that lasts so long has begun well. History that expires sooner than that, again and again, is a fault of the server's: a
 * list of all for each of its events would be a flood.
 */
const longWatchMs = 60_000;

/**
 * A server whose data were restored from a backup takes up a watch from a version that is still to come, and says nothing on it, for
 * days: what was made since the backup would stay, and what changes would never be told. After so many silent watches all is listed,
 * and where something has changed meanwhile, the silence was a fault.
 */
const mostSilences = 2;

/** A first issuance waits for its watch. */
const priority = 'first';

/** Takes lists over, of all collections together: thousands of objects may be told of. */
const worker = createWorker();

export function createListWatch<T extends KubernetesObject>(options: ListWatchOptions<T>): ListWatch<T> {
  const { client, path, decode, as = 'self', pageSize = 250, idleTimeoutMs = 70_000 } = options;
  const { keep: keepOf = (object: T): T | undefined => object } = options;
  const { clock = createMonotonicClock(), wallClock = Date.now, random = Math.random } = options;
  const backoff = options.backoffMs ?? { first: 250, longest: 30_000 };
  const stopping = new AbortController();
  const { signal } = stopping;
  const decodePage = pageDecoder(decode);
  const shape = frameShape(decode);
  const copy = createLiveCopy<T>((cause) => {
    options.onError?.(new AgentError('Internal', 'a listener of a watch failed', { actor: 'nobody', cause }));
  });
  /** Where the next watch begins; undefined: list first. */
  let resourceVersion: string | undefined;
  /** The newest state that was seen, and how many lists in a row were older. */
  let newest = '';
  let staleLists = 0;
  /** False for one list after a continue token has expired. */
  let inPages = true;
  /** Failures in a row, and watches in a row that ended soon. */
  let failures = 0;
  let hurriedWatches = 0;
  /** Expiries (410) since the last watch that lasted long. */
  let expiries = 0;
  /** Watches in a row that ended in silence, since the last list. */
  let silences = 0;
  let listsBegun = 0;
  let listTaken = 0;
  let isTakingOver = false;
  let lastEventAt: number | undefined;
  let restarts = 0;
  let lastError: AgentError | undefined;
  let failingSince: number | undefined;

  function heard(): void {
    lastEventAt = wallClock();
    if (lastError === undefined) {
      return;
    }
    lastError = undefined;
    failingSince = undefined;
    options.onRecovered?.();
  }

  /** Reads an item of a list. One that is unreadable stays as it is known, since it is there all the same. */
  function keep(item: unknown, found: Map<string, T>): void {
    try {
      const object = decode(item);
      const kept = keepOf(object, found.size);
      if (kept !== undefined) {
        found.set(keyOf(object), kept);
      }
    } catch (fault) {
      options.onError?.(typed(fault));
      const { key = '' } = outlineOf(item);
      const known = copy.get(key);
      if (known !== undefined) {
        found.set(key, known);
      }
    }
  }

  async function list(): Promise<void> {
    const collection = await path(signal);
    const wasSilent = silences >= mostSilences;
    listsBegun += 1;
    const found = new Map<string, T>();
    let version = '';
    let next: string | undefined;
    const limit = inPages ? String(pageSize) : undefined;
    // Only this list goes unpaged: whatever becomes of it, a reply too large to be read must not be asked for again and again.
    inPages = true;
    const goesOn = createPageGuard();
    do {
      let items = 0;
      await options.untilRoom?.();
      const query = { ...options.query, limit, continue: next };
      // No resourceVersion: the list is complete as of now, not as of some server's cache.
      const page = await client.request({
        method: 'GET',
        path: collection,
        query,
        as,
        signal,
        priority,
        decode: decodePage,
        onItem(item) {
          items += 1;
          keep(item, found);
        },
      });
      heard();
      version = page.metadata?.resourceVersion ?? '';
      next = page.metadata?.continue || undefined;
      if (next !== undefined) {
        goesOn(items);
      }
    } while (next !== undefined);
    if (isOlder(version, newest) && staleLists < mostStaleLists) {
      staleLists += 1;
      const message = `the list at resourceVersion ${version} is older than what was seen, ${newest}: the server is behind`;
      throw new AgentError('Unavailable', message, { actor: 'nobody' });
    }
    staleLists = 0;
    newest = version;
    resourceVersion = version;
    isTakingOver = true;
    const differences = await worker.carryOut(copy.replace(found), () => signal.throwIfAborted());
    isTakingOver = false;
    listTaken = listsBegun;
    silences = 0;
    copy.synced();
    if (wasSilent && differences > 0) {
      restarts += 1;
      const { resource } = describeCall('GET', collection, true, as);
      const message = `the watch of ${resource} was silent while ${differences} of them changed; they were found by a list`;
      options.onError?.(new AgentError('Unavailable', message, { actor: 'nobody' }));
    }
  }

  async function watch(): Promise<void> {
    const collection = await path(signal);
    const seconds = watchSeconds.shortest + Math.floor(random() * watchSeconds.spread);
    const longestMs = (seconds + watchSeconds.grace) * 1000;
    const query = {
      ...options.query,
      watch: 'true',
      allowWatchBookmarks: 'true',
      resourceVersion,
      timeoutSeconds: String(seconds),
    };
    const words = describeCall('GET', collection, true, as);
    const begunAt = resourceVersion ?? '';
    let openedAt = Number.POSITIVE_INFINITY;
    let frames = 0;
    const lasted = (): boolean => clock.now() - openedAt >= shortestWatchMs;
    const isWellEnded = (): boolean => lasted() || (frames > 0 && hurriedWatches < mostHurriedWatches);
    const onOpen = (): void => {
      openedAt = clock.now();
      heard();
    };
    try {
      const limits = { idleTimeoutMs, longestMs };
      await client.watch({ path: collection, query, as, signal, priority, ...limits, onOpen, shape }, (frame) => {
        const event = decodeWatchEvent(frame);
        if (event.type === 'ERROR') {
          throw frameError(words, readStatus(event.object));
        }
        frames += 1;
        heard();
        silences = 0;
        if (event.type === 'OTHER') {
          return;
        }
        if (event.type === 'BOOKMARK') {
          assertOnward(event.object.metadata.resourceVersion ?? begunAt, begunAt);
        }
        accept(event.type, event.object);
        return options.untilRoom?.();
      });
      if (!isWellEnded()) {
        throw new AgentError('Unavailable', `the watch of ${words.resource} ended at once`, { actor: 'nobody' });
      }
    } catch (fault) {
      const isQuiet = Number.isFinite(openedAt) && frames === 0 && isTimeLimit(fault);
      if (!isQuiet) {
        throw fault;
      }
      noteSilence();
    } finally {
      failures = isWellEnded() ? 0 : frames > 0 ? Math.min(failures, failuresOfHurry) : failures;
      hurriedWatches = lasted() ? 0 : hurriedWatches + Math.min(frames, 1);
      expiries = clock.now() - openedAt >= longWatchMs ? 0 : expiries;
    }
  }

  /** A bookmark says that all up to its version has been told. One from before the watch began is of data that went back. */
  function assertOnward(version: string, begunAt: string): void {
    if (!isOlder(version, begunAt)) {
      return;
    }
    resourceVersion = undefined;
    const message = `the watch from resourceVersion ${begunAt} is told of an older one, ${version}: the server's data went back`;
    throw new AgentError('Unavailable', message, { actor: 'nobody' });
  }

  function accept(type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK', sent: unknown): void {
    resourceVersion = outlineOf(sent).resourceVersion ?? resourceVersion;
    newest = resourceVersion ?? newest;
    if (type === 'BOOKMARK') {
      return;
    }
    let object: T;
    try {
      object = decode(sent);
    } catch (fault) {
      options.onError?.(typed(fault));
      return;
    }
    const kept = type === 'DELETED' ? undefined : keepOf(object, copy.size());
    if (kept === undefined) {
      copy.remove(object);
    } else {
      copy.put(kept);
    }
  }

  function noteSilence(): void {
    silences += 1;
    resourceVersion = silences < mostSilences ? resourceVersion : undefined;
  }

  /** Notes a failure, and prepares for the next attempt. @returns how long to wait before going on, in milliseconds. */
  function learn(error: AgentError): number {
    restarts += 1;
    lastError = error;
    failingSince ??= clock.now();
    options.onError?.(error);
    const status = apiFailureOf(error)?.httpStatus;
    if (status === 410) {
      // Either the watch is behind the server's history, or the list's continue token is: then ask for one page of all.
      inPages = resourceVersion !== undefined;
      resourceVersion = undefined;
    } else if (status === 404) {
      resourceVersion = undefined;
      options.onNotServed?.();
    } else if (isTimeLimit(error) && resourceVersion !== undefined) {
      noteSilence();
    }
    const before = Math.max(failures, status === 410 ? expiries : 0);
    const harmless = before === 0 && (status === 410 || isTimeLimit(error));
    const pause = Math.min(backoff.longest, backoff.first * 2 ** before) * (0.5 + random() / 2);
    failures += 1;
    expiries += status === 410 ? 1 : 0;
    return Math.max(harmless ? 0 : pause, Math.min(error.retryAfterMs ?? 0, longestPauseMs));
  }

  async function run(): Promise<void> {
    while (!signal.aborted) {
      try {
        if (resourceVersion === undefined) {
          await list();
        }
        await watch();
      } catch (fault) {
        if (!signal.aborted) {
          await sleep(learn(typed(fault)), clock, signal);
        }
      }
    }
  }

  void run();

  return {
    get: copy.get,
    list: copy.list,
    subscribe: copy.subscribe,
    stop() {
      copy.close();
      stopping.abort();
    },
    health() {
      const failingForMs = failingSince === undefined ? 0 : clock.now() - failingSince;
      return { synced: listTaken > 0, lastEventAt, restarts, lastError, failingForMs };
    },
    isTakingOver: () => isTakingOver,
    lists: () => ({ begun: listsBegun, taken: listTaken }),
  };
}

function isTimeLimit(fault: unknown): boolean {
  return fault instanceof AgentError && fault.cause instanceof TimeLimitError;
}

function typed(fault: unknown): AgentError {
  return asAgentError(fault, 'a watch failed');
}
