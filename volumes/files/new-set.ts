/**
 * Fills the directory of a new set of files. Every directory on the way is held while its contents are made, in the new set and in the
 * old one: no file lands, and none is taken, where somebody put a link meanwhile.
 */
import fs from 'node:fs';
import path from 'node:path';
import type { Steps } from '../base/steps.ts';
import type { FileContent } from './content.ts';
import { type Access, makeDirectory, setAccess, writeInPieces } from './files.ts';
import { holdInSteps, lstat } from './hold.ts';
import type { ProjectedFile } from './layout.ts';

export interface NewSet {
  readonly files: readonly ProjectedFile[];
  /** Paths that are taken over from the old set, as links to the same files. */
  readonly kept: readonly string[];
  /** For the directories. */
  readonly directory: Access;
}

/** A directory to be: what lies in it, by name. */
interface Branch {
  readonly files: Map<string, ProjectedFile | 'kept'>;
  readonly branches: Map<string, Branch>;
}

/** No path of a volume begins with two dots. */
const copyPrefix = '..copy-';

/**
 * @param fresh the new set's directory, which is held
 * @param old the old set's directory, where there is one
 */
export function* fillSet(fresh: string, device: number, old: string | undefined, set: NewSet): Steps<void> {
  /** Where content that several files share has been written, by content and access. */
  const copies = new Map<string, string>();
  const shared = sharedContents(set.files);

  function* place(file: ProjectedFile, where: string): Steps<void> {
    const number = shared.get(file.content);
    if (number === undefined) {
      yield* writeInPieces(where, file.content.pieces(), file);
      return;
    }
    const kind = `${number} ${file.mode} ${file.uid} ${file.gid}`;
    let copy = copies.get(kind);
    if (copy === undefined) {
      copy = path.join(fresh, `${copyPrefix}${copies.size}`);
      yield* writeInPieces(copy, file.content.pieces(), file);
      copies.set(kind, copy);
    }
    fs.linkSync(copy, where);
  }

  function* fill(held: string, oldHeld: string | undefined, branch: Branch): Steps<void> {
    for (const [name, file] of branch.files) {
      const where = path.join(held, name);
      if (file !== 'kept') {
        yield* place(file, where);
      } else if (oldHeld !== undefined) {
        // link(2) does not follow a symlink.
        fs.linkSync(path.join(oldHeld, name), where);
      }
      yield;
    }
    for (const [name, next] of branch.branches) {
      const where = path.join(held, name);
      makeDirectory(where, set.directory);
      yield;
      yield* holdInSteps(where, device, function* (inner) {
        const oldNext = oldHeld === undefined ? undefined : path.join(oldHeld, name);
        if (oldNext === undefined || lstat(oldNext)?.isDirectory() !== true) {
          yield* fill(inner, undefined, next);
        } else {
          yield* holdInSteps(oldNext, device, (oldInner) => fill(inner, oldInner, next));
        }
      });
    }
  }

  const tree = treeOf(set);
  if (old === undefined) {
    yield* fill(fresh, undefined, tree);
  } else {
    yield* holdInSteps(old, device, (oldHeld) => fill(fresh, oldHeld, tree));
  }
  for (const copy of copies.values()) {
    fs.unlinkSync(copy);
  }
  setAccess(`${fresh}/.`, set.directory);
}

/** A number for each content that more than one file is to hold. */
function sharedContents(files: readonly ProjectedFile[]): ReadonlyMap<FileContent, number> {
  const seen = new Set<FileContent>();
  const shared = new Map<FileContent, number>();
  for (const { content } of files) {
    if (seen.has(content) && !shared.has(content)) {
      shared.set(content, shared.size);
    }
    seen.add(content);
  }
  return shared;
}

function treeOf({ files, kept }: NewSet): Branch {
  const root: Branch = { files: new Map(), branches: new Map() };
  const add = (file: string, entry: ProjectedFile | 'kept'): void => {
    const parts = file.split('/');
    const name = parts.pop() ?? file;
    let branch = root;
    for (const part of parts) {
      const next = branch.branches.get(part) ?? { files: new Map(), branches: new Map() };
      branch.branches.set(part, next);
      branch = next;
    }
    branch.files.set(name, entry);
  };
  for (const file of files) {
    add(file.path, file);
  }
  for (const file of kept) {
    add(file, 'kept');
  }
  return root;
}
