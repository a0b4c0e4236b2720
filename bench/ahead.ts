/**
 * The publish call of an agent that issues ahead (`--issue-ahead`): the pod is bound to the node some time before its kubelet publishes
 * the volume, for which a kubelet has directories to make and other volumes to look after.
 */
import { pairs } from './publish.ts';
import type { Bench } from './support/figures.ts';
import { startFloor } from './support/floor.ts';
import { startBenchNode } from './support/node.ts';
import { median, p99 } from './support/statistics.ts';

const rounds = 60;
const warmUps = 15;
/** Seen on a node: a volume is set up about so long after its pod was bound. */
const leadMs = 150;

export const bench: Bench = {
  what: 'publish call to files where certificates are issued ahead',
  async measure({ progress }) {
    const node = await startBenchNode({ flags: ['--issue-ahead'] });
    const floor = await startFloor(node);
    try {
      await pairs(node, floor, 'ECDSAP256', warmUps, 'warm-up', leadMs);
      const samples = await pairs(node, floor, 'ECDSAP256', rounds, 'pod', leadMs);
      progress(`${median(samples.agent).toFixed(1)} ms of ${median(samples.floor).toFixed(1)} ms`);
      const note = `Issued ahead: ${rounds} pods that were bound to the node ${leadMs} ms before their publish call.`;
      const figure = (share: string, of: typeof median) => ({
        name: `ahead/ECDSAP256/${share}`,
        what: `publish call to files, issued ahead, ECDSAP256, ${share}`,
        unit: 'ms' as const,
        value: of(samples.agent),
        floor: of(samples.floor),
        note,
      });
      return [figure('p50', median), figure('p99', p99)];
    } finally {
      floor.close();
      await node.close();
    }
  },
};
