/**
 * Notices that files may have changed. A file in a mounted ConfigMap or Secret is a chain of symbolic links of which one
 * (`..data`) is swapped, so the directories are watched, and whatever happens there counts.
 */
import { dirname } from 'node:path';
import { watch } from 'chokidar';

export interface FileWatch {
  /** Ends it; nothing is called afterwards. */
  close(): Promise<void>;
}

/** Longer than an editor takes from emptying a file to filling it, or than two files take one after the other. */
const settleMs = 100;

/**
 * Watches until closed. Returns once changes are noticed, and calls back a first time soon after, since a change between the
 * caller's first reading and now has been seen by nobody.
 * @param onSettled called a short while after something has happened; the caller reads the files and compares
 * @param onError an error of the watching itself, which goes on
 */
export async function watchFiles(
  files: readonly string[],
  onSettled: () => void,
  onError: (error: unknown) => void,
): Promise<FileWatch> {
  let closed = false;
  let timer: NodeJS.Timeout | undefined;

  const settle = (): void => {
    // A timer that runs is left alone: in a directory where something happens all the time it would never end.
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
  return {
    close: async () => {
      closed = true;
      clearTimeout(timer);
      await watcher.close();
    },
  };
}
