/**
 * Notices that files may have changed. In a mounted ConfigMap or Secret a file is reached through symbolic links, and
 * an update swaps one of them (`..data`). So the directories are watched, and whatever happens in them counts.
 */
import { dirname } from 'node:path';
import { watch } from 'chokidar';
import { markOf } from './file-mark.ts';

export interface FileWatch {
  /** Ends it; nothing is called afterwards. */
  close(): Promise<void>;
}

/** Longer than an editor takes between emptying and filling a file, or than it takes to write two files. */
const settleMs = 100;
/** A watch belongs to a directory and not to its name: once that was removed and made anew, what changes later goes unseen. */
const lookMs = 30_000;

/**
 * Watches until closed. Once it has returned, every change is noticed. It calls back a first time soon after, in case
 * the files changed between the caller's first reading and now.
 * @param onSettled called a short while after something has happened; the caller reads the files and compares
 * @param onError an error of the watching itself, which goes on
 * @param lookEveryMs how often it looks whether the files are others, whatever the watch says
 */
export async function watchFiles(
  files: readonly string[],
  onSettled: () => void,
  onError: (error: unknown) => void,
  lookEveryMs = lookMs,
): Promise<FileWatch> {
  let closed = false;
  let marks = marksOf(files);
  let timer: NodeJS.Timeout | undefined;

  const settle = (): void => {
    // A running timer is not restarted: in a busy directory it would never fire.
    if (closed) {
      return;
    }
    timer ??= setTimeout(() => {
      timer = undefined;
      onSettled();
    }, settleMs);
  };
  const watcher = watch([...new Set(files.map((file) => dirname(file)))], { depth: 0, ignoreInitial: true });
  watcher.on('all', settle);
  watcher.on('error', onError);
  await new Promise<void>((resolve) => {
    watcher.once('ready', resolve);
  });
  settle();
  const looking = setInterval(() => {
    const now = marksOf(files);
    if (now !== marks) {
      marks = now;
      settle();
    }
  }, lookEveryMs).unref();
  return {
    close: async () => {
      closed = true;
      clearTimeout(timer);
      clearInterval(looking);
      await watcher.close();
    },
  };
}

function marksOf(files: readonly string[]): string {
  return files.map(markOf).join();
}
