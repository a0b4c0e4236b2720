/**
 * One volume, open for work: its state, and its files by layout and atomic writer. The volume is looked at anew before
 * every change, so that nothing is written where a volume used to be: below an unmounted tmpfs lies a disk.
 */

import { toVolumeError, VolumeError } from './base/errors.ts';
import type { Steps, Worker } from './base/steps.ts';
import type { OpenVolume, SourceContent, VolumeRecord } from './base/volume.ts';
import { hasKeystores } from './declaration/keystore.ts';
import { wantsAnchors } from './declaration/pod-certificate.ts';
import type { Source } from './declaration/types.ts';
import { carryOut, currentSet, isComplete, type Plan, planChange, removeSet, repair } from './files/atomic-writer.ts';
import { createCertificatesContents } from './files/content.ts';
import { setAccess } from './files/files.ts';
import { touch } from './files/generation.ts';
import { holdVolume, holdVolumeInSteps, type Identity, isSame, lstat, volumeGone } from './files/hold.ts';
import {
  issuedAnchorPaths,
  type LayoutTools,
  layOut,
  type MadeFile,
  type ProjectedFile,
  sourcePaths,
  type VolumeAccess,
  volumeAccess,
} from './files/layout.ts';
import { mostEntriesCleared, mostEntriesForRoom } from './files/limits.ts';
import { isApart, isFileOf, keptFiles, layOutApart, neededFiles } from './files/trust-domain-files.ts';
import { keepPasswords, makeKeystores, withoutPasswords } from './keystores/make.ts';
import { openState } from './state/state.ts';

/** What a request takes beside the certificates of its answer. */
const minStateBytes = 8 * 1024;

export interface OpenOptions {
  /** The directory that was found, or made, at the target path; whatever else lies there by now is not the volume. */
  readonly identity: Identity;
  /** False where the agent has no right to give files away; modes are set all the same. */
  readonly setOwners: boolean;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Hears of state that cannot be understood; it counts as absent. */
  readonly onProblem: (problem: string) => void;
  /** True once the volume was removed by this agent. */
  readonly isRemoved: () => boolean;
  readonly worker: Worker;
  /** Waits for other work that mounts, unmounts or writes at the same place. */
  readonly inTurn: <Result>(work: () => Promise<Result>) => Promise<Result>;
  /**
   * Does work that needs so many bytes, and so many files and directories, beyond what the volume holds, once there is room.
   * @throws VolumeError NoSpace that names the limit
   */
  readonly withRoom: <Result>(bytes: number, entries: number, work: () => Promise<Result>) => Promise<Result>;
  /** Is given what clears away the set before the present one, for when its room is needed; undefined: there is none any more. */
  readonly onSpare: (clear: (() => Promise<void>) | undefined) => void;
  /** Makes keystores: a few at a time, each pod's in turn. */
  readonly inKeystoreLine: <Result>(work: () => Promise<Result>) => Promise<Result>;
  /** Store the record, also where one is stored already. */
  readonly writeRecord: boolean;
}

/**
 * Opens the volume whose root directory is `record.targetPath`, finishes what an interrupted run left half done, and
 * sets the root's mode and owner. @throws VolumeError
 */
export async function openVolume(asked: VolumeRecord, options: OpenOptions): Promise<OpenVolume> {
  const record = withoutPasswords(asked);
  const root = record.targetPath;
  const access = volumeAccess(record.declaration, record.owner, options.setOwners);
  const { identity } = options;
  const state = await prepare(asked, access, options);

  /** Every mounted tmpfs has its own device number, so a path that was unmounted or mounted over is another directory. */
  function isInPlace(): boolean {
    return !options.isRemoved() && isSame(lstat(root), identity);
  }

  function assertStillThere(): void {
    if (!isInPlace()) {
      throw volumeGone(root);
    }
  }

  function source(index: number): Source {
    const found = record.declaration.sources[index];
    if (found === undefined) {
      throw new RangeError(`volume ${record.volumeId} has no source ${index}`);
    }
    return found;
  }

  /** The files of all given sources, source by source, and the buffers among them that hold keys. */
  function* layOutAll(
    contents: ReadonlyMap<number, SourceContent>,
    tools: LayoutTools,
  ): Steps<readonly ProjectedFile[]> {
    const files: ProjectedFile[] = [];
    for (const [index, content] of contents) {
      const of = source(index);
      files.push(...(isApart(of) ? yield* layOutApart(of, content, tools) : layOut(of, content, tools)));
      yield;
    }
    return files;
  }

  /** Files of the given sources that stay. */
  function keptBeside(contents: ReadonlyMap<number, SourceContent>): readonly string[] {
    return [...contents].flatMap(([index, content]) => {
      const of = source(index);
      if (content.kind === 'issuedAnchors') {
        return besideAnchors(of);
      }
      return isApart(of) && content.kind === 'trustAnchors' ? keptFiles(of, content) : [];
    });
  }

  function* planInSteps(contents: ReadonlyMap<number, SourceContent>, tools: LayoutTools): Steps<Plan> {
    const files = yield* layOutAll(contents, tools);
    const others = record.declaration.sources.filter((other) => !contents.has(other.index));
    const keep = [...others.flatMap((other) => sourcePaths(other)), ...keptBeside(contents)];
    const apart = others.filter(isApart);
    const keepAlso = apart.length === 0 ? undefined : (file: string) => apart.some((other) => isFileOf(other, file));
    const change = { files, keep, keepAlso, directory: access.directory, now: options.now(), previous };
    return yield* inRoot((held) => planChange(held, change));
  }

  /** Whoever watches the file that tells of a change finds the change in place. */
  function* writeFiles(held: string, plan: Plan): Steps<'written' | 'unchanged'> {
    const result = yield* carryOut(held, plan);
    yield* touchIn(held, record, access, options.onProblem);
    return result;
  }

  /** Works in the volume that was opened, and in no other that was put in its place since. */
  const inRoot = <Result>(work: (held: string) => Steps<Result>): Steps<Result> =>
    holdVolumeInSteps(root, identity, work);

  /** Name of the set before the present one. */
  let previous: string | undefined;

  function keepPrevious(name: string | undefined): void {
    previous = name;
    options.onSpare(name === undefined ? undefined : () => clearPrevious(mostEntriesForRoom));
  }

  /**
   * Clears it away in steps, whoever needs its room. It is taken first: nobody else clears it meanwhile but a change of the volume, to
   * which it is a leftover by then, like all of it that cannot be cleared now.
   * @param most entries that are removed
   */
  async function clearPrevious(most: number): Promise<void> {
    const name = previous;
    keepPrevious(undefined);
    if (name === undefined || !isInPlace()) {
      return;
    }
    try {
      await options.worker.carryOut(
        inRoot((held) => removeSet(held, name, most)),
        assertStillThere,
      );
    } catch (error) {
      // With its volume the set is gone as well.
      if (isInPlace()) {
        throw error;
      }
    }
  }

  /** Before anything is looked at: this waits, and what is there may change meanwhile. */
  async function keystoresOf(contents: ReadonlyMap<number, SourceContent>, secrets: Uint8Array[]) {
    const made = new Map<number, readonly MadeFile[]>();
    for (const [index, content] of contents) {
      if (hasKeystores(source(index))) {
        const carryOut = <Result>(steps: Steps<Result>) => options.worker.carryOut(steps, assertStillThere);
        const make = (): Promise<readonly MadeFile[]> => {
          assertStillThere();
          return makeKeystores(source(index), content, { state: state.keystores, carryOut, secrets });
        };
        made.set(index, await options.inKeystoreLine(make));
      }
    }
    return made;
  }

  async function project(contents: ReadonlyMap<number, SourceContent>): Promise<'written' | 'unchanged'> {
    assertStillThere();
    const { worker, withRoom } = options;
    const secrets: Uint8Array[] = [];
    try {
      const made = await keystoresOf(contents, secrets);
      const madeOf = (of: Source): readonly MadeFile[] => made.get(of.index) ?? [];
      const tools = { access, secrets, contentOf: createCertificatesContents(), madeOf };
      const plan = await worker.carryOut(planInSteps(contents, tools), assertStillThere);
      const write = () =>
        worker.carryOut(
          inRoot((held) => writeFiles(held, plan)),
          assertStillThere,
        );
      if (plan.isSame) {
        return await write();
      }
      // First: there is room for two sets, not for three.
      await clearPrevious(mostEntriesCleared).catch(() => undefined);
      const { bytes, entries } = plan.needs;
      const result = await withRoom(bytes, entries, write);
      keepPrevious(plan.current);
      return result;
    } finally {
      for (const secret of secrets) {
        secret.fill(0);
      }
    }
  }

  /**
   * Puts trust anchors that came with a certificate back where their file is not as it was written: what is in it is known, and
   * asking anew for what the volume holds would be in vain. Not while an answer waits to be written, whose files may be in place
   * already. What cannot be mended now is left to the next opening.
   */
  async function restoreAnchors(): Promise<void> {
    for (const of of record.declaration.sources) {
      const anchors = of.kind === 'podCertificate' && wantsAnchors(of) ? state.currentAnchors(of.index) : undefined;
      if (anchors === undefined || state.pending(of.index)?.answer !== undefined || !hasAllBeside(of)) {
        continue;
      }
      try {
        const content = { kind: 'issuedAnchors', anchors } as const;
        if ((await project(new Map([[of.index, content]]))) === 'written') {
          options.onProblem(`the trust anchors of sources[${of.index}] in ${root} were not as issued; they are again`);
        }
      } catch (error) {
        options.onProblem(
          toVolumeError(error, `looking at the trust anchors of sources[${of.index}] in ${root}`).message,
        );
      }
    }
  }

  const hasAllBeside = (of: Source): boolean =>
    holdVolume(root, identity, (held) => isComplete(held, besideAnchors(of)));

  /** Changes a file of the state that holds a chain; there is room for it twice: it is written beside what it replaces. */
  function withChain(chain: readonly Uint8Array[], change: () => void): Promise<void> {
    return options.inTurn(async () => {
      assertStillThere();
      const bytes = 2 * chain.reduce((sum, { length }) => sum + 2 * length, minStateBytes);
      await options.withRoom(bytes, 0, async () => {
        assertStillThere();
        change();
      });
    });
  }

  const isWhole = (held: string, of: Source): boolean =>
    isComplete(held, isApart(of) ? neededFiles(of) : sourcePaths(of));

  await restoreAnchors();

  const ifThere =
    <Arguments extends unknown[], Result>(method: (...values: Arguments) => Result) =>
    (...values: Arguments): Result => {
      assertStillThere();
      return method(...values);
    };
  return {
    record,
    kept: ifThere(state.kept),
    pending: ifThere(state.pending),
    pendingWithKey: ifThere(state.pendingWithKey),
    savePending: ifThere(state.savePending),
    saveAnswer: (index, requestName, issued) =>
      withChain([...issued.certificates, ...(issued.anchors ?? [])], () =>
        state.saveAnswer(index, requestName, issued),
      ),
    readPendingKey: ifThere(state.readPendingKey),
    discardPending: ifThere(state.discardPending),
    current: ifThere(state.current),
    setback: ifThere(state.setback),
    saveSetback: ifThere(state.saveSetback),
    saveCurrent: (index, certificate, chain, issued) =>
      withChain([...chain, ...(issued ?? [])], () => state.saveCurrent(index, certificate, chain, issued)),
    currentChain: ifThere(state.currentChain),
    currentAnchors: ifThere(state.currentAnchors),
    trust: ifThere(state.trust),
    // Where the request and its answer were there is room for one more of the file.
    saveTrust: ifThere(state.saveTrust),
    generation: ifThere(() => holdVolume(root, identity, currentSet)),
    uptake: ifThere(state.uptake),
    saveUptake: ifThere(state.saveUptake),
    isInPlace,
    isProjected: (index) => {
      const of = source(index);
      return isInPlace() && holdVolume(root, identity, (held) => isWhole(held, of));
    },
    projected() {
      const whole = (held: string) => record.declaration.sources.filter((of) => isWhole(held, of));
      return new Set(isInPlace() ? holdVolume(root, identity, whole).map(({ index }) => index) : []);
    },
    project: (contents) => options.inTurn(() => project(contents)),
  };
}

/** The files of a source but for the trust anchors that came with its certificate. */
function besideAnchors(source: Source): readonly string[] {
  const anchors = source.kind === 'podCertificate' ? issuedAnchorPaths(source) : [];
  return sourcePaths(source).filter((path) => !anchors.includes(path));
}

/** Where a privileged container keeps the file from being written, that is its own loss: the volume's files are in place. */
function* touchIn(
  held: string,
  { declaration, targetPath }: VolumeRecord,
  { beside }: VolumeAccess,
  onProblem: (problem: string) => void,
): Steps<void> {
  const name = declaration.reload?.touch;
  if (name === undefined) {
    return;
  }
  try {
    yield* touch(held, name, beside);
  } catch (error) {
    if (!(error instanceof VolumeError && error.code === 'Tampered')) {
      throw error;
    }
    onProblem(error.message.replaceAll(held, targetPath));
  }
}

async function prepare(record: VolumeRecord, access: VolumeAccess, options: OpenOptions) {
  const root = record.targetPath;
  const { identity } = options;
  try {
    const state = openState(root, identity, options.onProblem, (files) => {
      if (options.writeRecord) {
        files.writeRecord(record);
      }
    });
    await options.worker.carryOut(state.repair(), () => undefined);
    keepPasswords(record, state.keystores);
    await options.worker.carryOut(
      holdVolumeInSteps(root, identity, function* (held) {
        yield* repair(held);
        yield* touchIn(held, record, access, options.onProblem);
        // Last: until here only the agent can enter a fresh volume.
        setAccess(`${held}/.`, access.directory);
      }),
      () => undefined,
    );
    return state;
  } catch (error) {
    throw toVolumeError(error, `opening the volume at ${root}`);
  }
}
