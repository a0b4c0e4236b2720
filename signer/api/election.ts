/**
 * Which of several replicas leads, by a Lease, by the rules of Kubernetes' own controllers: a Lease is taken over when it has not been seen to
 * change for as long as it says, by the watch of the one who wants it, so that clocks need not agree; and whoever cannot renew it
 * in time stops before another may begin.
 *
 * https://kubernetes.io/docs/concepts/architecture/leases/
 */
import * as v from 'valibot';
import { type AgentError, asAgentError } from '../../agent/base/errors.ts';
import type { ApiClient } from '../../agent/kubernetes/client.ts';
import { resourcePath } from '../../agent/kubernetes/paths.ts';
import type { Clock } from '../../agent/time/clock.ts';
import { sleep } from '../../agent/time/sleep.ts';
import { rawObject, whenFound } from './raw-object.ts';

export interface LeaseTimes {
  /** How long a Lease is good without being renewed, whole seconds. */
  readonly durationMs: number;
  /** A leader that has not renewed it for this long stops leading; shorter than the duration. */
  readonly renewWithinMs: number;
  /** Pause between two looks. */
  readonly retryMs: number;
}

/** Those of Kubernetes' own components. */
export const usualLeaseTimes: LeaseTimes = { durationMs: 15_000, renewWithinMs: 10_000, retryMs: 2_000 };

export interface ElectionOptions {
  /** Used for nothing else: renewing must not wait for other calls. */
  readonly client: ApiClient;
  /** Must not go back. */
  readonly clock: Clock;
  readonly namespace: string;
  readonly name: string;
  /** Nobody else has it, in this life or an earlier one. */
  readonly identity: string;
  readonly times: LeaseTimes;
  /** Leads until the signal fires, and returns as soon as it has stopped. */
  readonly lead: (signal: AbortSignal) => Promise<void>;
  readonly onError: (error: AgentError) => void;
}

export interface Election {
  isLeading(): boolean;
  /** For how long the Lease could not be read or written, milliseconds. */
  silentForMs(): number;
  /** Stops leading, and gives the Lease back so that another replica need not wait for its end. Idempotent. */
  stop(): Promise<void>;
}

const leaseObject = v.looseObject({
  spec: v.optional(
    v.looseObject({
      holderIdentity: v.nullish(v.string()),
      leaseDurationSeconds: v.nullish(v.number()),
      renewTime: v.nullish(v.string()),
      acquireTime: v.nullish(v.string()),
      leaseTransitions: v.nullish(v.number()),
    }),
  ),
});

type Lease = v.InferOutput<typeof leaseObject>;

/** Time that giving the Lease back may take. */
const releaseMs = 3_000;

export function startElection(options: ElectionOptions): Election {
  const { client, clock, namespace, name, identity, times, lead, onError } = options;
  const collection = resourcePath('/apis/coordination.k8s.io/v1', { namespace, resource: 'leases' });
  const path = `${collection}/${encodeURIComponent(name)}`;
  const stopping = new AbortController();
  /** The Lease as it was last seen to change, and when. */
  let seen = { mark: '', at: Number.NEGATIVE_INFINITY };
  let heardAt = clock.now();
  let leading: { readonly end: AbortController; readonly done: Promise<void> } | undefined;
  let cancelDeadline: (() => void) | undefined;

  function note({ spec }: Lease): void {
    heardAt = clock.now();
    const mark = `${spec?.holderIdentity} ${spec?.renewTime} ${spec?.leaseTransitions}`;
    if (mark !== seen.mark) {
      seen = { mark, at: clock.now() };
    }
  }

  function isFree({ spec }: Lease): boolean {
    const durationMs = (spec?.leaseDurationSeconds ?? 0) * 1000;
    return !spec?.holderIdentity || clock.now() - seen.at >= durationMs;
  }

  async function write(lease: Lease | undefined, holder: string, durationMs: number, signal: AbortSignal) {
    const now = `${new Date().toISOString().slice(0, -1)}000Z`;
    const isMine = lease?.spec?.holderIdentity === identity;
    const transitions = lease?.spec?.leaseTransitions ?? 0;
    const spec = {
      holderIdentity: holder,
      leaseDurationSeconds: Math.ceil(durationMs / 1000),
      acquireTime: isMine ? (lease.spec?.acquireTime ?? now) : now,
      renewTime: now,
      leaseTransitions: isMine || lease === undefined ? transitions : transitions + 1,
    };
    const head = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: { name, namespace } };
    const body = { ...head, ...lease, spec };
    const place =
      lease === undefined ? { method: 'POST' as const, path: collection } : { method: 'PUT' as const, path };
    note(await client.request({ ...place, body, signal, decode: rawObject('Lease', leaseObject) }));
  }

  const read = (signal: AbortSignal): Promise<Lease | undefined> =>
    client.request({ method: 'GET', path, signal, decode: rawObject('Lease', leaseObject) }).catch(whenFound);

  /** @returns whether the Lease is held now */
  async function tryOnce(signal: AbortSignal): Promise<boolean> {
    const lease = await read(signal);
    if (lease !== undefined) {
      note(lease);
      if (lease.spec?.holderIdentity !== identity && !isFree(lease)) {
        return false;
      }
    }
    await write(lease, identity, times.durationMs, signal);
    return true;
  }

  async function stepDown(): Promise<void> {
    cancelDeadline?.();
    const ended = leading;
    leading = undefined;
    ended?.end.abort();
    await ended?.done;
  }

  /** The deadline counts from before the call that renewed: the server may have seen it that early. */
  function stand(since: number): void {
    cancelDeadline?.();
    cancelDeadline = clock.at(since + times.renewWithinMs, () => leading?.end.abort());
    if (leading === undefined) {
      const end = new AbortController();
      const done = lead(end.signal).catch((cause: unknown) => onError(typed(cause)));
      leading = { end, done };
    }
  }

  async function run(): Promise<void> {
    while (!stopping.signal.aborted) {
      const since = clock.now();
      // Another begins to lead only after whatever was begun before has ended.
      if (leading?.end.signal.aborted) {
        await stepDown();
      }
      const limit = new AbortController();
      const cancel = clock.at(since + times.renewWithinMs, () => limit.abort());
      const isHeld = await tryOnce(AbortSignal.any([limit.signal, stopping.signal]))
        .catch((cause: unknown) => {
          const error = typed(cause);
          // Somebody else was faster.
          if (error.code !== 'Conflict' && !stopping.signal.aborted) {
            onError(error);
          }
          return error.code === 'Conflict' ? undefined : 'unknown';
        })
        .finally(cancel);
      if (stopping.signal.aborted) {
        break;
      }
      if (isHeld === true) {
        stand(since);
      } else if (isHeld === false) {
        await stepDown();
      }
      await sleep(times.retryMs * (0.8 + Math.random() * 0.4), clock, stopping.signal);
    }
  }

  async function release(): Promise<void> {
    const signal = AbortSignal.timeout(releaseMs);
    const lease = await read(signal);
    if (lease?.spec?.holderIdentity === identity) {
      await write(lease, '', 1_000, signal);
    }
  }

  const running = run();
  let stopped: Promise<void> | undefined;
  const stop = async (): Promise<void> => {
    stopping.abort();
    await running;
    const wasLeading = leading !== undefined;
    await stepDown();
    if (wasLeading) {
      await release().catch((cause: unknown) => onError(typed(cause)));
    }
  };
  return {
    isLeading: () => leading !== undefined && !leading.end.signal.aborted,
    silentForMs: () => clock.now() - heardAt,
    stop() {
      stopped ??= stop();
      return stopped;
    },
  };
}

function typed(cause: unknown): AgentError {
  return asAgentError(cause, 'leading failed');
}
