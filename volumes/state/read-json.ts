/**
 * Reads a file of JSON of a volume's state. What it holds may come from another version of the agent, or be damaged.
 */
import { VolumeError } from '../base/errors.ts';
import { readRegularFile } from '../files/files.ts';
import { lstat } from '../files/hold.ts';
import { maxStateBytes, maxStateParts } from './limits.ts';

/**
 * @param device of the directory that the file lies in
 * @param decode throws TypeError for what it cannot understand
 * @returns undefined where there is no such file
 * @throws VolumeError Corrupt
 */
export function readJson<Content>(
  name: string,
  device: number,
  decode: (bytes: Uint8Array) => Content,
): Content | undefined {
  if (lstat(name) === undefined) {
    return undefined;
  }
  const bytes = readRegularFile(name, maxStateBytes, device);
  if (hasManyParts(bytes)) {
    throw new VolumeError('Corrupt', `${name} is unusable: it has more than ${maxStateParts} parts`);
  }
  try {
    return decode(bytes);
  } catch (error) {
    if (error instanceof TypeError) {
      throw new VolumeError('Corrupt', `${name} is unusable: ${error.message}`, error);
    }
    throw error;
  }
}

const quote = 0x22;
const backslash = 0x5c;
const dividers = new Set(Buffer.from(',:[{'));
const isDivider = Uint8Array.from({ length: 256 }, (_, byte) => (dividers.has(byte) ? 1 : 0));

/** Looked at before anything is made of it: of half a megabyte of empty objects the parser alone takes long. */
function hasManyParts(bytes: Uint8Array): boolean {
  let parts = 0;
  let inText = false;
  for (let at = 0; at < bytes.length; at += 1) {
    const byte = bytes[at] ?? 0;
    if (byte === quote) {
      inText = !inText;
    } else if (inText) {
      at += byte === backslash ? 1 : 0;
    } else {
      parts += isDivider[byte] ?? 0;
    }
  }
  return parts > maxStateParts;
}
