/**
 * What a container runtime gives a pod, for programs of tests: control groups below the place where the kubelet keeps those of pods, and a network of
 * its own with an address that the node reaches and that is not the node's.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { until } from './bounded.ts';
import { findProgram } from './programs.ts';

/** Who has these as long as it lives: a test's context. */
export interface Owner {
  after(remove: () => void | Promise<void>): void;
}

/** Linux' second version has one tree of groups, the first one a tree for each controller. */
const tree = ['/sys/fs/cgroup/pids', '/sys/fs/cgroup'].find((path) => existsSync(join(path, 'cgroup.procs')));

/** Why this machine cannot give a pod these; false when it can. */
export function surroundingsSkip(): string | false {
  if (process.getuid?.() !== 0 || findProgram('ip') === undefined || tree === undefined) {
    return 'needs root, ip (iproute2) and a writable tree of control groups';
  }
  const probe = `probe-${process.pid}`;
  const made = spawnSync('ip', ['netns', 'add', probe]).status === 0;
  if (made) {
    execFileSync('ip', ['netns', 'delete', probe]);
  }
  return made ? false : 'no network namespace can be made here';
}

/** @returns makes the group of a pod's container. Whoever writes its process ID into the file that is returned joins it */
export function makePodGroups(owner: Owner): (podUID: string) => string {
  const made: string[] = [];
  const make = (directory: string): string => {
    mkdirSync(directory);
    made.push(directory);
    return directory;
  };
  owner.after(async () => {
    for (const directory of made.reverse()) {
      // A group can be removed once the kernel has buried the last of its processes.
      await until(
        () => readFileSync(join(directory, 'cgroup.procs'), 'utf8') === '',
        `the processes of ${directory} to end`,
      );
      rmdirSync(directory);
    }
  });
  const root = make(join(make(join(tree ?? '', `test-${process.pid}`)), 'kubepods'));
  return (podUID) => join(make(join(make(join(root, `pod${podUID}`)), 'container')), 'cgroup.procs');
}

/**
 * The command as a process of a control group. It joins first of all, so that whatever is kept for it counts there.
 * @param procs `cgroup.procs` of the group
 */
export function inGroup(procs: string, command: readonly string[]): readonly string[] {
  return ['sh', '-c', 'echo $$ > "$0" && exec "$@"', procs, ...command];
}

export interface PodNetwork {
  /** The pod's address. */
  readonly ip: string;
  /** What comes before a command that is to run there. */
  readonly prefix: readonly string[];
}

export function makePodNetwork(owner: Owner): PodNetwork {
  const name = `test-${process.pid}`;
  const link = `t${process.pid}`;
  const network = `10.213.${process.pid % 256}`;
  const ip = (...values: string[]): void => void execFileSync('ip', values);
  ip('netns', 'add', name);
  // The link goes with the namespace that its other end is in.
  owner.after(() => ip('netns', 'delete', name));
  ip('link', 'add', link, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', name);
  ip('addr', 'add', `${network}.1/30`, 'dev', link);
  ip('link', 'set', link, 'up');
  ip('-n', name, 'addr', 'add', `${network}.2/30`, 'dev', 'eth0');
  ip('-n', name, 'link', 'set', 'eth0', 'up');
  ip('-n', name, 'link', 'set', 'lo', 'up');
  return { ip: `${network}.2`, prefix: ['ip', 'netns', 'exec', name] };
}
