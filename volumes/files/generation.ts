/**
 * A file for those that watch one file: it holds the name of the set that `..data` leads to, without its dots. It is written after that set
 * is in place, and always the same file: a watch on it sees every change, and whoever is woken by it reads the new files. What it should
 * hold can be read off the volume, so after a crash it is set right without anything being kept for it.
 */
import fs from 'node:fs';
import path from 'node:path';
import { VolumeError } from '../base/errors.ts';
import type { Steps } from '../base/steps.ts';
import { currentSet } from './atomic-writer.ts';
import { type Access, writeNewFile } from './files.ts';
import { lstat } from './hold.ts';
import { removeTreeInSteps } from './remove.ts';

const { O_NOFOLLOW, O_NONBLOCK, O_RDWR } = fs.constants;

/** Writes the file where it does not say which set is in place; without a set there is none. @param root held, as for `carryOut` */
export function* touch(root: string, name: string, access: Access): Steps<void> {
  const generation = currentSet(root)?.slice(2);
  if (generation === undefined) {
    return;
  }
  const file = path.join(root, name);
  const content = Buffer.from(`${generation}\n`);
  const stats = lstat(file);
  const isOwn = stats?.isFile() === true && stats.nlink === 1 && stats.dev === fs.statSync(root).dev;
  if (isOwn && rewrite(file, stats, content, access)) {
    return;
  }
  // Whatever else a privileged container has put there: a link is not followed, and nothing of it is kept.
  yield* removeTreeInSteps(file);
  writeNewFile(file, content, access);
}

/** All generations are of one length: one write, and no reader meets a part of it. @returns false where it is not the file that was seen */
function rewrite(file: string, seen: fs.Stats, content: Buffer, access: Access): boolean {
  const descriptor = fs.openSync(file, O_RDWR | O_NOFOLLOW | O_NONBLOCK);
  try {
    const stats = fs.fstatSync(descriptor);
    const owner = { uid: access.uid ?? stats.uid, gid: access.gid ?? stats.gid };
    const hasAccess = (stats.mode & 0o7777) === access.mode && stats.uid === owner.uid && stats.gid === owner.gid;
    if (stats.ino !== seen.ino || stats.size !== content.length || !hasAccess) {
      return false;
    }
    const stored = Buffer.alloc(content.length);
    fs.readSync(descriptor, stored, 0, stored.length, 0);
    if (!stored.equals(content) && fs.writeSync(descriptor, content, 0, content.length, 0) !== content.length) {
      throw new VolumeError('NoSpace', `${file} could not be written whole`);
    }
    return true;
  } finally {
    fs.closeSync(descriptor);
  }
}
