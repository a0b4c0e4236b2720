/**
 * From accepted certificates and trust anchors to a volume's files: the first time all sources together, from then on
 * each by itself. What cannot be written is tried again with growing pauses; the files stay as they were.
 */
import { VolumeError } from '../../volumes/base/errors.ts';
import type { CertificateRecord, IssuedChain, OpenVolume, SourceContent } from '../../volumes/base/volume.ts';
import type { Clock } from '../time/clock.ts';
import { pauseAfterFailure } from './pace.ts';
import type { KeyMaker } from './ports.ts';

/** Content that waits to become files. A credential's private key lies in the volume, beside its request. */
export type Staged =
  | { readonly kind: 'credential'; readonly certificate: CertificateRecord; readonly answer: IssuedChain }
  | { readonly kind: 'trustAnchors'; readonly certificates: readonly Uint8Array[] };

export interface ProjectionOptions {
  readonly clock: Clock;
  /** Draws from [0, 1). */
  readonly random: () => number;
  /** A source's content is in the files; `first` when it had none before, `changed` when the files had to be written. */
  readonly onWritten: (index: number, content: Staged, how: { first: boolean; changed: boolean }) => void;
  /** A source's content could not be written and is tried again at `retryAt` (milliseconds since the epoch). */
  readonly onNotWritten: (index: number, content: Staged, cause: unknown, retryAt: number) => void;
  readonly belongs: KeyMaker['belongs'];
  /** The key of a source's content is damaged or another's; the content is dropped. */
  readonly onUnfit: (index: number, why: string) => void;
  /** A request that is in the files could not be removed from the volume's state. */
  readonly onLeftover: (index: number, cause: unknown) => void;
}

export interface Projection {
  /** True when the source's files are in place. */
  has(index: number): boolean;
  /** Takes a source's new content, and writes it as soon as every source has some. */
  stage(index: number, content: Staged): void;
  /** Drops content that is not written yet. */
  unstage(index: number): void;
  /** Begins to write. What is staged before waits for this call. */
  start(): void;
  stop(): void;
}

/** What is written in one step, by source. */
type Batch = ReadonlyMap<number, Staged>;

interface Failed {
  readonly batch: Batch;
  readonly cause: unknown;
}

export function createProjection(volume: OpenVolume, options: ProjectionOptions): Projection {
  const { clock, random } = options;
  const { sources } = volume.record.declaration;
  const projected = new Set(sources.map(({ index }) => index).filter((index) => volume.isProjected(index)));
  const staged = new Map<number, Staged>();
  /** When the certificates in the files expire, by source: no pause may outlast them. */
  const expiries = new Map([...projected].map((index) => [index, volume.current(index)?.notAfter]));
  let running = false;
  let failures = 0;
  let cancelRetry = (): void => {};

  /** The first time all sources together; from then on one by one, so that what one cannot write holds up no other. */
  const batches = (): readonly Batch[] => {
    const isLive = sources.every(({ index }) => projected.has(index));
    return isLive ? [...staged].map((entry) => new Map([entry])) : [new Map(staged)];
  };

  /** Writes what can be written now. @returns what went wrong, if anything. */
  const attempt = (batch: Batch): readonly Failed[] => {
    let changed: boolean;
    const keys = new Map<number, Uint8Array>();
    try {
      // An answer that waits for other sources survives a restart of the agent.
      saveAnswers(volume, batch);
      if (!sources.every(({ index }) => projected.has(index) || batch.has(index))) {
        return [];
      }
      if (dropUnfit(batch, keys)) {
        return [];
      }
      changed = write(volume, batch, keys) === 'written';
    } catch (cause) {
      return [{ batch, cause }];
    } finally {
      for (const key of keys.values()) {
        key.fill(0);
      }
    }
    for (const [index, content] of batch) {
      finish(index, content, changed);
    }
    return [];
  };

  /**
   * Reads the keys that are to be written. They have lain in files since they were made, for as long as a signer and the
   * volume's other sources took: what is damaged must not reach the pod. @returns whether something was dropped
   */
  const dropUnfit = (batch: Batch, keys: Map<number, Uint8Array>): boolean => {
    let dropped = false;
    for (const [index, content] of batch) {
      const why = content.kind === 'credential' ? keyFault(index, content, keys) : undefined;
      if (why !== undefined) {
        dropped = true;
        staged.delete(index);
        options.onUnfit(index, why);
      }
    }
    return dropped;
  };

  const keyFault = (index: number, { answer }: Staged & { kind: 'credential' }, keys: Map<number, Uint8Array>) => {
    try {
      keys.set(index, volume.readPendingKey(index));
    } catch (error) {
      if (error instanceof VolumeError && (error.code === 'Corrupt' || error.code === 'Tampered')) {
        return `cannot be read: ${error.message}`;
      }
      throw error;
    }
    const [key, leaf] = [keys.get(index), answer.certificates[0]];
    const fits = key !== undefined && leaf !== undefined && options.belongs(key, leaf);
    return fits ? undefined : 'is damaged, or not the one of the certificate';
  };

  const flush = (): void => {
    if (!running || staged.size === 0) {
      return;
    }
    cancelRetry();
    const failed = batches().flatMap(attempt);
    if (failed.length === 0) {
      failures = 0;
      return;
    }
    failures += 1;
    const setback = { failures, nature: 'passing', timeLeftMs: timeLeft(failed), retryAfterMs: 0 } as const;
    const retryAt = clock.now() + pauseAfterFailure(setback, random());
    cancelRetry = clock.at(retryAt, flush);
    for (const { batch, cause } of failed) {
      for (const [index, content] of batch) {
        options.onNotWritten(index, content, cause, retryAt);
      }
    }
  };

  /** What is left of the certificate that expires first among those that could not be replaced; 0 where there is none. */
  const timeLeft = (failed: readonly Failed[]): number => {
    const indices = failed.flatMap(({ batch }) => [...batch.keys()]);
    const left = indices.map((index) => (expiries.get(index) ?? 0) - clock.now()).filter((ms) => ms > 0);
    return left.length === 0 ? 0 : Math.min(...left);
  };

  const finish = (index: number, content: Staged, changed: boolean): void => {
    const first = !projected.has(index);
    projected.add(index);
    if (staged.get(index) === content) {
      staged.delete(index);
    }
    if (content.kind === 'credential') {
      expiries.set(index, content.certificate.notAfter);
      try {
        volume.discardPending(index);
      } catch (error) {
        options.onLeftover(index, error);
      }
    }
    options.onWritten(index, content, { first, changed });
  };

  return {
    has: (index) => projected.has(index),
    stage(index, content) {
      staged.set(index, content);
      flush();
    },
    unstage: (index) => {
      staged.delete(index);
    },
    start() {
      running = true;
      flush();
    },
    stop() {
      running = false;
      cancelRetry();
    },
  };
}

function saveAnswers(volume: OpenVolume, batch: Batch): void {
  for (const [index, content] of batch) {
    if (content.kind === 'credential') {
      volume.saveAnswer(index, content.answer);
    }
  }
}

/** Changes the files, then notes what they hold. */
function write(volume: OpenVolume, batch: Batch, keys: ReadonlyMap<number, Uint8Array>): 'written' | 'unchanged' {
  const contents = [...batch].map(([index, content]) => [index, contentOf(content, keys.get(index))] as const);
  const result = volume.project(new Map(contents));
  for (const [index, content] of batch) {
    if (content.kind === 'credential') {
      volume.saveCurrent(index, content.certificate, content.answer.certificates);
    }
  }
  return result;
}

function contentOf(content: Staged, privateKey: Uint8Array | undefined): SourceContent {
  if (content.kind === 'trustAnchors') {
    return content;
  }
  if (privateKey === undefined) {
    throw new TypeError('a credential is written with its key');
  }
  const { certificates, anchors } = content.answer;
  return { kind: 'credential', privateKey, certificates, ...(anchors === undefined ? {} : { anchors }) };
}
