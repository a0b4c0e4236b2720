/**
 * An agent that is killed and started again beside 500 volumes: until it has taken them all up, what it asks of the API server,
 * and what it writes into volumes.
 */
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { AgentUnderBench } from './support/agent.ts';
import type { Bench } from './support/figures.ts';
import { startPods } from './support/many.ts';
import { startBenchNode } from './support/node.ts';
import { memoryOf } from './support/processes.ts';
import { median } from './support/statistics.ts';

const volumes = 500;
const rounds = 3;
/** Time for whatever an agent might do after it has said that it is ready. */
const afterwardsMs = 3000;

export const bench: Bench = {
  what: `restart of the agent beside ${volumes} volumes`,
  async measure({ progress }) {
    const node = await startBenchNode();
    try {
      progress(`starting ${volumes} pods`);
      await startPods(node, 0, volumes);
      const before = filesBelow(node.places.kubeletRoot);
      const callsBefore = await node.apiServer.call('counts');
      const times: number[] = [];
      const processor: number[] = [];
      for (let round = 0; round < rounds; round += 1) {
        const agent = await node.restartAgent();
        await untilAdopted(agent);
        times.push(performance.now() - agent.startedAt);
        processor.push(agent.processorMs());
        await sleep(afterwardsMs);
      }
      const calls = await node.apiServer.call('counts');
      const name = 'create podcertificaterequests';
      const changed = [...filesBelow(node.places.kubeletRoot)].filter(
        ([path, { mark }]) => before.get(path)?.mark !== mark,
      );
      progress(`adopted after ${median(times).toFixed(0)} ms`);
      const what = `restart beside ${volumes} volumes:`;
      return [
        {
          name: 'restart/adopted',
          what: `${what} until all are adopted`,
          unit: 'ms',
          value: median(times),
          target: { of: 'value', limit: 2000 },
        },
        { name: 'restart/processor', what: `${what} processor time`, unit: 'ms', value: median(processor) },
        {
          name: 'restart/memory',
          what: `${what} resident memory`,
          unit: 'MiB',
          value: memoryOf(node.agent.pid).residentMiB,
        },
        {
          name: 'restart/requests',
          what: `${what} certificates asked for`,
          unit: 'calls',
          value: (calls[name] ?? 0) - (callsBefore[name] ?? 0),
          target: { of: 'value', limit: 0 },
        },
        {
          name: 'restart/written',
          what: `${what} written into volumes`,
          unit: 'bytes',
          value: changed.reduce((sum, [, { size }]) => sum + size, 0),
          target: { of: 'value', limit: 0 },
        },
      ];
    } finally {
      await node.close();
    }
  },
};

const adoptedWithinMs = 60_000;

async function untilAdopted({ get, startedAt }: AgentUnderBench): Promise<void> {
  while (!new RegExp(`^podcert_agent_volumes ${volumes}$`, 'm').test(await get('/metrics'))) {
    if (performance.now() - startedAt > adoptedWithinMs) {
      throw new Error(`${volumes} volumes were not adopted within ${adoptedWithinMs} ms`);
    }
    await sleep(5);
  }
}

interface FileMark {
  /** Changes with the file, its contents and whatever else is known about it. */
  readonly mark: string;
  readonly size: number;
}

function filesBelow(directory: string): ReadonlyMap<string, FileMark> {
  const paths = readdirSync(directory, { recursive: true, encoding: 'utf8' });
  return new Map(
    paths.map((path) => {
      const { ino, mtimeNs, ctimeNs, size } = statSync(join(directory, path), { bigint: true });
      return [path, { mark: `${ino} ${mtimeNs} ${ctimeNs}`, size: Number(size) }];
    }),
  );
}
