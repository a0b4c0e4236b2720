/** What goes wrong with the API server, and on the way to it. */
import { setTimeout as delay } from 'node:timers/promises';
import type { KubernetesVersion } from '../../../sandbox/base/cluster-rules.ts';
import type { Fault as OrderedFault } from '../../../sandbox/serving/faults.ts';
import type { Fault } from './endure.ts';
import { agentUser, type Stage } from './stage.ts';

type Order = OrderedFault extends infer Each ? (Each extends OrderedFault ? Omit<Each, 'match'> : never) : never;

const minuteMs = 60_000;
/** Watches come back after half a minute at most, and pauses of credentials end as soon as the server is heard. */
const heardAgainMs = 30_000;

/** Calls of the agent meet a fault for so long. */
function meeting(title: string, order: Order, lastsMs: number, recoversWithinMs = heardAgainMs): Fault {
  return {
    ...{ title, lastsMs, recoversWithinMs },
    begin: ({ node }) => node.cluster.apiServer.faults.add({ ...order, match: { user: agentUser } }),
  };
}

/** Something that is done again and again. */
function again(title: string, act: (stage: Stage) => unknown, everyMs: number, lastsMs: number): Fault {
  return {
    ...{ title, lastsMs, recoversWithinMs: heardAgainMs },
    begin(stage) {
      const over = new AbortController();
      const { signal } = over;
      const go = async (): Promise<void> => {
        while (!signal.aborted) {
          await act(stage);
          await delay(everyMs, undefined, { signal }).catch(() => undefined);
        }
      };
      const ended = go();
      return async () => {
        over.abort();
        await ended;
      };
    },
  };
}

/** It is not there for so long. */
function away(title: string, lastsMs: number): Fault {
  return {
    ...{ title, lastsMs, recoversWithinMs: heardAgainMs },
    async begin({ gate }) {
      await gate.shut();
      return () => gate.open();
    },
  };
}

function clockOff(title: string, offsetMs: number, lastsMs: number): Fault {
  return {
    ...{ title, lastsMs, recoversWithinMs: heardAgainMs },
    begin({ node }) {
      const { faults } = node.cluster.apiServer;
      faults.setClockOffset(offsetMs);
      return () => faults.setClockOffset(0);
    },
  };
}

/** @param lastsMs long enough for renewals to be due meanwhile */
export function serverFaults(lastsMs: number): readonly Fault[] {
  const errors = [429, 500, 503].flatMap((code) => [
    meeting(`the API server answers ${code}`, { kind: 'error', code }, lastsMs),
    meeting(
      `the API server answers ${code} and asks for five seconds`,
      { kind: 'error', code, retryAfterSeconds: 5 },
      lastsMs,
    ),
  ]);
  return [
    away('the API server is down', lastsMs),
    again(
      'the API server restarts again and again',
      async ({ gate }) => {
        await gate.shut();
        await delay(1_000);
        await gate.open();
      },
      3_000,
      lastsMs,
    ),
    again('connections are cut off again and again', ({ gate }) => gate.cut(), 500, lastsMs),
    ...errors,
    meeting('the API server asks for a day', { kind: 'error', code: 429, retryAfterSeconds: 86_400 }, 5_000, minuteMs),
    meeting('the API server is slow', { kind: 'latency', delayMs: 3_000 }, lastsMs),
    meeting('every reply is lost', { kind: 'loseReply' }, lastsMs),
    again(
      'the history of the API server is compacted again and again, and connections are cut off',
      ({ node, gate }) => {
        node.cluster.apiServer.faults.compact();
        gate.cut();
      },
      1_000,
      lastsMs,
    ),
    {
      ...{ title: 'a replica that has fallen behind answers after each break of a connection' },
      ...{ lastsMs: 8_000, recoversWithinMs: heardAgainMs },
      begin(stage) {
        const { faults, store } = stage.node.cluster.apiServer;
        const recover = faults.add({ kind: 'stale', revision: store.revision(), match: { user: agentUser } });
        const cutting = setInterval(() => {
          faults.compact();
          stage.gate.cut();
        }, 2_000);
        return () => {
          clearInterval(cutting);
          recover();
        };
      },
    },
    clockOff('the clock of the API server is ten minutes ahead', 10 * minuteMs, lastsMs),
    clockOff('the clock of the API server is ten minutes behind', -10 * minuteMs, lastsMs),
  ];
}

/** @param lifetimeMs of certificates */
export function awayUntilExpiry(lifetimeMs: number): Fault {
  return away('the API server is down until after certificates have expired', lifetimeMs * 1.2);
}

/** What is found out by silence only, within a minute or two. */
export const silentFaults: readonly Fault[] = [
  {
    ...{ title: 'connections are half open', lastsMs: 10_000, recoversWithinMs: 100_000 },
    begin({ gate }) {
      gate.freeze();
      return () => gate.thaw();
    },
  },
  {
    ...{ title: 'watches are taken and never answered', lastsMs: 40_000, recoversWithinMs: 100_000 },
    begin({ gate, node }) {
      const match = { user: agentUser, verb: 'watch' };
      const end = node.cluster.apiServer.faults.add({ kind: 'hang', match });
      gate.cut();
      return end;
    },
  },
];

/** A cluster becomes one version after the other. */
export function becoming(...versions: readonly KubernetesVersion[]): readonly Fault[] {
  return versions.map((version) => ({
    ...{ title: `the API server becomes ${version}`, lastsMs: 10_000, recoversWithinMs: heardAgainMs },
    async begin({ gate, node }) {
      await gate.shut();
      node.cluster.apiServer.faults.setKubernetes(version);
      await gate.open();
      return () => undefined;
    },
  }));
}
