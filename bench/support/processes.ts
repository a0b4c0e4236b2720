/**
 * What Linux says about a process: processor time with that of the children it has waited for, resident memory, open files.
 *
 * proc(5)
 */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

const ticksPerSecond = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));

/** Processor time, of its ended children too, and of those that live, milliseconds. The clock ticks every 10 ms. */
export function processorMs(pid: number): number {
  const children = childrenOf(pid);
  return ownMs(pid) + children.reduce((sum, child) => sum + processorMs(child), 0);
}

function ownMs(pid: number): number {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name before it may hold anything, a closing bracket is its end.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
    return (1000 * ticks) / ticksPerSecond;
  } catch {
    // It has ended: whoever waited for it has its time.
    return 0;
  }
}

/** Processes that it has started and that live. */
function childrenOf(pid: number): readonly number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).flatMap((task) =>
      readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').split(' ').filter(Boolean).map(Number),
    );
  } catch {
    return [];
  }
}

export interface Memory {
  /** Resident, MiB, now and at most so far; of the process and the children that live. */
  readonly residentMiB: number;
  readonly peakMiB: number;
}

export function memoryOf(pid: number): Memory {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const value = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]) / 1024;
  const children = childrenOf(pid).map(memoryOf);
  return {
    residentMiB: value('VmRSS') + children.reduce((sum, { residentMiB }) => sum + residentMiB, 0),
    peakMiB: value('VmHWM') + children.reduce((sum, { peakMiB }) => sum + peakMiB, 0),
  };
}

/** What it has read and written so far, files and sockets alike. */
export interface Transfers {
  readonly bytesWritten: number;
  readonly reads: number;
  readonly writes: number;
}

export function transfersOf(pid: number): Transfers {
  const text = readFileSync(`/proc/${pid}/io`, 'utf8');
  const value = (name: string): number => Number(new RegExp(`^${name}: (\\d+)$`, 'm').exec(text)?.[1]);
  return { bytesWritten: value('wchar'), reads: value('syscr'), writes: value('syscw') };
}
