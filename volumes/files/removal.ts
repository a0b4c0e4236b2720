/**
 * Takes away a tree of files in steps: through directories that are held, following no symlink and entering no other file system.
 */
import fs from 'node:fs';
import path from 'node:path';
import { systemCode } from '../base/errors.ts';
import type { Steps } from '../base/steps.ts';
import { holdInSteps, lstat } from './files.ts';

/** Deeper than anything that the agent makes. What lies deeper stays, so that nobody's tree costs more open directories. */
const deepest = 64;

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
    yield* holdInSteps(file, function* (held) {
      for (const name of fs.readdirSync(held)) {
        yield* removeInSteps(path.join(held, name), device, depth + 1);
        yield;
      }
    });
  }
  removeUnlessBusy(file);
}

function removeUnlessBusy(directory: string): void {
  try {
    fs.rmdirSync(directory);
  } catch (error) {
    // A mount inside it keeps it; its other contents are gone.
    if (systemCode(error) !== 'ENOTEMPTY' && systemCode(error) !== 'EBUSY') {
      throw error;
    }
  }
}
