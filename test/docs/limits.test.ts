/** The table of limits in docs/security.md names constants that exist, and leaves out none of the files that hold them. */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';

const root = join(import.meta.dirname, '../..');
const document = readFileSync(join(root, 'docs/security.md'), 'utf8');
const rows = [...document.matchAll(/^\|[^|]*\|[^|]*\| ((?:`\w+`(?:, )?)+), ([\w/.-]+\.ts) \|/gm)].map(
  ([, constants = '', file = '']) => ({ constants: [...constants.matchAll(/`(\w+)`/g)].map(([, name]) => name), file }),
);

test('every constant of the table stands in the file that the table names', () => {
  assert.ok(rows.length > 10, 'the table is found');
  for (const { constants, file } of rows) {
    const text = readFileSync(join(root, file), 'utf8');
    for (const name of constants) {
      assert.match(text, new RegExp(`\\b(?:const|readonly) ${name}\\b`), `${name} in ${file}`);
    }
  }
});

test('every limit of a limits file is in the table', () => {
  const named = new Set(rows.flatMap(({ constants }) => constants));
  for (const file of globSync('{agent,volumes}/**/limits.ts', { cwd: root })) {
    const limits = [...readFileSync(join(root, file), 'utf8').matchAll(/^export const ((?:max|most|longest)\w+)/gm)];
    for (const [, name = ''] of limits) {
      assert.ok(named.has(name), `${name} of ${file} is not in docs/security.md`);
    }
  }
});
