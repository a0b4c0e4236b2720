/**
 * A reader of volumes in a process of its own (`volume-reader-program.ts`): what it saw of each volume while a test did its worst.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { withinBound } from './bounded.ts';

/** A key and its certificate, in one file or in two, of one volume. */
export interface Followed {
  /** Where the volume is mounted. */
  readonly directory: string;
  readonly key: string;
  readonly certificate: string;
}

/** A set of files with a key and its certificate. Times are milliseconds since the epoch. */
export interface Reading {
  readonly type: 'read';
  readonly directory: string;
  readonly set: string;
  readonly serial: string;
  readonly notBefore: number;
  readonly notAfter: number;
}

export type Said =
  | Reading
  | { readonly type: 'following' }
  /** Files were missing, unreadable, or of two sets. */
  | { readonly type: 'torn'; readonly directory: string; readonly why: string }
  | { readonly type: 'ended'; readonly looks: readonly number[] };

export interface VolumeReader {
  /** The sets of a volume in the order in which they were seen. */
  read(directory: string): readonly Reading[];
  /** The first set, seen already or yet to come, that is accepted. */
  seen(accept: (reading: Reading) => boolean, ms?: number): Promise<Reading>;
  /** Resolves once something torn is told in such words. */
  wrong(words: RegExp): Promise<unknown>;
  /**
   * Ends the reader. @returns all that was wrong, in words: what was torn, a certificate that was replaced by one that ends sooner, and
   * a volume that was never read. Empty when all was well.
   */
  close(): Promise<readonly string[]>;
}

/** Who ends what was started. */
export interface Owner {
  after(close: () => Promise<unknown>): void;
}

const program = join(import.meta.dirname, 'volume-reader-program.ts');

/** Starts a reader and waits until it follows. Its directories exist already. */
export async function startVolumeReader(t: Owner, followed: readonly Followed[]): Promise<VolumeReader> {
  const child = spawn(process.execPath, [program, ...followed.map((each) => JSON.stringify(each))], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  // Its input is closed under it where it ended before.
  child.stdin.on('error', () => undefined);
  const said: Said[] = [];
  const listeners = new Set<() => void>();
  createInterface({ input: child.stdout }).on('line', (line) => {
    said.push(JSON.parse(line));
    for (const listener of [...listeners]) {
      listener();
    }
  });
  const ended = once(child, 'close');
  const first = <T extends Said>(accept: (what: Said) => what is T, what: string, ms?: number): Promise<T> => {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const look = (): void => {
      const found = said.find(accept);
      if (found !== undefined) {
        resolve(found);
      }
    };
    listeners.add(look);
    look();
    void ended.then(() => reject(new Error(`the reader ended before ${what}`)));
    return withinBound(promise, () => `${what}; so far ${JSON.stringify(said.slice(-5))}`, ms).finally(() =>
      listeners.delete(look),
    );
  };
  let closed: Promise<readonly string[]> | undefined;
  const close = async (): Promise<readonly string[]> => {
    child.stdin.end();
    await withinBound(ended, 'the reader to end').catch((error: unknown) => {
      child.kill('SIGKILL');
      throw error;
    });
    return wrongIn(said, followed);
  };
  const reader: VolumeReader = {
    read: (directory) => said.filter(isReading).filter((reading) => reading.directory === directory),
    seen: (accept, ms) =>
      first((what): what is Reading => isReading(what) && accept(what), `the set that ${accept} accepts`, ms),
    wrong: (words) =>
      first(
        (what): what is Said => what.type === 'torn' && words.test(what.why),
        `what is wrong in the words ${words}`,
      ),
    close: () => {
      closed ??= close();
      return closed;
    },
  };
  t.after(() => reader.close());
  await first((what): what is Said => what.type === 'following', 'the reader to follow');
  return reader;
}

function isReading(what: Said): what is Reading {
  return what.type === 'read';
}

function wrongIn(said: readonly Said[], followed: readonly Followed[]): readonly string[] {
  const wrong = said.filter((what) => what.type === 'torn').map(({ directory, why }) => `${directory}: ${why}`);
  if (!said.some(({ type }) => type === 'ended')) {
    wrong.push('the reader did not come to its end');
  }
  for (const { directory } of followed) {
    const sets = said.filter(isReading).filter((reading) => reading.directory === directory);
    if (sets.length === 0) {
      wrong.push(`${directory}: nothing was read`);
    }
    for (const [index, { serial, notAfter }] of sets.entries()) {
      const before = sets[index - 1];
      if (before !== undefined && notAfter < before.notAfter) {
        wrong.push(`${directory}: ${before.serial} gave way to ${serial}, which ends sooner`);
      }
    }
  }
  return wrong;
}
