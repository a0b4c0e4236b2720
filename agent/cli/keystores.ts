/**
 * Opens the keystores of a volume with the passwords that lie beside them, as the programs in its pod do. A password that the pod
 * gives is in the agent's state, which only root may read.
 */
import { join } from 'node:path';
import { longestPassword } from '../../volumes/declaration/limits.ts';
import { entriesOf } from '../../volumes/files/entries.ts';
import { openRegular } from './bounded-reading.ts';
import { isPkcs12, openPkcs12, type Pkcs12 } from './pkcs12.ts';

/** A password, and what it is called in what is said of it. */
export interface Password {
  readonly name: string;
  readonly bytes: Buffer;
}

export type Opening =
  | { readonly type: 'opened'; readonly passwordName: string; readonly contents: Pkcs12 }
  /** None of the passwords is its own. */
  | { readonly type: 'locked' }
  | { readonly type: 'unknown form' };

/** Each file is tried with each password, at some ten milliseconds: a volume of the agent's has 16 keystores at most. */
const mostKeystores = 32;
const mostPasswords = 32;

/** @returns opens a file with one of the passwords; undefined where it is no keystore */
export function createOpener(passwords: readonly Password[]): (bytes: Buffer) => Opening | undefined {
  let tried = 0;
  return (bytes) => {
    if (!isPkcs12(bytes)) {
      return undefined;
    }
    tried += 1;
    try {
      for (const { name, bytes: password } of tried > mostKeystores ? [] : passwords.slice(0, mostPasswords)) {
        const contents = openPkcs12(bytes, password);
        if (contents !== undefined) {
          return { type: 'opened', passwordName: name, contents };
        }
      }
      return { type: 'locked' };
    } catch {
      return { type: 'unknown form' };
    }
  };
}

/** One line of text, and no PEM. @returns the password without the end of its line */
export function passwordIn(bytes: Buffer): Buffer | undefined {
  const line = bytes.at(-1) === 0x0a ? bytes.subarray(0, -1) : bytes;
  const isOne = line.length > 0 && line.length <= longestPassword && line.every((byte) => byte >= 0x20 && byte <= 0x7e);
  return isOne ? line : undefined;
}

/** The passwords that the agent keeps of a volume, where whoever looks may read them. */
export function statePasswords(directory: string): readonly Password[] {
  const state = join(directory, '..agent');
  const passwords: Password[] = [];
  try {
    for (const name of entriesOf(state)) {
      const isPassword = passwords.length < mostPasswords && /^keystore-\d+\.password$/.test(name);
      const { bytes } = isPassword ? openRegular(join(state, name), longestPassword) : { bytes: undefined };
      if (bytes !== undefined) {
        passwords.push({ name: "the agent's state", bytes });
      }
    }
  } catch {
    // Without its state, as for users other than root, a volume is read all the same.
  }
  return passwords;
}
