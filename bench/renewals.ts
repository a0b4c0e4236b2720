/**
 * Resident memory while certificates are renewed again and again: flat, however long. `--renewals` says how often; what is
 * compared is the median of the second quarter with that of the last.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Bench } from './support/figures.ts';
import { startPods } from './support/many.ts';
import { startBenchNode } from './support/node.ts';
import { memoryOf } from './support/processes.ts';
import { median } from './support/statistics.ts';

const volumes = 100;
/** Each certificate is renewed every few seconds. */
const signing = { holdsRenewals: false, lifetimeSeconds: 30, refreshAfterSeconds: 1 };
const sampleMs = 500;
/** What garbage collection leaves undecided. */
const wavesMiB = 4;

export const bench: Bench = {
  what: 'resident memory over thousands of renewals [--renewals N]',
  async measure({ progress, renewals }) {
    const node = await startBenchNode();
    const count = async (): Promise<number> =>
      (await node.apiServer.call('counts'))['create podcertificaterequests'] ?? 0;
    try {
      await node.apiServer.call('signing', signing);
      await startPods(node, 0, volumes);
      const begin = await count();
      const samples: { readonly done: number; readonly residentMiB: number }[] = [];
      for (let done = 0; done < renewals; done = (await count()) - begin) {
        samples.push({ done, residentMiB: memoryOf(node.agent.pid).residentMiB });
        if (samples.length % 20 === 0) {
          progress(`${done} of ${renewals} renewals, ${samples.at(-1)?.residentMiB.toFixed(1)} MiB`);
        }
        await sleep(sampleMs);
      }
      const between = (from: number, until: number): number =>
        median(
          samples
            .filter(({ done }) => done >= from * renewals && done < until * renewals)
            .map(({ residentMiB }) => residentMiB),
        );
      const [early, late] = [between(0.25, 0.5), between(0.75, 1)];
      return [
        {
          name: 'renewals/growth',
          what: `growth of resident memory over ${renewals} renewals`,
          unit: 'MiB',
          value: Math.max(0, late - early),
          target: { of: 'value', limit: wavesMiB },
          note: `Resident memory in the second quarter of the renewals: ${early.toFixed(1)} MiB, in the last: ${late.toFixed(1)} MiB.`,
        },
      ];
    } finally {
      await node.close();
    }
  },
};
