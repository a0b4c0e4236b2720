/**
 * Whose program is asked next, and how long its answer is waited for. A program that accepts and never answers must not cost another pod
 * more than a moment: a turn is half a second, and an answer that takes longer is waited for beside the turns, in some few places. Are
 * those taken, whoever has had most time makes room, so that slow programs share what there is. Pods that answered quickly the last time go
 * before those of which nothing is known, and those before the slow ones.
 */
import { createBoundedMap } from '../../volumes/base/bounded-map.ts';
import type { Rank } from '../base/call.ts';
import { AgentError } from '../base/errors.ts';
import { createQueue } from '../base/queue.ts';
import {
  maxAttemptsUnderWay,
  maxAttemptsWaiting,
  maxAttemptsWaitingOfPod,
  maxPacesKnown,
  maxSlowUnderWay,
  quickMs,
} from './limits.ts';

/**
 * Does the job when the pod's turn comes; settles as the job does.
 * @param job calls `begin` when it is about to ask, after whatever it needs to know before
 * @throws AgentError Unavailable when too many wait or the pod has had its time, Aborted when the signal fires before the pod's turn
 */
export type PodTurns = <Result>(
  podUID: string,
  signal: AbortSignal,
  job: (signal: AbortSignal, begin: () => void) => Promise<Result>,
) => Promise<Result>;

export interface PodTurnsOptions {
  /** What the jobs are, for the message of a full queue. */
  readonly name: string;
  /** How long a turn is. Default `quickMs`. */
  readonly turnMs?: number;
}

type Pace = 'quick' | 'slow';

/** An answer that is waited for beside the turns. */
interface Slow {
  readonly podUID: string;
  cut(): void;
}

export function createPodTurns({ name, turnMs = quickMs }: PodTurnsOptions): PodTurns {
  const queue = createQueue({
    name,
    concurrency: maxAttemptsUnderWay,
    maxWaiting: maxAttemptsWaiting,
    maxWaitingPerOwner: maxAttemptsWaitingOfPod,
  });
  const paces = createBoundedMap<string, Pace>(maxPacesKnown);
  /** Those that have waited longest come first. */
  const slow = new Set<Slow>();

  const wait = (one: Slow): void => {
    if (slow.size >= maxSlowUnderWay) {
      firstToGo(slow)?.cut();
    }
    slow.add(one);
  };

  return async (podUID, signal, job) => {
    const ended = new AbortController();
    const turnOver = Promise.withResolvers<void>();
    let begunAt: number | undefined;
    let timer: NodeJS.Timeout | undefined;
    let cutAfterMs: number | undefined;
    const one: Slow = {
      podUID,
      cut() {
        slow.delete(one);
        cutAfterMs = performance.now() - (begunAt ?? 0);
        ended.abort();
      },
    };
    const begin = (): void => {
      begunAt = performance.now();
      timer = setTimeout(() => {
        paces.set(podUID, 'slow');
        wait(one);
        turnOver.resolve();
      }, turnMs);
    };
    const callOff = (): void => ended.abort();
    signal.addEventListener('abort', callOff, { once: true });
    try {
      const turn = await queue(
        async () => {
          const answer = job(ended.signal, begin);
          await Promise.race([answer, turnOver.promise]);
          // In an object: a promise that is returned would be waited for here.
          return { answer };
        },
        { priority: priorities[paces.get(podUID) ?? 'unknown'], owner: podUID, signal },
      );
      const result = await turn.answer;
      if (cutAfterMs !== undefined) {
        throw cut(cutAfterMs);
      }
      if (begunAt !== undefined && !slow.has(one) && !signal.aborted) {
        paces.set(podUID, 'quick');
      }
      return result;
    } finally {
      clearTimeout(timer);
      slow.delete(one);
      signal.removeEventListener('abort', callOff);
    }
  };
}

const priorities: Readonly<Record<Pace | 'unknown', Rank['priority']>> = {
  quick: 'first',
  unknown: 'refresh',
  slow: 'background',
};

/** Of the pod with most of them the one that has waited longest. */
function firstToGo(slow: ReadonlySet<Slow>): Slow | undefined {
  const counts = new Map<string, number>();
  for (const { podUID } of slow) {
    counts.set(podUID, (counts.get(podUID) ?? 0) + 1);
  }
  const most = Math.max(...counts.values());
  return [...slow].find(({ podUID }) => counts.get(podUID) === most);
}

function cut(afterMs: number): AgentError {
  const seconds = (afterMs / 1_000).toFixed(1);
  return new AgentError(
    'Unavailable',
    `the pod did not answer within ${seconds} s, and more slow pods wait than the agent waits for`,
    { actor: 'pod author' },
  );
}
