/**
 * What is in a directory, a few entries at a time: a privileged container can make a million entries in its volume, of which a list would take
 * seconds in one call, and its share of the agent's memory.
 */
import fs from 'node:fs';

/** What is made or removed meanwhile may be among them or not. @param directory one that is held, or its path */
export function* entriesIn(directory: string): Generator<fs.Dirent, void, void> {
  // Of which Node.js holds 32 names.
  const open = fs.opendirSync(directory);
  try {
    for (let entry = open.readSync(); entry !== null; entry = open.readSync()) {
      yield entry;
    }
  } finally {
    open.closeSync();
  }
}

/** Their names. */
export function* entriesOf(directory: string): Generator<string, void, void> {
  for (const { name } of entriesIn(directory)) {
    yield name;
  }
}
