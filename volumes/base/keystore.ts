/**
 * What a volume keeps of the keystores in its files, so that equal content is equal bytes: a restart of the agent derives nothing anew
 * and rewrites nothing.
 */

export type KeystoreKind = 'keystore' | 'truststore';

/** How a PKCS#12 file was made. None of it is a secret: it stands in the file itself. */
export interface KeystoreNote {
  /** Digest of the certificates in it; a leaf has one key. */
  readonly madeOf: string;
  /** Salts and initialisation vectors. */
  readonly randomness: Uint8Array;
  readonly mac: Uint8Array;
}

/** The files of one source. */
export type KeystoreNotes = Partial<Record<KeystoreKind, KeystoreNote>>;

/** Where a source's password and the notes on its files are kept. All methods throw VolumeError. */
export interface KeystoreState {
  /** The password of a source's files, in memory that the caller zeroes; undefined where there is none yet. */
  password(index: number): Uint8Array | undefined;
  /** Stores it, and forgets what was made with an earlier one. */
  savePassword(index: number, password: Uint8Array): void;
  notes(index: number): KeystoreNotes;
  saveNotes(index: number, notes: KeystoreNotes): void;
}
