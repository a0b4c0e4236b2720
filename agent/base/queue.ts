/**
 * A first-come queue for work that must not run many times at once: RSA jobs, which would take every thread of the
 * pool, and elliptic-curve jobs, which would keep the event loop from everything else.
 */
import { AgentError } from './errors.ts';

/** Runs the job when its turn comes; settles as the job does. @throws AgentError Unavailable when too many wait. */
export type Queue = <T>(job: () => Promise<T>) => Promise<T>;

export interface QueueOptions {
  /** What the jobs are, for the message of a full queue. */
  readonly name: string;
  /** Jobs that run at the same time, 1 or more. */
  readonly concurrency: number;
  /** Jobs that may wait; one more is refused, so that a flood of volumes cannot grow the heap without bound. */
  readonly maxWaiting: number;
}

export function createQueue({ name, concurrency, maxWaiting }: QueueOptions): Queue {
  const waiting: (() => void)[] = [];
  let running = 0;

  function leave(): void {
    const next = waiting.shift();
    // The place is handed over, not given back: a newcomer cannot slip in before the one that waited longest.
    if (next === undefined) running -= 1;
    else next();
  }

  async function enter(): Promise<void> {
    if (running < concurrency) {
      running += 1;
      return;
    }
    if (waiting.length >= maxWaiting) {
      throw new AgentError('Unavailable', `${waiting.length} ${name} are waiting already`, { actor: 'nobody' });
    }
    await new Promise<void>((resolve) => waiting.push(resolve));
  }

  return async (job) => {
    await enter();
    try {
      return await job();
    } finally {
      leave();
    }
  };
}
