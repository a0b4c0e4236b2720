/**
 * A process that can die, played in this one: from a call on, whatever would change a file system or a mount fails or never
 * returns, and a write is left half done.
 */
import childProcess from 'node:child_process';
import fs from 'node:fs';
import { stat } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import type { TestContext } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';

/** How it dies. */
export interface Death {
  /** The process dies before its n-th change from now. */
  comeBefore(call: number): void;
  /** Counts a change that is none of a file system: whether the process is dead by now. */
  diesNow(): boolean;
  came(): boolean;
  /** Resolves when nothing of the dead process goes on: here it shares threads and event loop with the next one. */
  settled(): Promise<void>;
  /** Another process: it lives. */
  undo(): void;
}

/** As many turns without an attempt to change something say that there is nothing more to come. */
const quietTurns = 50;

const changes = [
  ...(['fchownSync', 'fchmodSync', 'mkdirSync', 'renameSync', 'symlinkSync', 'linkSync'] as const),
  ...(['unlinkSync', 'rmSync', 'rmdirSync'] as const),
];

/** What koffi's library gives. */
interface Foreign {
  readonly load: (file: null) => ForeignLibrary;
}

interface ForeignLibrary {
  func(declaration: string): { async(...values: unknown[]): void };
}

/** The system calls of a process that may be dead: then they are not made, and do not return. */
function mortalLibrary(library: ForeignLibrary, diesNow: () => boolean): ForeignLibrary {
  return {
    func(declaration) {
      const call = library.func(declaration);
      return { async: (...values) => (diesNow() ? undefined : call.async(...values)) };
    },
  };
}

export function makeMortal(t: TestContext): Death {
  let left = Number.POSITIVE_INFINITY;
  let dead = false;
  let attempts = 0;
  const diesNow = (): boolean => {
    attempts += 1;
    left -= 1;
    dead ||= left <= 0;
    return dead;
  };
  const refuse = (): never => {
    throw new Error('the process is dead');
  };
  const { openSync: open, writeSync: write } = fs;
  const originals = Object.fromEntries(changes.map((name) => [name, fs[name]]));
  const { execFile } = childProcess;
  const mortal = Object.fromEntries(
    changes.map((name) => {
      const change = fs[name] as (...values: unknown[]) => unknown;
      return [name, (...values: unknown[]) => (diesNow() ? refuse() : change(...values))];
    }),
  );
  const openSync: typeof fs.openSync = (file, flags, mode) => {
    const creates = (Number(flags) & fs.constants.O_CREAT) !== 0;
    return creates && diesNow() ? refuse() : open(file, flags, mode);
  };
  const writeSync = (descriptor: number, bytes: Uint8Array, offset: number): number => {
    const wasDead = dead;
    if (!diesNow()) {
      return write(descriptor, bytes, offset);
    }
    if (!wasDead) {
      write(descriptor, bytes, offset, (bytes.length - offset) >> 1);
    }
    return refuse();
  };
  Object.assign(fs, mortal, { openSync, writeSync });
  // A dead process gets no answer either.
  const run = (...values: Parameters<typeof execFile>) => (diesNow() ? undefined : execFile(...values));
  Object.assign(childProcess, { execFile: run });
  syncBuiltinESMExports();
  const { dlopen } = process;
  process.dlopen = (library: { exports: Partial<Foreign> }, ...values) => {
    dlopen(library, ...values);
    const { load } = library.exports;
    if (load !== undefined) {
      library.exports = { ...library.exports, load: (file) => mortalLibrary(load(file), diesNow) };
    }
  };
  const live = (): void => {
    left = Number.POSITIVE_INFINITY;
    dead = false;
  };
  t.after(() => {
    Object.assign(fs, originals, { openSync: open, writeSync: write });
    Object.assign(childProcess, { execFile });
    syncBuiltinESMExports();
    process.dlopen = dlopen;
  });
  return {
    comeBefore(call) {
      left = call;
    },
    diesNow,
    came: () => dead,
    async settled() {
      for (let quiet = 0; quiet < quietTurns; quiet += 1) {
        const before = attempts;
        // Behind what waits for the thread pool, then behind what waits for the event loop.
        await stat('/');
        await nextTurn();
        if (attempts !== before) {
          quiet = 0;
        }
      }
    },
    undo: live,
  };
}
