/**
 * A queue that limits how many jobs run at once: RSA jobs would otherwise take every thread of the pool, and
 * elliptic-curve jobs would block the event loop. Its order is fair (`fair-line.ts`): owners take turns job by job, and
 * a job for a certificate that is about to expire goes first.
 */
import type { SharedRank } from './call.ts';
import { AgentError } from './errors.ts';
import { createFairLine } from './fair-line.ts';

/** Where a job stands, and what ends its waiting: nothing is done for a pod that has gone meanwhile. */
export interface JobOptions extends SharedRank {
  readonly signal?: AbortSignal | undefined;
}

/**
 * Runs the job when its turn comes; settles as the job does.
 * @param options default: a first certificate of nobody's in particular
 * @throws AgentError Unavailable when too many wait, Aborted when the signal fires before the job's turn
 */
export type Queue = <T>(job: () => Promise<T>, options?: JobOptions) => Promise<T>;

export interface QueueOptions {
  /** What the jobs are, for the message of a full queue. */
  readonly name: string;
  /** Jobs that run at the same time, 1 or more. */
  readonly concurrency: number;
  /** Jobs that may wait, so that a flood of volumes cannot grow the heap without bound; beyond it the last is refused. */
  readonly maxWaiting: number;
  /** Jobs of one owner that may wait; one more is refused. Default `maxWaiting`. */
  readonly maxWaitingPerOwner?: number;
  /** Must not go back, milliseconds. Default `performance.now`. */
  readonly now?: () => number;
  /** Milliseconds since the epoch. Default `Date.now`. */
  readonly wallNow?: () => number;
}

interface Waiter {
  admit(): void;
  refuse(error: AgentError): void;
}

const aborted = (): AgentError => new AgentError('Aborted', 'the job was ended before its turn', { actor: 'nobody' });

export function createQueue(options: QueueOptions): Queue {
  const { name, concurrency, maxWaiting, maxWaitingPerOwner = maxWaiting } = options;
  const { now = () => performance.now(), wallNow = Date.now } = options;
  const line = createFairLine<Waiter>({ now, wallNow, turn: 1 });
  let running = 0;

  function leave(): void {
    const next = line.take();
    // The place is handed over, not given back: a newcomer cannot slip in before the one whose turn it is.
    if (next === undefined) {
      running -= 1;
    } else {
      next.admit();
    }
  }

  async function enter(job: JobOptions): Promise<void> {
    const { owner, signal } = job;
    if (signal?.aborted) {
      throw aborted();
    }
    if (running < concurrency) {
      running += 1;
      return;
    }
    if (owner !== undefined && line.waitingOf(owner) >= maxWaitingPerOwner) {
      throw tooMany(
        `${maxWaitingPerOwner} ${name} of this pod are waiting already; the next is taken when one is done`,
      );
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const waiter: Waiter = { admit: resolve, refuse: reject };
    const onAbort = (): void => {
      line.remove(waiter);
      reject(aborted());
    };
    signal?.addEventListener('abort', onAbort, { once: true });
    line.add(waiter, job);
    if (line.size > maxWaiting) {
      line.takeLast()?.refuse(tooMany(`${maxWaiting} ${name} are waiting already`));
    }
    await promise.finally(() => signal?.removeEventListener('abort', onAbort));
  }

  return async (job, jobOptions = { priority: 'first' }) => {
    await enter(jobOptions);
    try {
      return await job();
    } finally {
      leave();
    }
  };
}

function tooMany(message: string): AgentError {
  return new AgentError('Unavailable', message, { actor: 'nobody' });
}
