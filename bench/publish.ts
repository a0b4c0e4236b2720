/**
 * From the kubelet's publish call to the files, for each type of key, one pod after the other; in turns with the floor, so that
 * whatever else the machine does falls on both.
 */
import { type KeyType, keyTypes } from '../volumes/declaration/key-types.ts';
import type { Bench, BenchTools, Figure } from './support/figures.ts';
import { type Floor, startFloor } from './support/floor.ts';
import { type BenchNode, endPod, podOf, startBenchNode, startPod } from './support/node.ts';
import { median, p99 } from './support/statistics.ts';

/** An RSA key takes from a tenth of a second to seconds. */
const rounds: Readonly<Record<KeyType, number>> = {
  ...{ ECDSAP256: 100, ECDSAP384: 100, ECDSAP521: 100, ED25519: 100 },
  ...{ RSA3072: 40, RSA4096: 24 },
};
const warmUps = 15;

export const bench: Bench = {
  what: 'publish call to files, for each key type, against the floor',
  async measure(tools) {
    const node = await startBenchNode();
    const floor = await startFloor(node);
    try {
      await pairs(node, floor, 'ECDSAP256', warmUps, 'warm-up');
      const figures: Figure[] = [];
      for (const keyType of keyTypes) {
        figures.push(...(await figuresOf(node, floor, keyType, tools)));
      }
      return figures;
    } finally {
      floor.close();
      await node.close();
    }
  },
};

async function figuresOf(
  node: BenchNode,
  floor: Floor,
  keyType: KeyType,
  tools: BenchTools,
): Promise<readonly Figure[]> {
  const samples = await pairs(node, floor, keyType, rounds[keyType], 'pod');
  const figure = (share: 'p50' | 'p99', of: (samples: readonly number[]) => number, limit: number): Figure => ({
    name: `publish/${keyType}/${share}`,
    what: `publish call to files, ${keyType}, ${share}`,
    unit: 'ms',
    value: of(samples.agent),
    floor: of(samples.floor),
    target: { of: 'ratio', limit },
    ...(keyType.startsWith('RSA') ? { note: rsaNote } : {}),
  });
  const figures = [figure('p50', median, 1.3), figure('p99', p99, 2)];
  tools.progress(
    figures
      .map(({ what, value, floor: bare = 0 }) => `${what}: ${value.toFixed(1)} of ${bare.toFixed(1)} ms`)
      .join('; '),
  );
  return figures;
}

const rsaNote = `The time of an RSA key is chance: p50 and p99 of ${rounds.RSA3072} and ${rounds.RSA4096} keys on each side differ between runs by more than the targets allow for.`;

interface Pairs {
  readonly agent: readonly number[];
  readonly floor: readonly number[];
}

/**
 * One pod and one run of the floor, again and again.
 * @param prefix of the pods' names @param leadMs from when the pod is bound to the node to its publish call
 * @returns milliseconds of each
 */
export async function pairs(
  node: BenchNode,
  floor: Floor,
  keyType: KeyType,
  count: number,
  prefix: string,
  leadMs = 0,
): Promise<Pairs> {
  const samples: { readonly agent: number[]; readonly floor: number[] } = { agent: [], floor: [] };
  for (let index = 0; index < count; index += 1) {
    const pod = podOf(`${prefix}-${keyType.toLowerCase()}-${index}`, { keyType });
    samples.floor.push(...(await floor.call('run', [keyType])));
    samples.agent.push(await startPod(node, pod, leadMs));
    await floor.call('clean');
    await endPod(node, pod);
  }
  return samples;
}
