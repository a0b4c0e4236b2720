/**
 * What an agent takes that has little to do: resident memory without volumes, with as many as a node has pods by default, and with a
 * thousand; and processor time at rest, with what the kubelet asks about each volume.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Bench, Figure } from './support/figures.ts';
import { podNumber, startPods } from './support/many.ts';
import { type BenchNode, startBenchNode } from './support/node.ts';
import { memoryOf } from './support/processes.ts';

/** A kubelet's default of most pods. */
const usualPods = 110;
const manyPods = 1000;
const targetsMiB: Readonly<Record<number, number>> = { 0: 85, [usualPods]: 95, [manyPods]: 140 };
/** After a start or a burst, until what is late is done and memory is given back. */
const settlingMs = 8000;
/** The kubelet asks about each volume once a minute. A minute of it goes by before what it costs is taken: V8 compiles what a start has left. */
const restMs = 60_000;

export const bench: Bench = {
  what: `resident memory with 0, ${usualPods} and ${manyPods} volumes, and processor time at rest`,
  async measure({ progress }) {
    const node = await startBenchNode();
    try {
      const figures: Figure[] = [await memoryWith(node, 0)];
      progress(`starting ${usualPods} pods`);
      await startPods(node, 0, usualPods);
      figures.push(await memoryWith(node, usualPods));
      progress('two minutes of rest');
      await askOfHealth(node);
      figures.push(await processorAtRest(node));
      progress(`starting ${manyPods} pods`);
      await startPods(node, usualPods, manyPods);
      figures.push(await memoryWith(node, manyPods));
      return figures;
    } finally {
      await node.close();
    }
  },
};

async function memoryWith(node: BenchNode, volumes: number): Promise<Figure> {
  await sleep(settlingMs);
  const { residentMiB } = memoryOf(node.agent.pid);
  return {
    name: `rest/memory/${volumes}`,
    what: `resident memory with ${volumes} volumes`,
    unit: 'MiB',
    value: residentMiB,
    target: { of: 'value', limit: targetsMiB[volumes] ?? 0 },
    note: 'Memory is what Linux counts as resident, of the agent and its helper process, pages of the Node.js program included.',
  };
}

async function processorAtRest(node: BenchNode): Promise<Figure> {
  const before = node.agent.processorMs();
  const startedAt = performance.now();
  await askOfHealth(node);
  const tookMs = performance.now() - startedAt;
  return {
    name: 'rest/processor',
    what: `processor time at rest with ${usualPods} volumes, of one core`,
    unit: '%',
    value: (100 * (node.agent.processorMs() - before)) / tookMs,
    target: { of: 'value', limit: 0.3 },
    note: 'At rest the kubelet asks about the health of each volume once a minute, as from Kubernetes 1.37 on; the second minute of it.',
  };
}

async function askOfHealth(node: BenchNode): Promise<void> {
  for (let index = 0; index < usualPods; index += 1) {
    await node.kubelet.volumeHealth(podNumber(index));
    await sleep(restMs / usualPods);
  }
}
