/** What runs in the thread for handshakes, dist/handshake.mjs: does what it is asked, many at a time, and ends when the agent ends it. */
import { parentPort } from 'node:worker_threads';
import { handshake, type Sight, type Target } from './handshake.ts';

export interface Look {
  readonly type: 'look';
  readonly id: number;
  readonly target: Target;
  readonly timeoutMs: number;
}

/** Nobody waits for the look any more. */
export interface LookNoMore {
  readonly type: 'lookNoMore';
  readonly id: number;
}

export interface Looked {
  readonly id: number;
  readonly sight: Sight;
}

const underWay = new Map<number, AbortController>();

parentPort?.on('message', async (asked: Look | LookNoMore) => {
  const { id } = asked;
  if (asked.type === 'lookNoMore') {
    underWay.get(id)?.abort();
    return;
  }
  const calledOff = new AbortController();
  underWay.set(id, calledOff);
  const looked: Looked = { id, sight: await handshake(asked.target, asked.timeoutMs, calledOff.signal) };
  underWay.delete(id);
  parentPort?.postMessage(looked);
});
