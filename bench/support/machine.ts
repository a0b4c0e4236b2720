/** The machine and the moment: figures mean little without. */
import { execFileSync } from 'node:child_process';
import { availableParallelism, cpus, loadavg, release, totalmem } from 'node:os';
import { join } from 'node:path';

export interface Machine {
  readonly processor: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly kernel: string;
  readonly node: string;
  /** Runnable processes in the last minute, before the bench began: on a quiet machine well below the cores. */
  readonly load: number;
  readonly revision: string;
  readonly at: string;
}

export function describeMachine(): Machine {
  return {
    processor: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    node: process.version,
    load: loadavg()[0] ?? Number.NaN,
    revision: revision(),
    at: new Date().toISOString().slice(0, 16).replace('T', ' '),
  };
}

function revision(): string {
  try {
    return execFileSync('git', ['describe', '--always', '--dirty'], {
      cwd: join(import.meta.dirname, '../..'),
      encoding: 'utf8',
    }).trim();
  } catch {
    return 'unknown';
  }
}

export function machineText(machine: Machine): string {
  const { processor, cores, memoryGiB, kernel, node, load, revision: commit, at } = machine;
  return `${processor}, ${cores} cores, ${memoryGiB} GiB, Linux ${kernel}, Node.js ${node}; load before the run ${load.toFixed(1)}; commit ${commit}, ${at} UTC`;
}
