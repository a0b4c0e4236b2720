/**
 * From accepted certificates and trust anchors to a volume's files: the first time all sources together, from then on
 * whatever is new. What cannot be written is tried again with growing pauses; the files stay as they were.
 *
 * A volume may have many sources and files, so writing takes several turns of the event loop, one write after the other.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { VolumeError } from '../../volumes/base/errors.ts';
import type { CertificateRecord, IssuedChain, OpenVolume, SourceContent } from '../../volumes/base/volume.ts';
import type { Clock } from '../time/clock.ts';
import { pauseAfterFailure } from './pace.ts';
import type { KeyMaker } from './ports.ts';

/** Content that waits to become files. A credential's private key lies in the volume, beside its request. */
export type Staged =
  | { readonly kind: 'credential'; readonly certificate: CertificateRecord; readonly answer: IssuedChain }
  | (SourceContent & { readonly kind: 'trustAnchors' });

export interface ProjectionOptions {
  readonly clock: Clock;
  /** Draws from [0, 1). */
  readonly random: () => number;
  /** A source's content is in the files; `first` when it had none before, `changed` when the files had to be written. */
  readonly onWritten: (index: number, content: Staged, how: { first: boolean; changed: boolean }) => void;
  /** The answer to a request survives a restart of the agent from now on. */
  readonly onKept: (index: number, requestName: string) => void;
  /** A source's content could not be written and is tried again at `retryAt` (milliseconds since the epoch). */
  readonly onNotWritten: (index: number, content: Staged, cause: unknown, retryAt: number) => void;
  readonly belongs: KeyMaker['belongs'];
  /** The key of a source's content is damaged or another's; the content is dropped. */
  readonly onUnfit: (index: number, why: string) => void;
  /** A request that is in the files could not be removed from the volume's state. */
  readonly onLeftover: (index: number, cause: unknown) => void;
}

/** What is read of a volume and done to it. */
export type ProjectedVolume = Pick<
  OpenVolume,
  'record' | 'projected' | 'current' | 'saveAnswer' | 'readPendingKey' | 'project' | 'saveCurrent' | 'discardPending'
>;

export interface Projection {
  /** True when the source's files are in place. */
  has(index: number): boolean;
  /** True when there is content for the source that is not in the files yet. */
  awaitsWriting(index: number): boolean;
  /** Takes a source's new content, and writes it as soon as every source has some. */
  stage(index: number, content: Staged): void;
  /** Drops content that is not written yet. */
  unstage(index: number): void;
  /** Begins to write. What is staged before waits for this call. */
  start(): void;
  stop(): void;
}

/** What is written together, by source. */
type Batch = ReadonlyMap<number, Staged>;

interface Failed {
  readonly batch: Batch;
  readonly cause: unknown;
}

export function createProjection(volume: ProjectedVolume, options: ProjectionOptions): Projection {
  const { clock, random } = options;
  const { sources } = volume.record.declaration;
  const projected = new Set(volume.projected());
  const staged = new Map<number, Staged>();
  /** Answers that survive a restart of the agent. */
  const saved = new WeakSet<Staged>();
  /** When the certificates in the files expire, by source: no pause may outlast them. */
  const expiries = new Map([...projected].map((index) => [index, volume.current(index)?.notAfter]));
  let running = false;
  let isWriting = false;
  let failures = 0;
  let cancelRetry = (): void => {};

  const isWhole = (batch: Batch): boolean => sources.every(({ index }) => projected.has(index) || batch.has(index));

  /** Writes what can be written now: together, and one by one where that fails, so that what one cannot write holds up no other. */
  const attempt = async (batch: Batch): Promise<readonly Failed[]> => {
    const wasLive = isWhole(new Map());
    try {
      await saveAnswers(volume, batch, saved, options.onKept);
      if (isWhole(batch)) {
        await writeTogether(batch);
      }
      return [];
    } catch (cause) {
      if (!wasLive || batch.size < 2) {
        return [{ batch, cause }];
      }
    }
    const failed: Failed[] = [];
    for (const [index, content] of batch) {
      if (running && staged.get(index) === content) {
        failed.push(...(await attempt(new Map([[index, content]]))));
      }
    }
    return failed;
  };

  /** The keys are in this process no longer than the call takes. */
  const writeTogether = async (batch: Batch): Promise<void> => {
    const keys = new Map<number, Uint8Array>();
    try {
      const fit = await withoutUnfit(batch, keys);
      if (fit.size === 0 || !isWhole(fit)) {
        return;
      }
      const changed = (await write(volume, fit, keys)) === 'written';
      for (const [index, content] of fit) {
        finish(index, content, changed);
        await nextTurn();
      }
    } finally {
      for (const key of keys.values()) {
        key.fill(0);
      }
    }
  };

  /**
   * Reads the keys that are to be written. They have lain in files since they were made, for as long as a signer and the
   * volume's other sources took: what is damaged must not reach the pod. @returns what is left of the batch
   */
  const withoutUnfit = async (batch: Batch, keys: Map<number, Uint8Array>): Promise<Batch> => {
    const fit = new Map(batch);
    for (const [index, content] of batch) {
      if (content.kind === 'credential') {
        const why = keyFault(index, content, keys);
        if (why !== undefined) {
          fit.delete(index);
        }
        // Another answer, with another key, may have come meanwhile: that one is looked at in its turn.
        if (why !== undefined && staged.get(index) === content) {
          staged.delete(index);
          options.onUnfit(index, why);
        }
        await nextTurn();
      }
    }
    return fit;
  };

  const keyFault = (index: number, { answer }: Staged & { kind: 'credential' }, keys: Map<number, Uint8Array>) => {
    let key: Uint8Array;
    try {
      key = volume.readPendingKey(index);
    } catch (error) {
      if (error instanceof VolumeError && (error.code === 'Corrupt' || error.code === 'Tampered')) {
        return `cannot be read: ${error.message}`;
      }
      throw error;
    }
    keys.set(index, key);
    const [leaf] = answer.certificates;
    const fits = leaf !== undefined && options.belongs(key, leaf);
    return fits ? undefined : 'is damaged, or not the one of the certificate';
  };

  const flush = (): void => {
    if (!running || isWriting || staged.size === 0) {
      return;
    }
    cancelRetry();
    isWriting = true;
    void writeStaged();
  };

  const writeStaged = async (): Promise<void> => {
    // What is told of at once is written at once: sources with the same content then share its bytes.
    await Promise.resolve();
    const batch: Batch = new Map(staged);
    const failed = await attempt(batch);
    isWriting = false;
    if (!running) {
      return;
    }
    // Whatever has come in meanwhile, and nothing that was tried just now.
    const isNew = [...staged].some(([index, content]) => batch.get(index) !== content);
    if (failed.length === 0) {
      failures = 0;
    } else {
      giveNotice(failed);
    }
    if (isNew) {
      flush();
    }
  };

  const giveNotice = (failed: readonly Failed[]): void => {
    failures += 1;
    const timeLeftMs = timeLeft(failed);
    const setback = { failures, nature: 'passing', timeLeftMs, retryAfterMs: 0, failingForMs: 0 } as const;
    const retryAt = clock.now() + pauseAfterFailure(setback, random());
    cancelRetry = clock.at(retryAt, flush);
    for (const { batch, cause } of failed) {
      for (const [index, content] of batch) {
        options.onNotWritten(index, content, cause, retryAt);
      }
    }
  };

  /**
   * What is left of the certificate that expires first among those that could not be replaced, or where all have expired, of the one that
   * did last. `-Infinity` where there is none.
   */
  const timeLeft = (failed: readonly Failed[]): number => {
    const indices = failed.flatMap(({ batch }) => [...batch.keys()]);
    const left = indices.map((index) => (expiries.get(index) ?? Number.NEGATIVE_INFINITY) - clock.now());
    const valid = left.filter((ms) => ms > 0);
    return valid.length > 0 ? Math.min(...valid) : Math.max(...left, Number.NEGATIVE_INFINITY);
  };

  const finish = (index: number, content: Staged, changed: boolean): void => {
    const first = !projected.has(index);
    projected.add(index);
    if (content.kind === 'credential') {
      expiries.set(index, content.certificate.notAfter);
    }
    // Taken back or replaced while it was written: what comes after it is told of.
    if (!running || staged.get(index) !== content) {
      return;
    }
    staged.delete(index);
    if (content.kind === 'credential') {
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
    awaitsWriting: (index) => staged.has(index),
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

/** An answer that waits for other sources survives a restart of the agent. */
async function saveAnswers(
  volume: ProjectedVolume,
  batch: Batch,
  saved: WeakSet<Staged>,
  onKept: ProjectionOptions['onKept'],
): Promise<void> {
  for (const [index, content] of batch) {
    if (content.kind === 'credential' && !saved.has(content)) {
      const { requestName } = content.certificate;
      await volume.saveAnswer(index, requestName, content.answer);
      saved.add(content);
      onKept(index, requestName);
    }
  }
}

/** Changes the files, then notes what they hold. */
async function write(
  volume: ProjectedVolume,
  batch: Batch,
  keys: ReadonlyMap<number, Uint8Array>,
): Promise<'written' | 'unchanged'> {
  const contents = [...batch].map(([index, content]) => [index, contentOf(content, keys.get(index))] as const);
  const result = await volume.project(new Map(contents));
  for (const [index, content] of batch) {
    if (content.kind === 'credential') {
      const { certificates, anchors } = content.answer;
      await volume.saveCurrent(index, content.certificate, certificates, anchors);
      await nextTurn();
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
