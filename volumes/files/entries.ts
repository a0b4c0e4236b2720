/**
 * The names in a directory, a few at a time: a privileged container can make a million entries in its volume, of which a list would take
 * seconds in one call, and its share of the agent's memory.
 */
import fs from 'node:fs';

/** Names that are read in one go. */
const atATime = 64;

/** What is made or removed meanwhile may be among them or not. @param directory one that is held, or its path */
export function* entriesOf(directory: string): Generator<string, void, void> {
  const open = fs.opendirSync(directory, { bufferSize: atATime });
  try {
    for (let entry = open.readSync(); entry !== null; entry = open.readSync()) {
      yield entry.name;
    }
  } finally {
    open.closeSync();
  }
}
