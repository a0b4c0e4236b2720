/**
 * A full node at once: 110 pods whose volumes are published together, in turns with the floor doing the same; and the same with
 * ten RSA4096 keys among them, which the other hundred should not notice.
 */
import type { KeyType } from '../volumes/declaration/key-types.ts';
import type { Bench, Figure } from './support/figures.ts';
import { startFloor } from './support/floor.ts';
import { type BenchNode, eachOf, endPod, podOf, startBenchNode } from './support/node.ts';
import { median, p99 } from './support/statistics.ts';

const podCount = 110;
const rsaCount = 10;
const rounds = 3;
const warmUps = 1;

export const bench: Bench = {
  what: `${podCount} pods at once, against the floor, and with ${rsaCount} RSA4096 keys among them`,
  async measure({ progress }) {
    const node = await startBenchNode();
    const floor = await startFloor(node);
    const plain = keyTypes(0);
    const bare: number[] = [];
    const whole: number[] = [];
    const without: number[] = [];
    const among: number[] = [];
    try {
      for (let round = 1 - warmUps; round <= rounds; round += 1) {
        const isWarm = round > 0;
        const floorMs = Math.max(...(await floor.call('run', plain)));
        await floor.call('clean');
        const all = await burst(node, `plain-${round}`, plain);
        if (isWarm) {
          bare.push(floorMs);
          whole.push(Math.max(...all));
          without.push(p99(all));
          const mixed = await burst(node, `mixed-${round}`, keyTypes(rsaCount));
          among.push(p99(mixed.slice(rsaCount)));
          progress(
            `${whole.at(-1)?.toFixed(0)} of ${floorMs.toFixed(0)} ms; beside RSA ${among.at(-1)?.toFixed(0)} ms`,
          );
        }
      }
      return figures({ bare, whole, without, among });
    } finally {
      floor.close();
      await node.close();
    }
  },
};

interface Samples {
  readonly bare: readonly number[];
  readonly whole: readonly number[];
  readonly without: readonly number[];
  readonly among: readonly number[];
}

function figures({ bare, whole, without, among }: Samples): readonly Figure[] {
  const throughput = (ms: readonly number[]): number => (1000 * podCount) / median(ms);
  return [
    {
      name: 'burst/throughput',
      what: `${podCount} pods at once, ECDSAP256, until the last is published`,
      unit: 'pods/s',
      value: throughput(whole),
      floor: throughput(bare),
      target: { of: 'ratio', limit: 1.5 },
    },
    {
      name: 'burst/beside-rsa',
      what: `p99 of ${podCount - rsaCount} pods with ${rsaCount} RSA4096 among them`,
      unit: 'ms',
      value: median(among),
      floor: median(without),
      target: { of: 'ratio', limit: 1.5 },
      note: `The floor of the pods beside RSA is the run of ${podCount} without it. Each of these is the median of ${rounds} rounds.`,
    },
  ];
}

/** The RSA keys come first, which is the worst for the others. */
function keyTypes(rsa: number): readonly KeyType[] {
  return Array.from({ length: podCount }, (_, index) => (index < rsa ? 'RSA4096' : 'ECDSAP256'));
}

/** Publishes volumes together. @returns how long each call took, milliseconds, in the order of the types */
async function burst(node: BenchNode, name: string, types: readonly KeyType[]): Promise<readonly number[]> {
  const pods = types.map((keyType, index) => podOf(`${name}-${index}`, { keyType }));
  await node.apiServer.call('announce', pods);
  const times = await Promise.all(pods.map((pod) => node.kubelet.publish(pod)));
  await eachOf(pods, (pod) => endPod(node, pod));
  return times;
}
