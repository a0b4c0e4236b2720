/**
 * Faults on demand: what a network, an overloaded server or a restart can do to a client, for the requests that a test
 * chooses.
 */
import { type KubernetesVersion, kubernetesVersions } from '../base/cluster-rules.ts';
import type { StatusDetails } from '../base/errors.ts';
import { isObject, type Json, type JsonObject } from '../base/objects.ts';
import type { RequestInfo } from '../storage/request-info.ts';

/** Which requests a fault meets. Absent parts match everything. */
export interface FaultMatch {
  readonly verb?: string;
  readonly resource?: string;
  readonly subresource?: string;
  readonly namespace?: string;
  readonly name?: string;
  /** User name after authentication and before impersonation. */
  readonly user?: string;
  /** Prefix of the URL's path. */
  readonly path?: string;
}

export type Fault = {
  readonly match?: FaultMatch;
  /** How many requests (or events) it meets before it is over; absent: until it is removed. */
  readonly count?: number;
} & (
  | { readonly kind: 'latency'; readonly delayMs: number }
  /** Answered with a metav1.Status and not carried out. */
  | {
      readonly kind: 'error';
      readonly code: number;
      readonly reason?: string;
      readonly message?: string;
      /** Sent as the `Retry-After` header and in the details. */
      readonly retryAfterSeconds?: number;
      readonly causes?: StatusDetails['causes'];
    }
  /** Answered with this text, whatever was asked, and not carried out. A header may have several values. */
  | {
      readonly kind: 'reply';
      readonly code: number;
      readonly headers?: Readonly<Record<string, string | readonly string[]>>;
      readonly body: string;
    }
  /** The connection is closed without an answer; the request is not carried out. */
  | { readonly kind: 'drop' }
  /** The request is carried out and the connection closed without an answer. */
  | { readonly kind: 'loseReply' }
  /** The request is accepted and never answered. */
  | { readonly kind: 'hang' }
  /** Watches that match miss the next events. */
  | { readonly kind: 'dropWatchEvents' }
  /** Lists and reads show the state of a revision, as from a replica behind a load balancer that has fallen behind. */
  | { readonly kind: 'stale'; readonly revision: number }
);

/** What is switched on the server as a whole. */
export interface ServerSwitches {
  /** Closes every open connection. */
  dropConnections(): void;
  /** Turns every open connection silently dead: it stays open, and nothing comes through it any more. */
  freezeConnections(): void;
  /** Forgets the history: watches and pages that need it are answered 410. */
  compact(): void;
  /** Moves the server's clock, in milliseconds from its true time. */
  setClockOffset(offsetMs: number): void;
  /** Stops serving a version (`certificates.k8s.io`, `v1beta1`), of one resource or of all. */
  unserve(group: string, version: string, resource?: string | undefined): void;
  /** Serves it again. */
  serve(group: string, version: string, resource?: string | undefined): void;
  /** Turns the server into one of another version, over the same data: it is upgraded, or goes back. */
  setKubernetes(version: KubernetesVersion): void;
}

export interface Faults extends ServerSwitches {
  /** @returns removes the fault */
  add(fault: Fault): () => void;
  /** The faults that are still to come. */
  list(): readonly Fault[];
  /** Removes all faults; what was switched stays. */
  clear(): void;
  /** Takes one count off every fault of the request. Not for `dropWatchEvents`. */
  meet(info: RequestInfo, path: string, user: string): readonly Fault[];
  /** True when an event of this watch is to be lost; takes one count off. */
  losesEvent(info: RequestInfo, path: string, user: string): boolean;
}

export function createFaults(switches: ServerSwitches): Faults {
  const active = new Map<Fault, number>();
  const use = (wanted: (fault: Fault) => boolean, info: RequestInfo, path: string, user: string): Fault[] => {
    const met = [...active.keys()].filter((fault) => wanted(fault) && matches(fault.match ?? {}, info, path, user));
    for (const fault of met) {
      const left = (active.get(fault) ?? 1) - 1;
      if (left > 0) {
        active.set(fault, left);
      } else {
        active.delete(fault);
      }
    }
    return met;
  };
  const add = (fault: Fault): (() => void) => {
    // Each call adds a fault of its own, also for an object that was given before.
    const own = { ...fault };
    active.set(own, own.count ?? Number.POSITIVE_INFINITY);
    return () => active.delete(own);
  };
  return {
    ...switches,
    add,
    list: () => [...active].map(([fault, left]) => (Number.isFinite(left) ? { ...fault, count: left } : fault)),
    clear: () => active.clear(),
    meet: (info, path, user) => use((fault) => fault.kind !== 'dropWatchEvents', info, path, user),
    losesEvent: (info, path, user) => use((fault) => fault.kind === 'dropWatchEvents', info, path, user).length > 0,
  };
}

function matches(match: FaultMatch, info: RequestInfo, path: string, user: string): boolean {
  const { path: prefix = '', user: wantedUser, verb, ...resourceParts } = match;
  const sameParts = Object.entries(resourceParts).every(
    ([part, value]) => info.kind === 'resource' && info[part as keyof typeof resourceParts] === value,
  );
  return (
    sameParts &&
    path.startsWith(prefix) &&
    (wantedUser === undefined || wantedUser === user) &&
    (verb === undefined || verb === info.verb)
  );
}

/**
 * Carries out a command from the network: a fault to add, or `{ "action": … }` for a switch.
 * @throws TypeError for anything else
 */
export function command(faults: Faults, body: Json): void {
  if (!isObject(body)) {
    throw new TypeError('expected an object with "kind" (a fault) or "action" (a switch)');
  }
  if (body.kind !== undefined) {
    faults.add(readFault(body));
    return;
  }
  const { action, offsetMs, group, version, resource, kubernetes } = body;
  const served = [String(group ?? ''), String(version ?? ''), optionalText(resource)] as const;
  switch (action) {
    case 'dropConnections':
    case 'freezeConnections':
    case 'compact':
    case 'clear':
      faults[action]();
      break;
    case 'setClockOffset':
      faults.setClockOffset(Number(offsetMs ?? 0));
      break;
    case 'unserve':
    case 'serve':
      faults[action](...served);
      break;
    case 'setKubernetes':
      faults.setKubernetes(readVersion(kubernetes));
      break;
    default:
      throw new TypeError(`unknown action ${JSON.stringify(action)}`);
  }
}

function optionalText(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function readVersion(value: unknown): KubernetesVersion {
  const version = kubernetesVersions.find((each) => each === value);
  if (version === undefined) {
    throw new TypeError(`"kubernetes" has to be one of ${kubernetesVersions.join(', ')}`);
  }
  return version;
}

function readFault(body: JsonObject): Fault {
  const common = {
    ...(isObject(body.match) ? { match: body.match as FaultMatch } : {}),
    ...(typeof body.count === 'number' ? { count: body.count } : {}),
  };
  const { kind, code, reason, message, retryAfterSeconds, delayMs, revision, headers, body: text } = body;
  switch (kind) {
    case 'latency':
      return { ...common, kind, delayMs: Number(delayMs ?? 1000) };
    case 'error':
      return {
        ...common,
        kind,
        code: Number(code ?? 500),
        ...(typeof reason === 'string' ? { reason } : {}),
        ...(typeof message === 'string' ? { message } : {}),
        ...(typeof retryAfterSeconds === 'number' ? { retryAfterSeconds } : {}),
      };
    case 'reply':
      return { ...common, kind, code: Number(code ?? 200), headers: readHeaders(headers), body: String(text ?? '') };
    case 'stale':
      return { ...common, kind, revision: Number(revision ?? 0) };
    case 'drop':
    case 'loseReply':
    case 'hang':
    case 'dropWatchEvents':
      return { ...common, kind };
    default:
      throw new TypeError(`unknown kind of fault ${JSON.stringify(kind)}`);
  }
}

function readHeaders(value: unknown): Readonly<Record<string, string | readonly string[]>> {
  const entries = Object.entries(Object(value));
  return Object.fromEntries(
    entries.map(([name, each]) => [name, Array.isArray(each) ? each.map(String) : String(each)]),
  );
}
