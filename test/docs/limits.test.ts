/**
 * The table of limits in docs/security.md names constants that exist, gives the value of each, and leaves out none of the files that hold
 * them. So a limit that changes without its document is noticed, however its own test counts.
 */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';

const root = join(import.meta.dirname, '../..');
const document = readFileSync(join(root, 'docs/security.md'), 'utf8');
const rows = [...document.matchAll(/^\|[^|]*\|([^|]*)\| ((?:`\w+`(?:, )?)+), ([\w/.-]+\.ts) \|/gm)].map(
  ([, limit = '', constants = '', file = '']) => ({
    limit,
    constants: [...constants.matchAll(/`(\w+)`/g)].map(([, name = '']) => name),
    file,
  }),
);

/** What a number of the table is multiplied by to be in the unit of its constant: bytes, characters, milliseconds. */
const units: Readonly<Record<string, number>> = { Ki: 1024, KiB: 1024, MiB: 1024 * 1024, s: 1000, min: 60_000 };

test('every constant of the table stands in the file that the table names', () => {
  assert.ok(rows.length > 10, 'the table is found');
  for (const { constants, file } of rows) {
    const text = readFileSync(join(root, file), 'utf8');
    for (const name of constants) {
      assert.match(text, new RegExp(`\\b(?:const|readonly) ${name}\\b`), `${name} in ${file}`);
    }
  }
});

test('every constant of the table has the value that the table gives', () => {
  for (const { limit, constants, file } of rows) {
    const text = readFileSync(join(root, file), 'utf8');
    const told = numbersIn(limit);
    for (const name of constants) {
      const values = valuesOf(name, text);
      assert.ok(values.length > 0, `${name} of ${file} has a value that this test can read`);
      for (const value of values) {
        assert.ok(told.includes(value), `${name} of ${file} is ${value}; docs/security.md says: ${limit}`);
      }
    }
  }
});

test('every limit of a limits file is in the table', () => {
  const named = new Set(rows.flatMap(({ constants }) => constants));
  for (const file of globSync('{agent,volumes}/**/limits.ts', { cwd: root })) {
    const limits = [...readFileSync(join(root, file), 'utf8').matchAll(/^export const (\w+)/gm)];
    for (const [, name = ''] of limits.filter(([, constant = '']) => !constant.endsWith('PerTurn'))) {
      assert.ok(named.has(name), `${name} of ${file} is not in docs/security.md`);
    }
  }
});

/** The numbers of a text, each in the unit that stands behind it. */
function numbersIn(text: string): number[] {
  const figures = text.replaceAll('a quarter', '4').replaceAll('a second', '1 s');
  return [...figures.matchAll(/(\d{1,3}(?:,\d{3})+|\d+)(?: (Ki|KiB|MiB|s|min)\b)?/g)].map(
    ([, digits = '', unit = '']) => Number(digits.replaceAll(',', '')) * (units[unit] ?? 1),
  );
}

/** What a constant is set to: a product of numbers, or several in braces. */
function valuesOf(name: string, text: string): number[] {
  const [, right = ''] = new RegExp(`\\b${name} = (\\{[^}]*\\}|[\\d_* ]+?)(?: as const)?(?:;| \\})`).exec(text) ?? [];
  // Of the many labels only this one has values that strangers choose.
  const written = name === 'labelLimits' ? (/signer_name: \d+/.exec(right)?.[0] ?? '') : right;
  const unit = name.endsWith('MiB') ? 1024 * 1024 : 1;
  return [...written.matchAll(/\d[\d_]*(?: \* \d[\d_]*)*/g)].map(([product]) =>
    product.split(' * ').reduce((result, factor) => result * Number(factor.replaceAll('_', '')), unit),
  );
}
