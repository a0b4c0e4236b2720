/**
 * Takes the start-up taint off the agent's own node. Platform teams put it on new nodes, so that no pod comes to a node whose
 * agent is not there yet; it goes once the node's CSINode object lists the driver, which is the kubelet's word that pods
 * with its volumes can start. The agent never puts it on a node: one whose agent is away goes on with the pods that it has.
 *
 * https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/
 */
import { AgentError, unlessNotFound } from './base/errors.ts';
import type { ApiClient } from './kubernetes/client.ts';
import { corePrefix, resourcePath } from './kubernetes/paths.ts';
import { decodeCsiNode, decodeTaintedNode } from './kubernetes/schemas.ts';
import type { HealthCheck } from './observe/health.ts';
import type { Logger } from './observe/log/log.ts';
import { toleratedFailureMs } from './readiness.ts';
import type { Clock } from './time/clock.ts';
import { sleep } from './time/sleep.ts';

export interface StartupTaintOptions {
  readonly client: Pick<ApiClient, 'request'>;
  /** Must not go back. */
  readonly clock: Clock;
  readonly nodeName: string;
  readonly driverName: string;
  /** Key of the taint; its value and effect do not matter. */
  readonly key: string;
  readonly log: Logger;
}

export interface StartupTaint {
  /** The kubelet has registered the driver. Each time the node is looked at anew: it may have been made anew, with its taint. */
  registered(): void;
  check(): HealthCheck;
  stop(): void;
}

/** Pauses between two looks double from the first to the longest. */
const firstPauseMs = 1_000;
const longestPauseMs = 60_000;

export function createStartupTaint(options: StartupTaintOptions): StartupTaint {
  const { clock, key, log } = options;
  const stopping = new AbortController();
  let looking = new AbortController();
  /** What keeps the taint on the node; undefined once it is known to be gone, or as long as that is not known for a moment only. */
  let problem: string | undefined = 'the kubelet has not registered the driver yet';

  async function settle(signal: AbortSignal): Promise<void> {
    const since = clock.now();
    let said: string | undefined;
    for (let pauseMs = firstPauseMs; !signal.aborted; pauseMs = Math.min(2 * pauseMs, longestPauseMs)) {
      const outcome = await attempt(options, signal);
      if (signal.aborted) {
        return;
      }
      if (outcome.type !== 'waiting') {
        problem = undefined;
        tell(outcome.type, said !== undefined);
        return;
      }
      // What was registered a moment ago is not in the object yet; what lasts, and a clear answer, somebody must look at.
      if (outcome.isClear || clock.now() - since >= toleratedFailureMs) {
        problem = outcome.why;
        if (said !== problem) {
          said = problem;
          log.warn('the start-up taint stays on the node, and pods stay away', { taint: key, detail: said });
        }
      }
      await sleep(pauseMs, clock, signal);
    }
  }

  function tell(how: 'removed' | 'absent', wasAmiss: boolean): void {
    if (how === 'removed') {
      log.info('the start-up taint is off the node: pods may come', { taint: key });
    } else {
      log[wasAmiss ? 'info' : 'debug']('the node has no start-up taint', { taint: key });
    }
  }

  function stopLooking(): void {
    looking.abort();
  }

  return {
    registered() {
      stopLooking();
      looking = new AbortController();
      if (!stopping.signal.aborted) {
        void settle(looking.signal);
      }
    },
    check: () =>
      problem === undefined
        ? { name: 'startup-taint', ok: true }
        : { name: 'startup-taint', ok: false, message: problem },
    stop() {
      stopping.abort();
      stopLooking();
    },
  };
}

type Outcome =
  | { readonly type: 'removed' | 'absent' }
  /** `isClear`: time alone will not mend it. */
  | { readonly type: 'waiting'; readonly why: string; readonly isClear: boolean };

/** One look, and the removal where it is time. Never throws. */
async function attempt(options: StartupTaintOptions, signal: AbortSignal): Promise<Outcome> {
  const { client, nodeName, key } = options;
  const call = { signal, priority: 'first' } as const;
  const path = resourcePath(corePrefix, { resource: 'nodes', name: nodeName });
  try {
    const { metadata, spec } = await client.request({ method: 'GET', path, decode: decodeTaintedNode, ...call });
    const places = (spec?.taints ?? []).flatMap((taint, index) => (taint.key === key ? [index] : []));
    if (places.length === 0) {
      return { type: 'absent' };
    }
    const missing = await missingInCsiNode(options, metadata.uid, signal);
    if (missing !== undefined) {
      return { type: 'waiting', why: missing, isClear: false };
    }
    const body = removal(places, key, metadata.uid);
    await client.request({ method: 'PATCH', path, body, contentType: 'application/json-patch+json', ...call });
    return { type: 'removed' };
  } catch (error) {
    return waitingFor(error, nodeName);
  }
}

/** What is still missing before pods with volumes of the driver can start on the node. */
async function missingInCsiNode(
  { client, nodeName, driverName }: StartupTaintOptions,
  nodeUID: string | undefined,
  signal: AbortSignal,
): Promise<string | undefined> {
  const path = resourcePath('/apis/storage.k8s.io/v1', { resource: 'csinodes', name: nodeName });
  const csiNode = await unlessNotFound(
    client.request({ method: 'GET', path, decode: decodeCsiNode, signal, priority: 'first' }),
  );
  const owners = csiNode?.metadata.ownerReferences ?? [];
  // That of an earlier node of this name stays for a moment, with the drivers that it had.
  if (owners.length > 0 && !owners.some(({ uid }) => uid === nodeUID)) {
    return `CSINode ${nodeName} is that of an earlier node of this name`;
  }
  return csiNode?.spec.drivers?.some(({ name }) => name === driverName)
    ? undefined
    : `CSINode ${nodeName} does not list ${driverName}: the kubelet has to write it there when the driver registers`;
}

/**
 * Takes out what stands in these places, and nothing if the list has changed since it was read, so that no taint of
 * somebody else is lost.
 */
function removal(places: readonly number[], key: string, nodeUID: string | undefined): readonly object[] {
  return [
    ...(nodeUID === undefined ? [] : [{ op: 'test', path: '/metadata/uid', value: nodeUID }]),
    // The last one first: it moves none of the others.
    ...places.toReversed().flatMap((index) => [
      { op: 'test', path: `/spec/taints/${index}/key`, value: key },
      { op: 'remove', path: `/spec/taints/${index}` },
    ]),
  ];
}

function waitingFor(error: unknown, nodeName: string): Outcome {
  if (!(error instanceof AgentError)) {
    return { type: 'waiting', why: String(error), isClear: true };
  }
  const isClear = error.actor === 'cluster operator';
  // The API server's word for a test that does not hold.
  const why =
    error.code === 'Rejected' && !isClear ? `the taints of node ${nodeName} changed as one was removed` : error.message;
  return { type: 'waiting', why, isClear };
}
