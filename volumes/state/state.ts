/**
 * The state that a volume carries in itself, in a directory that only the agent's user may enter:
 *
 *     ..agent/volume.json              whose volume it is and what it asks for
 *     ..agent/pending-0.json           the request that source 0 waits for, and its answer once there is one
 *     ..agent/pending-0.<random>.key   the key of that request, PKCS#8 DER; pending-0.json names the file
 *     ..agent/issued-0.json            what source 0's files hold but for the key, and how it stands to its signer's anchors
 *     ..agent/keystore-0.…             see `keystore-state.ts`
 *     ..agent/setback-0.json           how the last request of source 0 failed, until one succeeds
 *     ..agent/uptake.json              of which change the pod's programs were told last, where they are to be told
 *
 * Every file appears complete or not at all (written beside it, then renamed). A key is written before the file that names it
 * and removed after, so a key without a name is a leftover, and is cleared away when the volume is opened.
 */
import { randomBytes } from 'node:crypto';
import type fs from 'node:fs';
import path from 'node:path';
import { toVolumeError, VolumeError } from '../base/errors.ts';
import type { KeystoreState } from '../base/keystore.ts';
import type { Steps } from '../base/steps.ts';
import type {
  CertificateRecord,
  IssuedChain,
  OpenVolume,
  PendingRequest,
  TrustRecord,
  VolumeRecord,
} from '../base/volume.ts';
import { makeDirectory, readRegularFile, removeFile, replaceFile, setAccess, writeNewFile } from '../files/files.ts';
import { holdDirectory, holdInStepsIf, holdOn, holdVolume, type Identity, isSame, lstat } from '../files/hold.ts';
import { keystoreState } from './keystore-state.ts';
import { clearLeftovers, isKeyOf } from './leftovers.ts';
import { readJson } from './read-json.ts';
import {
  decodeCurrent,
  decodeCurrentAnchors,
  decodeCurrentChain,
  decodePending,
  decodeRecord,
  decodeSetback,
  decodeTrust,
  decodeUptake,
  document,
  encode,
  encodeCurrent,
  encodePending,
  encodeRecord,
  encodeSetback,
  encodeUptake,
  type StoredPending,
} from './state-format.ts';

const stateDirectory = '..agent';
const recordFile = 'volume.json';
const uptakeFile = 'uptake.json';
const fileAccess = { mode: 0o600 };
const directoryAccess = { mode: 0o700 };
const maxKeyBytes = 64 * 1024;

/** One volume's state. All methods throw VolumeError. */
export interface VolumeState
  extends Pick<
    OpenVolume,
    | 'kept'
    | 'pending'
    | 'pendingWithKey'
    | 'savePending'
    | 'readPendingKey'
    | 'discardPending'
    | 'current'
    | 'currentChain'
    | 'currentAnchors'
    | 'trust'
    | 'setback'
    | 'saveSetback'
    | 'uptake'
    | 'saveUptake'
  > {
  writeRecord(record: VolumeRecord): void;
  /** Adds the accepted answer to the stored request, unless that is another one. */
  saveAnswer(index: number, requestName: string, answer: IssuedChain): void;
  /** Notes what the files of the source hold. */
  saveCurrent(
    index: number,
    certificate: CertificateRecord,
    chain: readonly Uint8Array[],
    anchors?: readonly Uint8Array[],
  ): void;
  /** Keeps how the chain in the files stands to its signer's anchors, beside the certificate, of which there must be one. */
  saveTrust(index: number, trust: TrustRecord): void;
  readonly keystores: KeystoreState;
  /** Clears away what an interrupted change left, in steps: a privileged container can put a million files there. */
  repair(): Steps<void>;
}

/** True when the directory holds, or held, a volume of this agent. */
export function hasState(root: string): boolean {
  return lstat(path.join(root, stateDirectory)) !== undefined;
}

/**
 * The volume's record, or nothing when there is none.
 * @param volume the directory that `root` led to when it was first looked at
 * @throws VolumeError Corrupt when it cannot be understood, Tampered when it is not where the agent puts it.
 */
export function readRecord(root: string, volume: Identity): VolumeRecord | undefined {
  const read = (held: string, stats: fs.Stats) => readJson(path.join(held, recordFile), stats.dev, decodeRecord);
  return guarded(`reading the state of ${root}`, () =>
    holdVolume(root, volume, (held) =>
      lstat(path.join(held, stateDirectory)) === undefined ? undefined : holdState(held, volume, read),
    ),
  );
}

/**
 * Opens the state in a volume's root directory, and makes its directory where there is none.
 * @param volume the directory that `root` led to when it was first looked at
 * @param onProblem is told of files that cannot be understood; they count as absent.
 * @param begin what is to be done first
 */
export function openState(
  root: string,
  volume: Identity,
  onProblem: (problem: string) => void,
  begin: (files: VolumeState) => void = () => undefined,
): VolumeState {
  const directory = path.join(root, stateDirectory);

  function filesIn(held: string, device: number): StateFiles {
    return stateFiles(held, device, (problem) => onProblem(problem.replaceAll(`${held}/`, `${directory}/`)));
  }

  const identity = guarded(`opening the state of ${root}`, () =>
    holdVolume(root, volume, (heldRoot) => {
      const name = path.join(heldRoot, stateDirectory);
      if (lstat(name) === undefined) {
        makeDirectory(name, directoryAccess);
      }
      return holdState(heldRoot, volume, (held, stats) => {
        if ((stats.mode & 0o7777) !== directoryAccess.mode) {
          setAccess(`${held}/.`, directoryAccess);
        }
        begin(filesIn(held, stats.dev));
        return stats;
      });
    }),
  );

  function assertSame(stats: fs.Stats): void {
    if (!isSame(stats, identity)) {
      throw new VolumeError('Tampered', `${directory} was replaced by another directory`);
    }
  }

  /** Works in the directory that was opened, and in no other that was put in its place since: keys are written there. */
  function use<Result>(doing: string, work: (files: StateFiles) => Result): Result {
    const inDirectory = (held: string, stats: fs.Stats) => {
      assertSame(stats);
      return work(filesIn(held, stats.dev));
    };
    return guarded(doing, () => holdDirectory(directory, inDirectory));
  }

  const change = (work: (files: StateFiles) => void) => use(`storing the state of ${root}`, work);
  const look = <Result>(work: (files: StateFiles) => Result) => use(`reading the state of ${root}`, work);
  return {
    writeRecord: (record) => change((files) => files.writeRecord(record)),
    kept: (index) => look((files) => files.kept(index)),
    pending: (index) => look((files) => files.pending(index)),
    pendingWithKey: (index) => use(`reading the key of a request in ${root}`, (files) => files.pendingWithKey(index)),
    savePending: (index, pending, privateKey) => change((files) => files.savePending(index, pending, privateKey)),
    saveAnswer: (index, requestName, answer) => change((files) => files.saveAnswer(index, requestName, answer)),
    readPendingKey: (index) => use(`reading the key of a request in ${root}`, (files) => files.readPendingKey(index)),
    discardPending: (index) => change((files) => files.discardPending(index)),
    current: (index) => look((files) => files.current(index)),
    setback: (index) => look((files) => files.setback(index)),
    saveSetback: (index, setback) => change((files) => files.saveSetback(index, setback)),
    saveCurrent: (index, certificate, ...held) => change((files) => files.saveCurrent(index, certificate, ...held)),
    currentChain: (index) => look((files) => files.currentChain(index)),
    currentAnchors: (index) => look((files) => files.currentAnchors(index)),
    trust: (index) => look((files) => files.trust(index)),
    saveTrust: (index, trust) => change((files) => files.saveTrust(index, trust)),
    keystores: {
      password: (index) => use(`reading a password in ${root}`, ({ keystores }) => keystores.password(index)),
      savePassword: (index, password) => change(({ keystores }) => keystores.savePassword(index, password)),
      notes: (index) => look(({ keystores }) => keystores.notes(index)),
      saveNotes: (index, notes) => change(({ keystores }) => keystores.saveNotes(index, notes)),
    },
    uptake: () => look((files) => files.uptake()),
    saveUptake: (done) => change((files) => files.saveUptake(done)),
    repair: () => holdInStepsIf(directory, assertSame, (held) => filesIn(held, identity.dev).repair()),
  };
}

/** The same operations in a directory that is held; errors are still the system's own. */
type StateFiles = VolumeState;

function stateFiles(directory: string, device: number, onProblem: (problem: string) => void): StateFiles {
  const file = (name: string) => path.join(directory, name);
  const pendingFile = (index: number) => file(`pending-${index}.json`);
  const issuedFile = (index: number) => file(`issued-${index}.json`);
  const setbackFile = (index: number) => file(`setback-${index}.json`);

  function readOrReport<Content>(
    name: string,
    decode: (bytes: Uint8Array) => Content,
    report = onProblem,
  ): Content | undefined {
    try {
      return readJson(name, device, decode);
    } catch (error) {
      report(toVolumeError(error, `reading ${name}`).message);
      return undefined;
    }
  }

  function storedPending(index: number, report = onProblem): StoredPending | undefined {
    const stored = readOrReport(pendingFile(index), decodePending, report);
    if (stored === undefined) {
      return undefined;
    }
    if (isKeyOf(index, stored.keyFile) && lstat(file(stored.keyFile))?.isFile()) {
      return stored;
    }
    report(`${pendingFile(index)} names a key that is not there`);
    return undefined;
  }

  /** The key that the stored request names. Where that cannot be read, what it named is a leftover, of which nobody need hear. */
  function storedKey(index: number): string | undefined {
    return storedPending(index, () => undefined)?.keyFile;
  }

  function removeKey(name: string | undefined): void {
    if (name !== undefined) {
      removeFile(file(name));
    }
  }

  function savePending(index: number, pending: PendingRequest, privateKey: Uint8Array): void {
    const keyFile = `pending-${index}.${randomBytes(8).toString('hex')}.key`;
    const before = storedKey(index);
    try {
      writeNewFile(file(keyFile), privateKey, fileAccess);
      replaceFile(pendingFile(index), encodePending({ pending, keyFile }), fileAccess);
    } catch (error) {
      removeFile(file(keyFile));
      throw error;
    }
    removeKey(before);
  }

  function requirePending(index: number): StoredPending {
    const stored = storedPending(index);
    if (stored === undefined) {
      throw new VolumeError('Corrupt', `${directory}/ holds no request of source ${index}`);
    }
    return stored;
  }

  const keyOf = ({ keyFile }: StoredPending) => readRegularFile(file(keyFile), maxKeyBytes, device);
  const setbackOf = (index: number) => readOrReport(setbackFile(index), decodeSetback);
  const current = (index: number) => readOrReport(issuedFile(index), decodeCurrent);
  const trust = (index: number) => readOrReport(issuedFile(index), decodeTrust);
  const currentChain = (index: number) => readOrReport(issuedFile(index), decodeCurrentChain);
  const currentAnchors = (index: number) => readOrReport(issuedFile(index), decodeCurrentAnchors);

  function discardPending(index: number): void {
    const key = storedKey(index);
    removeFile(pendingFile(index));
    removeKey(key);
  }

  return {
    writeRecord: (record) => replaceFile(file(recordFile), encodeRecord(record), fileAccess),
    kept(index) {
      const certificate = current(index);
      return {
        current: certificate,
        trust: certificate === undefined ? undefined : trust(index),
        pending: storedPending(index)?.pending,
        setback: setbackOf(index),
      };
    },
    pending: (index) => storedPending(index)?.pending,
    pendingWithKey(index) {
      const stored = requirePending(index);
      return { pending: stored.pending, privateKey: keyOf(stored) };
    },
    savePending,
    saveAnswer: (index, requestName, answer) => {
      const { pending, keyFile } = requirePending(index);
      if (pending.requestName !== requestName) {
        return;
      }
      const answered = encodePending({ pending: { ...pending, answer }, keyFile });
      replaceFile(pendingFile(index), answered, fileAccess);
    },
    readPendingKey: (index) => keyOf(requirePending(index)),
    discardPending,
    setback: setbackOf,
    saveSetback(index, setback) {
      if (setback === undefined) {
        removeFile(setbackFile(index));
      } else {
        replaceFile(setbackFile(index), encodeSetback(setback), fileAccess);
      }
    },
    current,
    saveCurrent: (index, certificate, chain, anchors) =>
      replaceFile(issuedFile(index), encodeCurrent({ certificate, chain, anchors }), fileAccess),
    currentChain,
    currentAnchors,
    trust,
    saveTrust: (index, trust) => {
      const certificate = current(index);
      if (certificate === undefined) {
        throw new VolumeError('Corrupt', `${directory}/ holds no certificate's record of source ${index}`);
      }
      const stored = { certificate, chain: currentChain(index), anchors: currentAnchors(index), trust };
      replaceFile(issuedFile(index), encodeCurrent(stored), fileAccess);
    },
    keystores: keystoreState(directory, device, { readOrReport, document, encode, onProblem }),
    uptake: () => readOrReport(file(uptakeFile), decodeUptake),
    saveUptake: (done) => replaceFile(file(uptakeFile), encodeUptake(done), fileAccess),
    repair: () => clearLeftovers(directory, device, (index) => storedPending(index)?.keyFile),
  };
}

function guarded<Result>(doing: string, work: () => Result): Result {
  try {
    return work();
  } catch (error) {
    throw toVolumeError(error, doing);
  }
}

/**
 * Holds the state directory, which must lie in the volume and be the agent's: one of another user, or of another volume that is
 * mounted there, must not receive keys.
 */
function holdState<Result>(root: string, volume: Identity, work: (held: string, stats: fs.Stats) => Result): Result {
  const directory = path.join(root, stateDirectory);
  return holdOn(directory, volume.dev, (held, stats) => {
    if (stats.uid !== process.geteuid?.()) {
      throw new VolumeError('Tampered', `${directory} is not a directory of the agent's own`);
    }
    return work(held, stats);
  });
}
