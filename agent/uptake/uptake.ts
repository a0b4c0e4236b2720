/**
 * Sees to it that the programs of a pod are told of each change of their volume's files, in the ways that the volume asks for, and looks whether
 * they serve what is in them. What has
 * been done for which set of files is noted in the volume: after a restart of the agent nobody is told twice, and nothing that was due is left out.
 * The first set is nobody's news: the containers start with it.
 */
import { messageOf } from '../../volumes/base/errors.ts';
import type { OpenVolume } from '../../volumes/base/volume.ts';
import type { Probe } from '../../volumes/declaration/probe.ts';
import type { HttpReload, SignalReload } from '../../volumes/declaration/reload.ts';
import { AgentError } from '../base/errors.ts';
import type { PodDirectory, PodIdentity } from '../lifecycle/ports.ts';
import type { Uptake, UptakeNotice, Way } from '../lifecycle/uptake.ts';
import type { Clock } from '../time/clock.ts';
import { addressOf } from './address.ts';
import { ask } from './ask.ts';
import type { Sight } from './handshake.ts';
import { createHandshakeThread } from './handshake-thread.ts';
import { maxAttemptMs } from './limits.ts';
import { createPodTurns, type PodTurns } from './pod-turns.ts';
import type { Signaller } from './processes.ts';
import { createServedWatch, type Finding, type ServedWatch } from './served.ts';
import { type Attempt, createTeller, type Teller } from './teller.ts';

export interface UptakeOptions {
  /** The wall clock. */
  readonly clock: Clock;
  /** Draws from [0, 1). */
  readonly random: () => number;
  readonly pods: PodDirectory;
  /** Takes an error of the volume's: nobody is told then. */
  readonly onFault: (error: unknown, what: string) => void;
  /** Sends signals to processes of pods; absent: nobody may have that done. */
  readonly signaller?: Signaller;
  /** How long one attempt may take. Default `maxAttemptMs`. */
  readonly attemptMs?: number;
  /** How long a pod's turn is. Default `quickMs`. */
  readonly turnMs?: number;
  /** Whether a pod may be asked at its address. Default `addressOf`. */
  readonly addressOf?: typeof addressOf;
}

/** Does something once with a pod that is there. Never rejects. */
type Job<Result> = (identity: PodIdentity, signal: AbortSignal) => Promise<Result>;

/** What becomes of a job that did not come to its pod. */
interface Excuses<Result> {
  readonly gone: Result;
  readonly failed: (detail: string) => Result;
}

const untold: Excuses<Attempt> = { gone: { type: 'gone' }, failed: (detail) => ({ type: 'failed', detail }) };
const unseen: Excuses<Finding> = { gone: { type: 'gone' }, failed: (detail) => ({ type: 'unknown', detail }) };

export function createUptake(options: UptakeOptions): Uptake {
  const { clock, random, pods, signaller, onFault, attemptMs = maxAttemptMs, addressOf: address = addressOf } = options;
  const turnMs = options.turnMs === undefined ? {} : { turnMs: options.turnMs };
  // Of their own: a program that is slow to show its certificate is no reason to be slow in telling others.
  const telling = createPodTurns({ name: 'attempts to tell programs of new files', ...turnMs });
  const looking = createPodTurns({ name: 'looks at what programs serve', ...turnMs });

  // One each: looks that come to nothing end no request that tells a program of its new files.
  const tellingThread = createHandshakeThread({ timeoutMs: attemptMs });
  const lookingThread = createHandshakeThread({ timeoutMs: attemptMs });

  /** One job in its turn, with the pod as the API server knows it now: its address may be another's by tomorrow. */
  const inTurn =
    <Result>(turns: PodTurns, { record: { pod } }: OpenVolume, job: Job<Result>, excuses: Excuses<Result>) =>
    async (signal: AbortSignal, begin: () => void): Promise<Result> => {
      try {
        return await turns(pod.uid, signal, async (ended, beginTurn) => {
          const identity = await pods.identify(pod, { priority: 'refresh', signal: ended }, true);
          begin();
          beginTurn();
          return identity.ended ? excuses.gone : await job(identity, ended);
        });
      } catch (error) {
        const isGone = error instanceof AgentError && error.code === 'PodGone';
        return isGone ? excuses.gone : excuses.failed(messageOf(error));
      }
    };

  const overHttp =
    (reload: HttpReload): Job<Attempt> =>
    async (identity, signal) => {
      const where = address(identity);
      switch (where.type) {
        case 'known': {
          const question = { ip: where.ip, reload };
          return await (reload.scheme === 'https'
            ? tellingThread.ask(question, signal)
            : ask({ ...question, timeoutMs: attemptMs, signal }));
        }
        case 'later':
          return { type: 'failed', detail: where.detail };
        case 'never':
          return { type: 'refused', detail: where.detail };
        default:
          return where satisfies never;
      }
    };

  const bySignal =
    (reload: SignalReload, send: Signaller): Job<Attempt> =>
    async ({ pod }, signal) =>
      await send(pod.uid, reload, signal);

  const overTls =
    (volume: OpenVolume, { port, serverName }: Probe): Job<Finding> =>
    async (identity, signal) => {
      const where = address(identity);
      if (where.type !== 'known') {
        return { type: where.type === 'never' ? 'refused' : 'unknown', detail: where.detail };
      }
      const target = { ip: where.ip, port, ...(serverName === undefined ? {} : { serverName }) };
      return compare(volume, await lookingThread.look(target, signal), port);
    };

  return (volume, report) => {
    const { reload, probe } = volume.record.declaration;
    if (reload === undefined && probe === undefined) {
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

    const settle = (step: Step, told: string): void =>
      guarded(() => volume.saveUptake({ ...volume.uptake(), [step]: told }));

    const guarded = (work: () => void): void => {
      try {
        work();
      } catch (error) {
        onFault(error, `the programs that use ${volume.record.targetPath} could not be told of new files`);
      }
    };

    const teller = (way: Way, job: Job<Attempt>): Teller =>
      createTeller({
        clock,
        random,
        attempt: inTurn(telling, volume, job, untold),
        generation,
        onSettled: (told) => settle(way, told),
        onDone: (attempts, detail) => report({ type: 'reloaded', way, attempts, detail }),
        onFailed: (attempts, detail, retryAt) => report(notReloaded(way, attempts, detail, retryAt)),
      });

    /** The file is written already, with the set itself. */
    const touched = (written: string): void => {
      report({ type: 'reloaded', way: 'touch', attempts: 1, detail: `${reload?.touch} names the new files` });
      settle('touch', written);
    };

    const watch: ServedWatch | undefined =
      probe &&
      createServedWatch({
        clock,
        random,
        look: inTurn(looking, volume, overTls(volume, probe), unseen),
        generation,
        onSettled: (seen) => settle('probe', seen),
        report,
      });

    const send = reload?.signal === undefined ? undefined : signaller && bySignal(reload.signal, signaller);
    const tellers = [
      ...(reload?.http === undefined ? [] : [['http', teller('http', overHttp(reload.http))] as const]),
      ...(reload?.signal === undefined ? [] : [['signal', teller('signal', send ?? switchedOff)] as const]),
    ];
    const steps: ReadonlyMap<Step, (generation: string) => void> = new Map([
      ...(reload?.touch === undefined ? [] : [['touch', touched] as const]),
      ...tellers.map(([way, { due }]) => [way, due] as const),
      ...(watch === undefined ? [] : [['probe', watch.due] as const]),
    ]);

    const review = (): void => {
      const present = volume.generation();
      if (present === undefined) {
        return;
      }
      const done = volume.uptake() ?? {};
      const known = [...steps].filter(([step]) => done[step] !== undefined);
      if (known.length < steps.size) {
        volume.saveUptake({ ...Object.fromEntries([...steps.keys()].map((step) => [step, present])), ...done });
        // At once, and not when the first certificate is renewed.
        if (reload?.signal !== undefined && done['signal'] === undefined && send === undefined) {
          report(notReloaded('signal', 0, signalsAreOff, undefined));
        }
      }
      for (const [step, carryOut] of known) {
        if (done[step] !== present) {
          carryOut(present);
        }
      }
    };

    return {
      settled: () => guarded(review),
      served: () => watch?.state(),
      stop() {
        for (const [, { stop }] of tellers) {
          stop();
        }
        watch?.stop();
      },
    };
  };
}

const signalsAreOff = "the cluster's operator has not switched signals to pods on (reload-signals)";
const switchedOff: Job<Attempt> = async () => ({ type: 'refused', detail: signalsAreOff });

/** What is noted as done: a way of telling, or the look at what is served. */
type Step = Way | 'probe';

/** Which of several certificates of a volume a program serves is its own choice. */
function compare(volume: OpenVolume, sight: Sight, port: number): Finding {
  if (sight.type === 'nothing') {
    return { type: 'unknown', detail: `no certificate is seen on port ${port} of the pod: ${sight.why}` };
  }
  const leaves = volume.record.declaration.sources.flatMap(({ kind, index }) =>
    kind === 'podCertificate' ? (volume.currentChain(index)?.slice(0, 1) ?? []) : [],
  );
  if (leaves.length === 0) {
    return { type: 'unknown', detail: 'the certificate in the files is not known to the agent' };
  }
  const { der, serialNumber, notAfter } = sight;
  return leaves.some((leaf) => Buffer.compare(leaf, der) === 0)
    ? { type: 'current' }
    : { type: 'other', serialNumber, notAfter };
}

function notReloaded(way: Way, attempts: number, detail: string, retryAt: number | undefined): UptakeNotice {
  return { type: 'notReloaded', way, attempts, detail, ...(retryAt === undefined ? {} : { retryAt }) };
}
