/**
 * Takes away a tree of files in steps: through directories that are held, following no symlink and entering no other file system.
 */
import fs from 'node:fs';
import path from 'node:path';
import type { Steps } from '../base/steps.ts';
import { holdInSteps, lstat } from './hold.ts';
import { deepest, removeDirectoryUnlessBusy } from './remove.ts';

/** Removes a file or a whole tree. Nothing happens when the path does not exist; what is mounted inside stays. */
export function* removeInSteps(file: string, device: number, depth = 0): Steps<void> {
  const stats = lstat(file);
  if (stats === undefined || stats.dev !== device) {
    return;
  }
  if (!stats.isDirectory()) {
    fs.rmSync(file, { force: true });
    return;
  }
  if (depth < deepest) {
    yield* holdInSteps(file, device, function* (held) {
      for (const name of fs.readdirSync(held)) {
        yield* removeInSteps(path.join(held, name), device, depth + 1);
        yield;
      }
    });
  }
  removeDirectoryUnlessBusy(file);
}
