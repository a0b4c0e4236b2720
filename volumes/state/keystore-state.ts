/**
 * The state of a source's keystores, beside that of its certificate:
 *
 *     ..agent/keystore-0.password      the password of source 0's files, as it is; the same for the volume's whole life
 *     ..agent/keystore-0.json          how the files were made: salts and MAC
 *
 * A password is stored as a key is: in no JSON, and read into memory that is zeroed.
 */
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { toVolumeError } from '../base/errors.ts';
import type { KeystoreNote, KeystoreNotes, KeystoreState } from '../base/keystore.ts';
import { longestPassword, shortestPassword } from '../declaration/limits.ts';
import { readRegularFile, removeFile, replaceFile } from '../files/files.ts';
import { lstat } from '../files/hold.ts';
import { der, type Fields, part, text } from './json-fields.ts';
import { maxTextLengths } from './limits.ts';

const fileAccess = { mode: 0o600 };

/** What the state of volumes is read and written with. */
export interface StateTools {
  /** What a file of JSON holds, as `decode` reads it; undefined where there is none, or none that can be understood. */
  readonly readOrReport: <Content>(name: string, decode: (bytes: Uint8Array) => Content) => Content | undefined;
  readonly document: (bytes: Uint8Array) => Fields;
  readonly encode: (content: object) => Buffer;
  readonly onProblem: (problem: string) => void;
}

/** @param directory the state's, which is held */
export function keystoreState(directory: string, device: number, tools: StateTools): KeystoreState {
  const passwordFile = (index: number) => path.join(directory, `keystore-${index}.password`);
  const notesFile = (index: number) => path.join(directory, `keystore-${index}.json`);

  function password(index: number): Uint8Array | undefined {
    if (lstat(passwordFile(index)) === undefined) {
      return undefined;
    }
    try {
      const bytes = readRegularFile(passwordFile(index), longestPassword, device);
      if (bytes.length >= shortestPassword && bytes.every((byte) => byte >= 0x20 && byte <= 0x7e)) {
        return bytes;
      }
      bytes.fill(0);
      tools.onProblem(`${passwordFile(index)} is unusable: it is no password`);
    } catch (error) {
      tools.onProblem(toVolumeError(error, `reading ${passwordFile(index)}`).message);
    }
    return undefined;
  }

  return {
    password,
    savePassword(index, bytes) {
      // What is no file is in the way of one.
      putDirectoryAside(passwordFile(index));
      putDirectoryAside(notesFile(index));
      removeFile(notesFile(index));
      replaceFile(passwordFile(index), bytes, fileAccess);
    },
    notes: (index) => tools.readOrReport(notesFile(index), (bytes) => notesIn(tools.document(bytes))) ?? {},
    saveNotes: (index, notes) => replaceFile(notesFile(index), tools.encode(encoded(notes)), fileAccess),
  };
}

/** How many entries somebody has put into it costs nothing: it goes, in steps, as what an interrupted change left does. */
function putDirectoryAside(file: string): void {
  if (lstat(file)?.isDirectory()) {
    fs.renameSync(file, `${file}.${randomBytes(8).toString('hex')}.tmp`);
  }
}

function encoded({ keystore, truststore }: KeystoreNotes): object {
  const note = ({ madeOf, randomness, mac }: KeystoreNote) => ({
    madeOf,
    randomness: Buffer.from(randomness).toString('base64'),
    mac: Buffer.from(mac).toString('base64'),
  });
  return {
    ...(keystore === undefined ? {} : { keystore: note(keystore) }),
    ...(truststore === undefined ? {} : { truststore: note(truststore) }),
  };
}

function notesIn(content: Fields): KeystoreNotes {
  const note = (value: Fields): KeystoreNote => ({
    madeOf: text(value, 'madeOf', maxTextLengths.mark),
    randomness: der(value['randomness'], 'randomness', maxTextLengths.randomness),
    mac: der(value['mac'], 'mac', maxTextLengths.randomness),
  });
  return {
    ...(content['keystore'] === undefined ? {} : { keystore: note(part(content, 'keystore')) }),
    ...(content['truststore'] === undefined ? {} : { truststore: note(part(content, 'truststore')) }),
  };
}
