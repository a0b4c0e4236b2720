/**
 * Sends a signal to processes of one pod, by their name. Found through `/proc`, which needs the node's processes in sight (`hostPID`) and, for those of other users, the
 * right to signal them (CAP_KILL). Only files that the kernel answers from its own memory are read: others (`cmdline`, `environ`) can be
 * made to hang by the process that they belong to.
 *
 * A process ID may be another process' by the time that it is used. Node.js has no handle that would rule that out (pidfd), so group and starting time are compared
 * once more just before the signal, with nothing in between but the call itself.
 *
 * https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html
 */
import { readFileSync } from 'node:fs';
import { opendir } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { SignalReload } from '../../volumes/declaration/reload.ts';
import { codeOf } from './ask.ts';
import { isInPod, isInSomePod, type PodGroups, podGroupsIn } from './cgroup.ts';
import { maxProcessesSeen, maxProcessesTold } from './limits.ts';
import type { Attempt } from './teller.ts';

export interface ProcessOptions {
  /** Where the kernel's view of processes is mounted. Default `/proc`. */
  readonly proc?: string;
  /** Default `process.kill`. */
  readonly kill?: (pid: number, signal: SignalReload['signal']) => void;
  /** Processes that are looked through at most. Default `maxProcessesSeen`. */
  readonly mostSeen?: number;
}

/** Never rejects. */
export type Signaller = (podUID: string, reload: SignalReload, signal: AbortSignal) => Promise<Attempt>;

interface Found {
  readonly pid: number;
  readonly parent: number;
  /** Since the start of the node, in the kernel's ticks: with the ID it names a process for good. */
  readonly startTime: string;
}

/** Processes looked at in one turn of the event loop. */
const perTurn = 64;

export function createSignaller({
  proc = '/proc',
  kill = (pid, name) => void process.kill(pid, name),
  mostSeen = maxProcessesSeen,
}: ProcessOptions = {}): Signaller {
  const read = (pid: number | 'self', file: string): string | undefined => {
    try {
      return readFileSync(join(proc, String(pid), file), 'latin1');
    } catch {
      // It has ended.
      return undefined;
    }
  };

  const look = (pid: number, podUID: string, name: string, groups: PodGroups): Found | undefined =>
    isInPod(read(pid, 'cgroup') ?? '', groups, podUID) ? foundIn(pid, read(pid, 'stat') ?? '', name) : undefined;

  /** Whose parent is among them is left to that one: a server tells its own workers. */
  const search = async (
    podUID: string,
    name: string,
    groups: PodGroups,
    signal: AbortSignal,
  ): Promise<readonly Found[]> => {
    const found = new Map<number, Found>();
    let seen = 0;
    for await (const entry of await opendir(proc, { bufferSize: 256 })) {
      const pid = pidOf(entry.name);
      if (pid === undefined) {
        continue;
      }
      seen += 1;
      if (seen > mostSeen) {
        throw new RangeError(`more than ${mostSeen} processes run on the node`);
      }
      const one = look(pid, podUID, name, groups);
      if (one !== undefined) {
        found.set(pid, one);
      }
      if (seen % perTurn === 0) {
        await nextTurn();
        signal.throwIfAborted();
      }
    }
    return [...found.values()].filter(({ parent }) => !found.has(parent));
  };

  /** @returns the error's code where that failed */
  const tell = (one: Found, podUID: string, reload: SignalReload, groups: PodGroups): 'told' | 'ended' | string => {
    const now = look(one.pid, podUID, reload.process, groups);
    if (now?.startTime !== one.startTime) {
      return 'ended';
    }
    try {
      kill(one.pid, reload.signal);
      return 'told';
    } catch (error) {
      const code = codeOf(error);
      return code === 'ESRCH' ? 'ended' : code;
    }
  };

  return async (podUID, reload, signal) => {
    const groups = podGroupsIn(read('self', 'cgroup') ?? '');
    if (groups === undefined) {
      return { type: 'refused', detail: noGroups };
    }
    // Whoever sees the node's processes sees its first one, which is no pod's.
    const first = read(1, 'cgroup');
    if (first === undefined || isInSomePod(first, groups)) {
      return {
        type: 'refused',
        detail: "the agent does not see the node's processes (hostPID); ask the cluster operator",
      };
    }
    try {
      const found = await search(podUID, reload.process, groups, signal);
      if (found.length > maxProcessesTold) {
        const detail = `${found.length} processes named ${reload.process} run beside each other in the pod; at most ${maxProcessesTold} are signalled`;
        return { type: 'refused', detail };
      }
      const results = found.map((one) => tell(one, podUID, reload, groups));
      const told = results.filter((result) => result === 'told').length;
      const failure = results.find((result) => result !== 'told' && result !== 'ended');
      if (failure !== undefined) {
        return { type: 'failed', detail: `${reload.signal} to a process named ${reload.process} failed: ${failure}` };
      }
      return told === 0
        ? { type: 'failed', detail: `no process named ${reload.process} runs in the pod` }
        : {
            type: 'done',
            detail: `${reload.signal} to ${told === 1 ? 'one process' : `${told} processes`} named ${reload.process}`,
          };
    } catch (error) {
      return {
        type: 'failed',
        detail: error instanceof RangeError ? error.message : `looking for it failed: ${codeOf(error)}`,
      };
    }
  };
}

const noGroups =
  'by its own control group the agent runs in no pod, or in a cgroup namespace of its own; ask the cluster operator';

/** Never the agent, the node's first process, or a group of processes (0 and below). */
function pidOf(name: string): number | undefined {
  const pid = /^[1-9]\d{0,9}$/.test(name) ? Number(name) : undefined;
  return pid === undefined || pid === 1 || pid === process.pid ? undefined : pid;
}

/**
 * A process of this name, unless it has ended and only waits for its parent. The name stands in brackets and may hold any character, brackets too; what comes after the
 * last bracket is fields of the kernel's own.
 */
function foundIn(pid: number, stat: string, name: string): Found | undefined {
  const begin = stat.indexOf('(');
  const end = stat.lastIndexOf(')');
  const fields = stat.slice(end + 2).split(' ');
  const [state = 'Z', parent = ''] = fields;
  const startTime = fields[19];
  const isMeant = stat.slice(0, begin) === `${pid} ` && stat.slice(begin + 1, end) === name;
  return isMeant && state !== 'Z' && state !== 'X' && startTime !== undefined
    ? { pid, parent: Number(parent), startTime }
    : undefined;
}
