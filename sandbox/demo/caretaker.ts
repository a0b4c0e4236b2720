/**
 * Sees to it that no key of the demonstration stays behind, however it ends: a process that outlives it clears up (`caretaker-process.ts`),
 * and where that was killed too, the next demonstration does.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface Caretaker {
  /** The directory is removed, or is to be kept: nothing is left to do. */
  dismiss(): Promise<void>;
}

/** Whose directory it is; without it a directory is nobody's to remove. */
const ownerFile = 'demonstration.json';

/** Notes whose the directory is, and starts the process that outlives this one. */
export async function startCaretaker(directory: string): Promise<Caretaker> {
  const owner = { pid: process.pid, startedAt: startTime(process.pid) };
  await writeFile(join(directory, ownerFile), JSON.stringify(owner), { mode: 0o600 });
  const script = fileURLToPath(new URL('caretaker-process.ts', import.meta.url));
  const child = spawn(process.execPath, [script, directory], { detached: true, stdio: ['pipe', 'ignore', 'ignore'] });
  child.unref();
  child.stdin.on('error', () => {});
  // A demonstration goes on without: it clears up by itself when it is not killed.
  child.on('error', () => {});
  return {
    dismiss: async () => {
      await rm(join(directory, ownerFile), { force: true });
      if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) {
        return;
      }
      const ended = once(child, 'exit');
      child.ref();
      child.stdin.end('done\n');
      await ended;
    },
  };
}

/**
 * Removes work directories whose demonstration is no more: of this user, with a note of whose they were, and of nobody who runs.
 * @param parent where demonstrations make their directories @returns those that were removed
 */
export async function removeLeftovers(parent: string, prefix: string): Promise<readonly string[]> {
  const found = readdirSync(parent, { withFileTypes: true }).filter(
    (entry) => entry.isDirectory() && entry.name.startsWith(prefix),
  );
  const removed: string[] = [];
  for (const { name } of found) {
    const directory = join(parent, name);
    if (isLeftOver(directory)) {
      await rm(directory, { recursive: true, force: true });
      removed.push(directory);
    }
  }
  return removed;
}

function isLeftOver(directory: string): boolean {
  try {
    const { uid, mode } = statSync(directory);
    const owner: unknown = JSON.parse(readFileSync(join(directory, ownerFile), 'utf8'));
    const isOurs = uid === process.getuid?.() && (mode & 0o077) === 0;
    return isOurs && isOwner(owner) && startTime(owner.pid) !== owner.startedAt;
  } catch {
    return false;
  }
}

function isOwner(value: unknown): value is { readonly pid: number; readonly startedAt: string } {
  return (
    typeof value === 'object' &&
    value !== null &&
    'pid' in value &&
    Number.isSafeInteger(value.pid) &&
    'startedAt' in value &&
    typeof value.startedAt === 'string'
  );
}

/** What tells a process from a later one of the same number: the boot and the ticks since it (proc_pid_stat(5), field 22). */
function startTime(pid: number): string | undefined {
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return `${boot} ${fields[19]}`;
  } catch {
    return undefined;
  }
}
