/**
 * Reads a file of JSON of a volume's state. What it holds may come from another version of the agent, or be damaged.
 */
import { VolumeError } from '../base/errors.ts';
import { readRegularFile } from '../files/files.ts';
import { lstat } from '../files/hold.ts';

/** Room for a chain of 100 KiB, or a declaration of 64 KiB, with their JSON; longer is damage. */
const maxJsonBytes = 2 * 1024 * 1024;

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
  const bytes = readRegularFile(name, maxJsonBytes, device);
  try {
    return decode(bytes);
  } catch (error) {
    if (error instanceof TypeError) {
      throw new VolumeError('Corrupt', `${name} is unusable: ${error.message}`, error);
    }
    throw error;
  }
}
