/**
 * Events on pods: what a pod's author sees in `kubectl describe pod`. Repetitions are counted in one Event object
 * instead of filling the list, noisy pods are cut short and take turns with the others, and nothing here ever holds up or
 * fails its caller: what cannot be sent in time is dropped and counted.
 *
 * core/v1 Events are used: `kubectl describe` reads them on every version, and their count is patched in place.
 * https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/
 */
import { createHash } from 'node:crypto';
import { type BoundedMap, createBoundedMap } from '../../volumes/base/bounded-map.ts';
import type { PodReference } from '../../volumes/base/volume.ts';
import { AgentError, isNotFound } from '../base/errors.ts';
import { createFairLine } from '../base/fair-line.ts';
import type { Clock } from '../time/clock.ts';
import { createMonotonicClock } from '../time/monotonic-clock.ts';
import type { ApiClient } from './client.ts';
import { corePrefix, resourcePath } from './paths.ts';

/** One thing to tell a pod's author. */
export interface PodEvent {
  readonly pod: Pick<PodReference, 'namespace' | 'name' | 'uid'>;
  readonly type: 'Normal' | 'Warning';
  /** One word in UpperCamelCase, at most 128 characters. */
  readonly reason: string;
  /** At most 1024 characters; a longer one is cut. */
  readonly message: string;
  /** What the event is about, within the pod: same pod, type, reason and series are counted as one. Default the message. */
  readonly series?: string;
}

export interface EventRecorder {
  /** Takes the event; never throws and never waits. */
  record(event: PodEvent): void;
  /** Sends what is left, for at most this long, and then ends. */
  stop(deadlineMs: number): Promise<void>;
  /** Events given up since the start: too many, or not accepted by the API server. */
  dropped(): number;
}

export interface EventRecorderOptions {
  readonly client: ApiClient;
  /** The driver's name: `reportingComponent`. */
  readonly driverName: string;
  /** The node's name: `reportingInstance`, and the source's host. */
  readonly nodeName: string;
  /** Must not go back. Default `createMonotonicClock()`. */
  readonly clock?: Clock;
  /** Milliseconds since the epoch. Default `Date.now`. */
  readonly wallClock?: () => number;
  /** New events a pod may have at once, and how long each takes to become available again. Default 10 and a minute. */
  readonly perPod?: { readonly burst: number; readonly refillMs: number };
  /** Events waiting to be sent; beyond it the last of the pod that has most is dropped. Default 500. */
  readonly queueLimit?: number;
  /** Shortest time between two counts of one series, milliseconds. Default 10 seconds. */
  readonly repeatMs?: number;
}

/** Series and pods that are remembered. */
const memory = 1_000;
const maxMessageLength = 1_024;
const maxAttempts = 5;

interface Series {
  readonly name: string;
  readonly firstAt: string;
  event: PodEvent;
  lastAt: string;
  count: number;
  /** The count that the API server has. */
  sent: number;
  /** Monotonic time before which it is not sent again. */
  notBefore: number;
  /** Failed sendings since it was last recorded. */
  attempts: number;
}

interface Allowance {
  tokens: number;
  at: number;
}

export function createEventRecorder(options: EventRecorderOptions): EventRecorder {
  const { client, clock = createMonotonicClock(), wallClock = Date.now } = options;
  const { perPod = { burst: 10, refillMs: 60_000 }, queueLimit = 500, repeatMs = 10_000 } = options;
  const ending = new AbortController();
  const seriesByKey: BoundedMap<string, Series> = createBoundedMap(memory);
  const allowances: BoundedMap<string, Allowance> = createBoundedMap(memory);
  const line = createFairLine<Series>({ now: clock.now, wallNow: wallClock, turn: 1 });
  const idleListeners = new Set<() => void>();
  let cancelWait = (): void => {};
  let sending = false;
  let stopping = false;
  let dropped = 0;

  function isAllowed(podUID: string): boolean {
    const now = clock.now();
    const known = allowances.get(podUID) ?? { tokens: perPod.burst, at: now };
    const tokens = Math.min(perPod.burst, known.tokens + (now - known.at) / perPod.refillMs);
    allowances.set(podUID, { tokens: tokens < 1 ? tokens : tokens - 1, at: now });
    return tokens >= 1;
  }

  function record(event: PodEvent): void {
    const key = keyOf(event);
    const known = seriesByKey.get(key);
    if (stopping || (known === undefined && !isAllowed(event.pod.uid))) {
      dropped += 1;
      return;
    }
    const at = new Date(wallClock()).toISOString();
    const series: Series = known ?? {
      ...{ name: nameFor(event, key, at), event, firstAt: at, lastAt: at },
      ...{ count: 0, sent: 0, notBefore: clock.now(), attempts: 0 },
    };
    seriesByKey.set(key, series);
    Object.assign(series, { event, lastAt: at, count: series.count + 1, attempts: 0 });
    enqueue(series);
    pump();
  }

  function enqueue(series: Series): void {
    line.add(series, { priority: 'background', owner: series.event.pod.uid });
    if (line.size > queueLimit && line.takeLast() !== undefined) {
      dropped += 1;
    }
  }

  /** Sends what is due, one at a time, and sleeps until the next is. */
  function pump(): void {
    cancelWait();
    if (sending) {
      return;
    }
    const series = stopping ? line.take() : line.take(({ notBefore }) => notBefore <= clock.now());
    if (series !== undefined) {
      sending = true;
      void send(series).finally(() => {
        sending = false;
        pump();
      });
    } else if (line.size > 0) {
      cancelWait = clock.at(Math.min(...[...line.items()].map(({ notBefore }) => notBefore)), pump);
    } else {
      for (const listener of idleListeners) {
        listener();
      }
    }
  }

  async function send(series: Series): Promise<void> {
    const { count } = series;
    series.notBefore = clock.now() + repeatMs;
    try {
      await (series.sent === 0 ? create(series) : patch(series));
      series.sent = count;
    } catch (error) {
      series.attempts += 1;
      if (isPassing(error) && !stopping && series.attempts < maxAttempts) {
        enqueue(series);
      } else if (series.count === count) {
        dropped += 1;
      }
    }
  }

  async function create(series: Series): Promise<void> {
    const path = pathOf(series.event.pod.namespace);
    try {
      const body = eventObject(series, options.driverName, options.nodeName);
      await client.request({ method: 'POST', path, body, signal: ending.signal });
    } catch (error) {
      // The event is there already: the reply to an earlier attempt was lost.
      if (!(error instanceof AgentError && error.code === 'Conflict')) {
        throw error;
      }
    }
  }

  async function patch(series: Series): Promise<void> {
    const path = pathOf(series.event.pod.namespace, series.name);
    const { count, lastAt, event } = series;
    const body = { count, lastTimestamp: lastAt, message: shorten(event.message) };
    const contentType = 'application/merge-patch+json';
    try {
      await client.request({ method: 'PATCH', path, body, contentType, signal: ending.signal });
    } catch (error) {
      // The API server forgets events after an hour.
      if (!isNotFound(error)) {
        throw error;
      }
      await create(series);
    }
  }

  async function stop(deadlineMs: number): Promise<void> {
    stopping = true;
    await new Promise<void>((resolve) => {
      const cancel = clock.at(clock.now() + deadlineMs, () => {
        while (line.take() !== undefined) {
          dropped += 1;
        }
        ending.abort();
      });
      const finish = (): void => {
        cancel();
        resolve();
      };
      idleListeners.add(finish);
      pump();
    });
  }

  return { record, stop, dropped: () => dropped };
}

function isPassing(error: unknown): boolean {
  return error instanceof AgentError && error.code === 'Unavailable';
}

function keyOf({ pod, type, reason, message, series = message }: PodEvent): string {
  return createHash('sha256')
    .update(JSON.stringify([pod.uid, type, reason, series]))
    .digest('hex');
}

/** Same series and moment, same name: a repeated create meets its own event. */
function nameFor({ pod }: PodEvent, key: string, at: string): string {
  const suffix = createHash('sha256')
    .update(key + at)
    .digest('hex')
    .slice(0, 16);
  return `${pod.name.slice(0, 236).replace(/[^a-z0-9]+$/, '')}.${suffix}`;
}

function eventObject(series: Series, driverName: string, nodeName: string): object {
  const { name, firstAt, lastAt, count, event } = series;
  const { namespace, name: podName, uid } = event.pod;
  return {
    apiVersion: 'v1',
    kind: 'Event',
    metadata: { name, namespace },
    involvedObject: { apiVersion: 'v1', kind: 'Pod', namespace, name: podName, uid },
    type: event.type,
    reason: event.reason,
    message: shorten(event.message),
    source: { component: driverName, host: nodeName },
    reportingComponent: driverName,
    reportingInstance: nodeName,
    firstTimestamp: firstAt,
    lastTimestamp: lastAt,
    count,
  };
}

function pathOf(namespace: string, name?: string): string {
  return resourcePath(corePrefix, { namespace, resource: 'events', ...(name === undefined ? {} : { name }) });
}

function shorten(message: string): string {
  return message.length <= maxMessageLength ? message : `${message.slice(0, maxMessageLength - 1)}…`;
}
