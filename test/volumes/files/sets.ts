/** What tests of sets of files share: a change told by the files' text, written at once, and a look at what is there after it. */
import fs from 'node:fs';
import path from 'node:path';
import { atOnce } from '../../../volumes/base/steps.ts';
import { type Change, carryOut, planChange } from '../../../volumes/files/atomic-writer.ts';
import { wholeContent } from '../../../volumes/files/content.ts';

const now = Date.UTC(2026, 10, 21, 10, 0, 0);

export function change(files: Record<string, string>, more: Partial<Change> = {}): Change {
  const list = Object.entries(files).map(([name, text]) => ({
    path: name,
    content: wholeContent(Buffer.from(text)),
    mode: 0o600,
  }));
  return { files: list, keep: [], directory: { mode: 0o755 }, now, ...more };
}

export function write(root: string, what: Change): 'written' | 'unchanged' {
  return atOnce(carryOut(root, atOnce(planChange(root, what))));
}

export function read(root: string, file: string): string {
  return fs.readFileSync(path.join(root, file), 'utf8');
}

/** Timestamp directories and temporary links: more than one entry is a leftover. */
export function hidden(root: string): string[] {
  return fs.readdirSync(root).filter((name) => name.startsWith('..') && name !== '..data');
}
