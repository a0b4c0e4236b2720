/**
 * The recipes of docs/workloads.md as the tests run them: each block of a section that a comment gives a file name, with this test's
 * places in place of a pod's.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Places, replaced } from '../support/places.ts';

const path = join(import.meta.dirname, '../../docs/workloads.md');
export const document = readFileSync(path, 'utf8');

/** The text of a section. @throws Error when there is none of this title */
export function section(title: string): string {
  const [, text] = new RegExp(`^## ${title}\\n([\\s\\S]*?)(?=^## |$(?![\\s\\S]))`, 'm').exec(document) ?? [];
  if (text === undefined) {
    throw new Error(`docs/workloads.md has no section ${title}`);
  }
  return text;
}

/** Files of a section by name. */
export function filesOf(title: string): ReadonlyMap<string, string> {
  const blocks = section(title).matchAll(/^<!-- file: (\S+) -->\n```\w*\n([\s\S]*?)^```$/gm);
  return new Map([...blocks].map(([, name = '', text = '']) => [name, text]));
}

/** Writes files into a directory, for everybody to read. */
export function writeFiles(files: ReadonlyMap<string, string>, directory: string, places: Places): void {
  for (const [name, text] of files) {
    writeFileSync(join(directory, name), replaced(text, places));
  }
}

/** The sources of the volume that all recipes read. */
export function volumeSources(): string {
  const [, text = ''] = /^sources: \|\n((?: {2}.*\n)+)/m.exec(section('The volume')) ?? [];
  return text.replaceAll(/^ {2}/gm, '');
}

/** A row of the table of key types: what a program does with each, in the table's order. */
export function rowOf(program: string): readonly string[] | undefined {
  return rows()
    .find(([first]) => first === program)
    ?.slice(1);
}

/** The key types of the table, in its order. */
export function columns(): readonly string[] {
  return rows()[0]?.slice(1) ?? [];
}

function rows(): readonly (readonly string[])[] {
  const [, table = ''] = /<!-- key types: [^\n]*-->\n([\s\S]*?)<!-- end of key types -->/.exec(document) ?? [];
  return table.split('\n').map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}
