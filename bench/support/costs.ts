/**
 * What one pod costs the agent, from its start to its end: processor time beside that of the floor, calls to the API server, and
 * reads and writes. Counts are the same on every machine, and the two processor times suffer alike from a busy one.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Counts } from './api-server-calls.ts';
import type { Floor } from './floor.ts';
import { type BenchNode, endPod, podOf, startPod } from './node.ts';
import { type Transfers, transfersOf } from './processes.ts';

/** Of one pod, in the mean. */
export interface PodCost {
  readonly agentMs: number;
  readonly floorMs: number;
  readonly agent: Transfers;
  readonly floor: Transfers;
  /** Of the stand-in, the floor's included. */
  readonly calls: Counts;
}

/** For what comes after the calls: events, and what is put off. */
const settleMs = 1000;

/** Pods one after the other, in turns with the floor. @param prefix of the pods' names */
export async function costOfPods(node: BenchNode, floor: Floor, count: number, prefix: string): Promise<PodCost> {
  await sleep(settleMs);
  const before = await reading(node, floor);
  for (let index = 0; index < count; index += 1) {
    const pod = podOf(`${prefix}-${index}`);
    await startPod(node, pod);
    await node.kubelet.volumeHealth(pod);
    await floor.call('run', ['ECDSAP256']);
    await endPod(node, pod);
    await floor.call('clean');
  }
  await sleep(settleMs);
  const after = await reading(node, floor);
  const mean = (of: (reading: Reading) => number): number => (of(after) - of(before)) / count;
  const transfers = (whose: 'agent' | 'floor'): Transfers => ({
    bytesWritten: mean((each) => each[whose].bytesWritten),
    reads: mean((each) => each[whose].reads),
    writes: mean((each) => each[whose].writes),
  });
  return {
    agentMs: mean(({ agentMs }) => agentMs),
    floorMs: mean(({ floorMs }) => floorMs),
    agent: transfers('agent'),
    floor: transfers('floor'),
    calls: Object.fromEntries(Object.keys(after.calls).map((name) => [name, mean(({ calls }) => calls[name] ?? 0)])),
  };
}

/** All of it until now. */
type Reading = PodCost;

async function reading({ agent, apiServer }: BenchNode, floor: Floor): Promise<Reading> {
  return {
    agentMs: agent.processorMs(),
    floorMs: await floor.call('processorMs'),
    agent: transfersOf(agent.pid),
    floor: transfersOf(floor.pid),
    calls: await apiServer.call('counts'),
  };
}
