/** What runs in the thread for handshakes, dist/handshake.mjs: does what it is asked, many at a time, and ends when the agent ends it. */
import { parentPort } from 'node:worker_threads';
import { ask, type Question } from './ask.ts';
import { handshake, type Sight, type Target } from './handshake.ts';
import type { Attempt } from './teller.ts';

export interface Order {
  readonly type: 'order';
  readonly id: number;
  readonly work: Work;
  readonly timeoutMs: number;
}

export type Work =
  | { readonly type: 'look'; readonly target: Target }
  | { readonly type: 'ask'; readonly question: Question };

/** Nobody waits for what was ordered any more. */
export interface CallOff {
  readonly type: 'callOff';
  readonly id: number;
}

/** All that leaves the thread. */
interface Answer {
  readonly id: number;
  readonly outcome: Sight | Attempt;
}

const underWay = new Map<number, AbortController>();

parentPort?.on('message', async (message: Order | CallOff) => {
  const { id } = message;
  if (message.type === 'callOff') {
    underWay.get(id)?.abort();
    return;
  }
  const calledOff = new AbortController();
  underWay.set(id, calledOff);
  const answer: Answer = { id, outcome: await carryOut(message, calledOff.signal) };
  underWay.delete(id);
  parentPort?.postMessage(answer);
});

function carryOut({ work, timeoutMs }: Order, signal: AbortSignal): Promise<Sight | Attempt> {
  return work.type === 'look'
    ? handshake(work.target, timeoutMs, signal)
    : ask({ ...work.question, timeoutMs, signal });
}
