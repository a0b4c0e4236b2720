/**
 * What a pod costs: processor time of the agent for its start and its end, and the calls that its first certificate makes to
 * the API server. Pods come one after the other; the floor does its steps, and takes them back, as often.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Counts } from './support/api-server-calls.ts';
import type { Bench, Figure } from './support/figures.ts';
import { type Floor, startFloor } from './support/floor.ts';
import { type BenchNode, endPod, podOf, startBenchNode, startPod } from './support/node.ts';

const podCount = 60;
const warmUps = 20;
/** For what comes after the calls: events, and what is put off. */
const settleMs = 1500;

export const bench: Bench = {
  what: 'processor time and API calls for one pod',
  async measure({ progress }) {
    const node = await startBenchNode();
    const floor = await startFloor(node);
    try {
      await costOfPods(node, floor, warmUps, 'warm-up');
      const cost = await costOfPods(node, floor, podCount, 'pod');
      progress(`${cost.agentMs.toFixed(1)} ms of processor time a pod, the floor ${cost.floorMs.toFixed(1)} ms`);
      return figures(cost);
    } finally {
      floor.close();
      await node.close();
    }
  },
};

/** Of one pod, in the mean. */
export interface PodCost {
  readonly agentMs: number;
  readonly floorMs: number;
  readonly calls: Counts;
}

/** @param prefix of the pods' names */
export async function costOfPods(node: BenchNode, floor: Floor, count: number, prefix: string): Promise<PodCost> {
  await sleep(settleMs);
  const before = {
    agent: node.agent.processorMs(),
    floor: await floor.call('processorMs'),
    calls: await node.apiServer.call('counts'),
  };
  for (let index = 0; index < count; index += 1) {
    const pod = podOf(`${prefix}-${index}`);
    await startPod(node, pod);
    await node.kubelet.volumeHealth(pod);
    await floor.call('run', ['ECDSAP256']);
    await endPod(node, pod);
    await floor.call('clean');
  }
  await sleep(settleMs);
  const calls = await node.apiServer.call('counts');
  const differences = Object.entries(calls).map(([name, after]) => [name, (after - (before.calls[name] ?? 0)) / count]);
  return {
    agentMs: (node.agent.processorMs() - before.agent) / count,
    floorMs: ((await floor.call('processorMs')) - before.floor) / count,
    calls: Object.fromEntries(differences),
  };
}

function figures({ agentMs, floorMs, calls }: PodCost): readonly Figure[] {
  const sumOf = (accept: (name: string) => boolean): number =>
    Object.entries(calls)
      .filter(([name]) => accept(name))
      .reduce((sum, [, value]) => sum + value, 0);
  const known = /^bytes|^create podcertificaterequests$| events$| pods$/;
  // The floor asks for certificates of the same stand-in, one for each pod.
  const created = sumOf((name) => name === 'create podcertificaterequests') - 1;
  const call = (name: string, what: string, value: number, limit: number): Figure => ({
    name: `first/${name}`,
    what: `API calls for a first certificate: ${what}`,
    unit: 'calls',
    value,
    target: { of: 'value', limit },
  });
  return [
    {
      name: 'first/processor',
      what: "processor time for a pod's start and end",
      unit: 'ms',
      value: agentMs,
      floor: floorMs,
      target: { of: 'value', limit: 20 },
      note: `Processor time and API calls are the mean of ${podCount} pods, one after the other, with publish, volume health, unpublish and event; that of processes which were started included.`,
    },
    call('create', 'creates', created, 1),
    call(
      'events',
      'events',
      sumOf((name) => name.endsWith(' events')),
      1,
    ),
    call(
      'pod',
      'reads of the pod',
      sumOf((name) => name.endsWith(' pods')),
      1,
    ),
    call(
      'other',
      'all others',
      sumOf((name) => !known.test(name)),
      0.1,
    ),
  ];
}
