/**
 * What a pod costs: processor time of the agent for its start and its end, and the calls that its first certificate makes to
 * the API server. Pods come one after the other; the floor does its steps, and takes them back, as often.
 */
import { costOfPods, type PodCost } from './support/costs.ts';
import type { Bench, Figure } from './support/figures.ts';
import { startFloor } from './support/floor.ts';
import { startBenchNode } from './support/node.ts';

const podCount = 60;
const warmUps = 20;

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

function figures({ agentMs, floorMs, calls }: PodCost): readonly Figure[] {
  const sumOf = (accept: (name: string) => boolean): number =>
    Object.entries(calls)
      .filter(([name]) => accept(name))
      .reduce((sum, [, value]) => sum + value, 0);
  // What the floor asks for, one certificate for each pod, is in it.
  const known = /^bytes|^create podcertificaterequests$| events$| pods$/;
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
