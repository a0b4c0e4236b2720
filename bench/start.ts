/**
 * From the start of the process until it says that it is ready, on a node without volumes; in turns with a Node.js that does
 * nothing. What the stand-in for the API server takes to answer, a millisecond a call, is in it.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { imageSettings } from './support/agent.ts';
import type { Bench } from './support/figures.ts';
import { startBenchNode } from './support/node.ts';
import { median } from './support/statistics.ts';

const rounds = 9;
const targetMs = 400;

export const bench: Bench = {
  what: 'start of the agent until it is ready',
  async measure({ progress }) {
    const node = await startBenchNode();
    try {
      const ready: number[] = [];
      const processor: number[] = [];
      const bare: number[] = [];
      for (let round = 0; round < rounds; round += 1) {
        bare.push(await startNothing());
        const agent = await node.restartAgent();
        ready.push(agent.readyAfterMs);
        processor.push(agent.processorMs());
      }
      progress(`ready after ${median(ready).toFixed(0)} ms`);
      const floor = median(bare);
      return [
        {
          name: 'start/ready',
          what: 'start → ready, no volumes',
          unit: 'ms',
          value: median(ready),
          floor,
          target: { of: 'value', limit: targetMs },
          note: 'The floor of the start is `node --eval 0` with the flags of the image.',
        },
        { name: 'start/processor', what: 'processor time until ready', unit: 'ms', value: median(processor) },
      ];
    } finally {
      await node.close();
    }
  },
};

/** @returns how long a Node.js takes that has nothing to do, milliseconds */
async function startNothing(): Promise<number> {
  const { flags, environment } = imageSettings();
  const startedAt = performance.now();
  const child = spawn(process.execPath, [...flags, '--eval', '0'], { env: environment, stdio: 'ignore' });
  await once(child, 'exit');
  return performance.now() - startedAt;
}
