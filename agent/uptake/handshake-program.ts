/** What runs in the thread for handshakes, dist/handshake.mjs: does what it is asked, many at a time, and ends when the agent ends it. */
import { parentPort } from 'node:worker_threads';
import { handshake, type Sight, type Target } from './handshake.ts';

export interface Look {
  readonly id: number;
  readonly target: Target;
  readonly timeoutMs: number;
}

export interface Looked {
  readonly id: number;
  readonly sight: Sight;
}

parentPort?.on('message', async ({ id, target, timeoutMs }: Look) => {
  const looked: Looked = { id, sight: await handshake(target, timeoutMs) };
  parentPort?.postMessage(looked);
});
