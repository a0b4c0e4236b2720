/**
 * Makes the keystores of a source: which files hold what, under which password, and whether they are what they were.
 *
 * The password is stored before anything is made with it and stays the same for the volume's whole life, so that a program may read it
 * once. How a file was made is stored before the file is in place: after a crash in between, the same file is made once more.
 */
import { hash, randomFillSync } from 'node:crypto';
import { VolumeError } from '../base/errors.ts';
import type { KeystoreKind, KeystoreNote, KeystoreNotes, KeystoreState } from '../base/keystore.ts';
import type { Steps } from '../base/steps.ts';
import type { SourceContent, VolumeRecord } from '../base/volume.ts';
import { hasKeystores } from '../declaration/keystore.ts';
import type { KeystoreFiles, Source } from '../declaration/types.ts';
import { type FileContent, wholeContent } from '../files/content.ts';
import type { MadeFile } from '../files/layout.ts';
import { withoutRoots } from '../files/roots.ts';
import { macKey } from './derivation.ts';
import { makePassword } from './password.ts';
import { keystoreSafe, macOver, macSalt, pkcs12, randomnessBytes, truststoreSafe } from './pkcs12.ts';

export interface KeystoreTools {
  readonly state: KeystoreState;
  /** Does work that may take long, in steps. */
  readonly carryOut: <Result>(steps: Steps<Result>) => Promise<Result>;
  /** Takes each buffer that holds a secret, for whoever overwrites them. */
  readonly secrets: Uint8Array[];
}

/** Stands in `madeOf`; another one makes every file anew. */
const form = 1;

/** The keystores of a source, and the file of their password. @throws VolumeError */
export async function makeKeystores(
  source: Source,
  content: SourceContent,
  tools: KeystoreTools,
): Promise<readonly MadeFile[]> {
  const { state, secrets } = tools;
  const password = state.password(source.index);
  if (password === undefined) {
    throw passwordMissing(source);
  }
  secrets.push(password);
  const kept = state.notes(source.index);
  const [paths, contentsOf] = [pathsOf(source), contentsIn(source, content)];
  const files: MadeFile[] = [];
  let notes: KeystoreNotes = content.kind === 'issuedAnchors' ? kept : {};
  for (const kind of ['keystore', 'truststore'] as const) {
    const [path, contents] = [paths[kind], contentsOf[kind]];
    if (path !== undefined && contents !== undefined) {
      const made = await makeFile(kind, contents, password, kept[kind], tools);
      notes = { ...notes, [kind]: made.note };
      files.push({ path, content: made.content, isSecret: kind === 'keystore' });
    }
  }
  if (notes.keystore !== kept.keystore || notes.truststore !== kept.truststore) {
    state.saveNotes(source.index, notes);
  }
  if (source.passwordPath !== undefined && content.kind !== 'issuedAnchors') {
    // Beside a truststore of a bundle, which everybody may read, a password keeps nobody from anything.
    const isSecret = source.kind === 'podCertificate';
    files.push({ path: source.passwordPath, content: wholeContent(password), isSecret });
  }
  return files;
}

/** Sees to it that each source with keystores has a password: the one that its pod has given, or one that is made here. @throws VolumeError */
export function keepPasswords({ declaration }: VolumeRecord, state: KeystoreState): void {
  for (const source of declaration.sources.filter(hasKeystores)) {
    const stored = state.password(source.index);
    const wanted = passwordFor(source, stored !== undefined);
    try {
      if (wanted !== undefined && (stored === undefined || Buffer.compare(stored, wanted) !== 0)) {
        state.savePassword(source.index, wanted);
      }
    } finally {
      stored?.fill(0);
      wanted?.fill(0);
    }
  }
}

/** Undefined: the one that is stored. */
function passwordFor(source: Source, isStored: boolean): Uint8Array | undefined {
  if (source.password !== undefined) {
    return Buffer.from(source.password.reveal(), 'latin1');
  }
  if (isStored) {
    return undefined;
  }
  if (source.passwordPath === undefined) {
    throw passwordMissing(source);
  }
  return makePassword();
}

function passwordMissing({ index, kind }: Source): VolumeError {
  return new VolumeError('Corrupt', `the volume's state has lost the password of sources[${index}].${kind}`);
}

/** A record as it is kept: what the pod has given for a password lies apart from it. */
export function withoutPasswords(record: VolumeRecord): VolumeRecord {
  const sources = record.declaration.sources.map((source) => {
    const { password: _, ...rest } = source;
    return rest;
  });
  return { ...record, declaration: { ...record.declaration, sources } };
}

function pathsOf(source: Source): Readonly<Record<KeystoreKind, string | undefined>> {
  const { keystorePath, truststorePath }: KeystoreFiles = source;
  return { keystore: keystorePath, truststore: truststorePath };
}

interface Contents {
  readonly certificates: readonly Uint8Array[];
  /** PKCS#8 DER. */
  readonly privateKey?: Uint8Array;
}

/** A keystore without contents stays as it is. */
function contentsIn(source: Source, content: SourceContent): Readonly<Record<KeystoreKind, Contents | undefined>> {
  if (content.kind === 'trustAnchors') {
    return { keystore: { certificates: [] }, truststore: content };
  }
  if (content.kind === 'issuedAnchors') {
    return { keystore: undefined, truststore: { certificates: content.anchors } };
  }
  const { privateKey, anchors = [] } = content;
  const dropsRoots = source.kind === 'podCertificate' && source.roots === 'drop';
  const certificates = dropsRoots ? withoutRoots(content.certificates) : content.certificates;
  return { keystore: { certificates, privateKey }, truststore: { certificates: anchors } };
}

async function makeFile(
  kind: KeystoreKind,
  { certificates, privateKey }: Contents,
  password: Uint8Array,
  kept: KeystoreNote | undefined,
  { carryOut }: KeystoreTools,
): Promise<{ readonly content: FileContent; readonly note: KeystoreNote }> {
  const madeOf = await carryOut(digestOf(kind, certificates));
  const isSame = kept?.madeOf === madeOf && kept.randomness.length === randomnessBytes;
  const randomness = isSame ? kept.randomness : randomFillSync(new Uint8Array(randomnessBytes));
  const safe =
    privateKey === undefined
      ? truststoreSafe(certificates)
      : await keystoreSafe(privateKey, certificates, password, randomness);
  if (isSame) {
    return { content: pkcs12(safe, kept.mac, randomness), note: kept };
  }
  const mac = await carryOut(macOf(safe, password, randomness));
  return { content: pkcs12(safe, mac, randomness), note: { madeOf, randomness, mac } };
}

function* macOf(safe: FileContent, password: Uint8Array, randomness: Uint8Array): Steps<Uint8Array> {
  const key = yield* macKey(password, macSalt(randomness));
  try {
    return yield* macOver(safe, key);
  } finally {
    key.fill(0);
  }
}

const certificatesPerStep = 256;

function* digestOf(kind: KeystoreKind, certificates: readonly Uint8Array[]): Steps<string> {
  const parts = [`${form} ${kind}`];
  for (const [index, der] of certificates.entries()) {
    parts.push(hash('sha256', der, 'base64'));
    if (index % certificatesPerStep === 0) {
      yield;
    }
  }
  return hash('sha256', parts.join(' '), 'base64');
}
