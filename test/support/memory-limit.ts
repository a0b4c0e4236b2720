/**
 * A group of processes whose memory has a limit that the kernel keeps, as a container's has: what its processes hold, and the files
 * that they write into a tmpfs, count together, and whoever goes over the limit is killed.
 *
 * https://www.kernel.org/doc/html/latest/admin-guide/cgroup-v2.html#memory
 */
import fs from 'node:fs';
import path from 'node:path';
import { until } from './bounded.ts';

interface Kind {
  readonly directory: string;
  readonly limit: string;
  readonly peak: string;
  readonly present: string;
}

const kinds: readonly Kind[] = [
  {
    directory: '/sys/fs/cgroup/memory',
    limit: 'memory.limit_in_bytes',
    peak: 'memory.max_usage_in_bytes',
    present: 'memory.usage_in_bytes',
  },
  { directory: '/sys/fs/cgroup', limit: 'memory.max', peak: 'memory.peak', present: 'memory.current' },
];

export interface MemoryLimit {
  /** Whoever writes its process id into this file joins. */
  readonly procs: string;
  /** Most bytes that were held at once, so far. */
  peak(): number;
  present(): number;
  /** Ends the group, once its processes have ended. */
  remove(): Promise<void>;
}

/** The reason why this run can set no limit, or false when it can. */
export const memoryLimitSkip: string | false = makeGroup('probe') === undefined ? 'needs a memory cgroup' : false;

export function limitMemory(bytes: number): MemoryLimit {
  const group = makeGroup('test');
  if (group === undefined) {
    throw new Error('no memory cgroup can be made here');
  }
  const { kind, directory } = group;
  fs.writeFileSync(path.join(directory, kind.limit), String(bytes));
  const read = (name: string): number => Number(fs.readFileSync(path.join(directory, name), 'utf8'));
  return {
    procs: path.join(directory, 'cgroup.procs'),
    peak: () => read(kind.peak),
    present: () => read(kind.present),
    remove: () => removeGroup(directory),
  };
}

/** A group can be removed once the last of its processes is gone, of which the kernel tells a moment later. */
async function removeGroup(directory: string): Promise<void> {
  await until(
    () => fs.readFileSync(path.join(directory, 'cgroup.procs'), 'utf8').trim() === '',
    () => `the processes of ${directory} to end`,
  );
  fs.rmdirSync(directory);
}

function makeGroup(name: string): { readonly kind: Kind; readonly directory: string } | undefined {
  for (const kind of kinds) {
    const directory = path.join(kind.directory, `pod-certificate-agent-${name}-${process.pid}`);
    try {
      fs.mkdirSync(directory);
    } catch {
      continue;
    }
    if (fs.existsSync(path.join(directory, kind.limit))) {
      if (name === 'probe') {
        fs.rmdirSync(directory);
      }
      return { kind, directory };
    }
    fs.rmdirSync(directory);
  }
  return undefined;
}
