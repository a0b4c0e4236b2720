/**
 * Sees to it that the programs of a pod are told of each change of their volume's files, in the ways that the volume asks for. What has
 * been done for which set of files is noted in the volume: after a restart of the agent nobody is told twice, and nothing that was due is left out.
 * The first set is nobody's news: the containers start with it.
 */
import { messageOf } from '../../volumes/base/errors.ts';
import type { OpenVolume } from '../../volumes/base/volume.ts';
import type { HttpReload } from '../../volumes/declaration/reload.ts';
import { AgentError } from '../base/errors.ts';
import { createQueue } from '../base/queue.ts';
import type { PodDirectory, PodIdentity } from '../lifecycle/ports.ts';
import type { Uptake, UptakeNotice, Way } from '../lifecycle/uptake.ts';
import type { Clock } from '../time/clock.ts';
import { addressOf } from './address.ts';
import { ask } from './ask.ts';
import { maxAttemptMs, maxAttemptsUnderWay, maxAttemptsWaiting, maxAttemptsWaitingOfPod } from './limits.ts';
import { type Attempt, createTeller, type Teller } from './teller.ts';

export interface UptakeOptions {
  /** The wall clock. */
  readonly clock: Clock;
  /** Draws from [0, 1). */
  readonly random: () => number;
  readonly pods: PodDirectory;
  /** Takes an error of the volume's: nobody is told then. */
  readonly onFault: (error: unknown, what: string) => void;
  /** How long one attempt may take. Default `maxAttemptMs`. */
  readonly attemptMs?: number;
  /** Whether a pod may be asked at its address. Default `addressOf`. */
  readonly addressOf?: typeof addressOf;
}

/** Does one attempt on a pod that is there. Never rejects. */
type Job = (identity: PodIdentity, signal: AbortSignal) => Promise<Attempt>;

export function createUptake(options: UptakeOptions): Uptake {
  const { clock, random, pods, onFault, attemptMs = maxAttemptMs, addressOf: address = addressOf } = options;
  const queue = createQueue({
    name: 'attempts to tell programs of new files',
    concurrency: maxAttemptsUnderWay,
    maxWaiting: maxAttemptsWaiting,
    maxWaitingPerOwner: maxAttemptsWaitingOfPod,
  });

  /** One attempt in its turn, with the pod as the API server knows it now: its address may be another's by tomorrow. */
  const attemptOn =
    ({ record: { pod } }: OpenVolume, job: Job) =>
    async (signal: AbortSignal, begin: () => void): Promise<Attempt> => {
      try {
        return await queue(
          async () => {
            const identity = await pods.identify(pod, { priority: 'refresh', signal }, true);
            begin();
            return identity.ended ? { type: 'gone' } : await job(identity, signal);
          },
          { priority: 'refresh', owner: pod.uid, signal },
        );
      } catch (error) {
        const isGone = error instanceof AgentError && error.code === 'PodGone';
        return isGone ? { type: 'gone' } : { type: 'failed', detail: messageOf(error) };
      }
    };

  const overHttp =
    (reload: HttpReload): Job =>
    async (identity, signal) => {
      const where = address(identity);
      switch (where.type) {
        case 'known':
          return await ask({ ip: where.ip, reload, timeoutMs: attemptMs, signal });
        case 'later':
          return { type: 'failed', detail: where.detail };
        case 'never':
          return { type: 'refused', detail: where.detail };
        default:
          return where satisfies never;
      }
    };

  return (volume, report) => {
    const { reload } = volume.record.declaration;
    if (reload === undefined) {
      return undefined;
    }

    const generation = (): string | undefined => {
      try {
        return volume.isInPlace() ? volume.generation() : undefined;
      } catch {
        // Nothing is told of files that cannot be looked at; whoever writes them says what is wrong.
        return undefined;
      }
    };

    const settle = (way: Way, told: string): void =>
      guarded(() => volume.saveUptake({ ...volume.uptake(), [way]: told }));

    const guarded = (work: () => void): void => {
      try {
        work();
      } catch (error) {
        onFault(error, `the programs that use ${volume.record.targetPath} could not be told of new files`);
      }
    };

    const teller = (way: Way, job: Job): Teller =>
      createTeller({
        clock,
        random,
        attempt: attemptOn(volume, job),
        generation,
        onSettled: (told) => settle(way, told),
        onDone: (attempts, detail) => report({ type: 'reloaded', way, attempts, detail }),
        onFailed: (attempts, detail, retryAt) => report(notReloaded(way, attempts, detail, retryAt)),
      });

    /** The file is written already, with the set itself. */
    const touched = (written: string): void => {
      report({ type: 'reloaded', way: 'touch', attempts: 1, detail: `${reload.touch} names the new files` });
      settle('touch', written);
    };

    const tellers = reload.http === undefined ? [] : [['http', teller('http', overHttp(reload.http))] as const];
    const ways: ReadonlyMap<Way, (generation: string) => void> = new Map([
      ...(reload.touch === undefined ? [] : [['touch', touched] as const]),
      ...tellers.map(([way, { due }]) => [way, due] as const),
    ]);

    const look = (): void => {
      const present = volume.generation();
      if (present === undefined) {
        return;
      }
      const done = volume.uptake() ?? {};
      const known = [...ways].filter(([way]) => done[way] !== undefined);
      if (known.length < ways.size) {
        volume.saveUptake({ ...Object.fromEntries([...ways.keys()].map((way) => [way, present])), ...done });
      }
      for (const [way, tell] of known) {
        if (done[way] !== present) {
          tell(present);
        }
      }
    };

    return {
      settled: () => guarded(look),
      stop() {
        for (const [, { stop }] of tellers) {
          stop();
        }
      },
    };
  };
}

function notReloaded(way: Way, attempts: number, detail: string, retryAt: number | undefined): UptakeNotice {
  return { type: 'notReloaded', way, attempts, detail, ...(retryAt === undefined ? {} : { retryAt }) };
}
