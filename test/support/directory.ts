/**
 * A directory of a test's own: made here, and removed when its owner ends. The one place where tests make one, so that none
 * is left behind.
 */
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Whose end is the directory's: a test's context, or `{ after }` of node:test for a suite or a whole file. */
export interface Owner {
  after(remove: () => void): void;
}

const removals: (() => void)[] = [];

/** For whoever has no test: the directory is there as long as the process. A process that is killed leaves it behind. */
const untilExit: Owner = {
  after: (remove) => {
    if (removals.length === 0) {
      process.once('exit', () => {
        for (const each of removals) {
          each();
        }
      });
    }
    removals.push(remove);
  },
};

/**
 * An empty directory that nobody else can enter (mode 0700), under a name short enough for sockets in it.
 *
 * Hooks run in the order in which they were registered: an owner that has to close something first, or to unmount it, takes
 * the removal and calls it afterwards (`{ after: (remove) => … }`).
 * @param parent where it is made, for a test that needs a certain file system
 */
export function makeDirectory(owner: Owner = untilExit, parent = tmpdir()): string {
  const directory = mkdtempSync(join(realpathSync(parent), 'test-'));
  owner.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}
